"""A client of the group that has to be replaced; what the group itself decides is tested on a real broker."""

from typing import Any

import pytest

from streamagg.kafka import contact, membership
from streamagg.kafka.membership import Membership
from streamagg.settings import KafkaSettings


class Group:
    """Knows its clients by a name, or does not; the broker answers every question."""

    def __init__(self) -> None:
        self.now = 0.0
        self.names: list[str] = []
        """What the group calls the first, second, ... client."""
        self.clients: list[Client] = []

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

    def subscribe(self, topics: list[str], **callbacks: object) -> None:
        assert topics == ["input"]

    def poll(self, timeout: float) -> None:
        assert not self.closed

    def assignment(self) -> list[object]:
        return []

    def list_topics(self, topic: str, timeout: float) -> None:
        pass

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def group(monkeypatch: pytest.MonkeyPatch) -> Group:
    group = Group()
    monkeypatch.setattr(membership, "Consumer", group.client)
    for module in (membership, contact):
        monkeypatch.setattr(module, "monotonic", lambda: group.now)
    return group


def clients_after(group: Group, seconds: int) -> int:
    member = Membership(KafkaSettings(), "group", "input")
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


def test_a_standby_keeps_its_client(group: Group) -> None:
    group.names = ["known"]

    assert clients_after(group, 600) == 1


def test_a_client_that_the_group_has_forgotten_is_replaced(group: Group) -> None:
    group.names = ["known", "known as well"]
    member = Membership(KafkaSettings(), "group", "input")
    group.now = 1
    member.poll()

    group.names[0] = ""
    group.now = 17
    member.poll()

    assert [client.closed for client in group.clients] == [True, False]
