"""What a member makes of a group that knows it or not; what groups decide is tested on a real broker."""

import struct
from types import SimpleNamespace
from typing import Any, cast

import pytest
from confluent_kafka import TopicPartition

from streamagg.errors import KafkaFailed
from streamagg.kafka import broker_silence as contact
from streamagg.kafka import membership
from streamagg.kafka.membership import Membership
from streamagg.model.settings import KafkaSettings


class Group:
    """Knows its clients by a name, or does not; the broker answers every question."""

    def __init__(self) -> None:
        self.now = 0.0
        self.names: list[str] = []
        """What the group calls the first, second, ... client."""
        self.clients: list[Client] = []
        self.epoch = 0
        """Of the member, with the consumer protocol."""

    def client(self, config: dict[str, Any]) -> "Client":
        self.clients.append(Client(self, len(self.clients)))
        return self.clients[-1]


class Client:
    """Stands for a ``Consumer`` that is never assigned anything."""

    def __init__(self, group: Group, number: int) -> None:
        self._group = group
        self._number = number
        self.closed = False

    def memberid(self) -> str:
        return self._group.names[self._number]

    def consumer_group_metadata(self) -> bytes:
        return b"CGMDv2:" + struct.pack("=i", self._group.epoch) + b"group\0id\0"

    def subscribe(self, topics: list[str], **callbacks: object) -> None:
        assert topics == ["input"]

    def unsubscribe(self) -> None:
        pass

    def poll(self, timeout: float) -> None:
        assert not self.closed

    def assignment(self) -> list[object]:
        return []

    def list_topics(self, topic: str, timeout: float) -> None:
        pass

    def close(self) -> None:
        self.closed = True


class Owner(Client):
    """Is assigned partition 0 by its first poll, and has it taken back by the third one after it left."""

    def __init__(self, group: Group) -> None:
        super().__init__(group, 0)
        self._assigned: list[TopicPartition] = []
        self._left = 3
        self._leaving = False

    def subscribe(self, topics: list[str], **callbacks: Any) -> None:
        self._callbacks = callbacks

    def unsubscribe(self) -> None:
        self._leaving = True

    def poll(self, timeout: float) -> None:
        super().poll(timeout)
        partitions = [TopicPartition("input", 0)]
        if not self._leaving and not self._assigned:
            self._callbacks["on_assign"](self, partitions)
        self._left -= self._leaving
        if self._leaving and not self._left:
            self._callbacks["on_revoke"](self, partitions)

    def incremental_assign(self, partitions: list[TopicPartition]) -> None:
        self._assigned = partitions

    def incremental_unassign(self, partitions: list[TopicPartition]) -> None:
        self._assigned = []

    def pause(self, partitions: list[TopicPartition]) -> None:
        pass

    def assignment(self) -> list[Any]:
        return self._assigned

    def close(self) -> None:
        assert not self._assigned, "a callback is left for the time of closing, and may wait without end"
        super().close()


@pytest.fixture
def group(monkeypatch: pytest.MonkeyPatch) -> Group:
    group = Group()
    monkeypatch.setattr(membership, "Consumer", group.client)
    for module in (membership, contact):
        monkeypatch.setattr(module, "monotonic", lambda: group.now)
    return group


def clients_after(group: Group, seconds: int) -> int:
    member = Membership(KafkaSettings(), "group", "input")
    member.join()
    for _ in range(seconds):
        group.now += 1
        member.poll()
    assert all(client.closed for client in group.clients[:-1])
    return len(group.clients)


def test_a_client_that_the_group_does_not_know_is_replaced(group: Group) -> None:
    group.names = ["", "known"]

    assert clients_after(group, 15) == 1
    group.clients.clear()
    assert clients_after(group, 60) == 2


def test_what_a_member_owns_is_taken_back_before_its_client_is_closed(
    group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    group.names = ["known"]
    owner = Owner(group)
    monkeypatch.setattr(membership, "Consumer", lambda config: owner)
    member = Membership(KafkaSettings(), "group", "input")
    member.join()
    member.poll()
    assert member.leader
    member.close()
    assert not member.leader
    assert owner.closed


def test_a_standby_keeps_its_client(group: Group) -> None:
    group.names = ["known"]

    assert clients_after(group, 600) == 1


def test_a_client_that_the_group_has_forgotten_is_replaced(group: Group) -> None:
    group.names = ["known", "known as well"]
    member = Membership(KafkaSettings(), "group", "input")
    member.join()
    group.now = 1
    member.poll()

    group.names[0] = ""
    group.now = 17
    member.poll()

    assert [client.closed for client in group.clients] == [True, False]


CONSUMER = KafkaSettings(client={"group.protocol": "consumer"})


def test_a_member_that_is_dealt_nothing_hears_nothing(group: Group) -> None:
    """With the consumer protocol; its name is its own from the beginning."""
    group.names = ["mine"]
    member = Membership(CONSUMER, "group", "input")
    member.join()
    assert (member.joined, member.assignment_known) == (False, False)
    seen = []
    for group.epoch in (0, 1, 1, 2):
        group.now += 1
        member.poll()
        seen.append((member.joined, member.assignment_known))
    assert seen == [(False, False), (True, False), (True, True), (True, True)]
    group.epoch = 0
    assert (member.joined, member.assignment_known) == (False, False)


def test_the_epoch_of_a_leader_is_followed(group: Group) -> None:
    group.names = ["mine"]
    member = Membership(CONSUMER, "group", "input")
    member.join()
    leading = SimpleNamespace(partition=0)
    known = group.clients[0].consumer_group_metadata
    client = SimpleNamespace(incremental_assign=len, pause=len, consumer_group_metadata=known)
    group.epoch = 1
    member._on_assign(cast(Any, client), [cast(Any, leading)])
    first = member.metadata
    group.epoch = 2
    member.poll()
    assert first != member.metadata == known()


def test_brokers_that_do_not_know_the_protocol_are_given_up(group: Group) -> None:
    """librdkafka asks them forever, and says nothing."""
    group.names = ["mine"]
    member = Membership(CONSUMER, "group", "input")
    member.join()
    for _ in range(15):
        group.now += 1
        member.poll()
    group.now += 1
    with pytest.raises(KafkaFailed, match=r"needs Kafka 4\.0"):
        member.poll()
