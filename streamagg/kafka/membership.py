"""Leader or standby: membership in the consumer group decides.

The instance that owns partition 0 of the topic is the leader and reads the whole input; unique counts
of split partitions do not add up, so the others wait. Nothing is fetched through this consumer.
"""

from collections.abc import Iterable
from contextlib import suppress
from struct import Struct
from time import monotonic
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from streamagg.errors import KafkaFailed, SettingsError, StreamaggError
from streamagg.events import Log
from streamagg.kafka.admin import foreign, has_members, refuse_foreign
from streamagg.kafka.broker_silence import BrokerSilence
from streamagg.kafka.client import COOPERATIVE, Right, consumer_config, kafka_error
from streamagg.kafka.client_metrics import observing
from streamagg.model.measured import ClientNumbers
from streamagg.model.settings import KafkaSettings

_LEADING_PARTITION: Final = 0
"""Every topic has it, and it has one owner in the group."""
_PROTOCOL: Final = "group.protocol"
_COMMITTED_TIMEOUT_S: Final = 10.0
"""For one answer, as in ``kafka.admin``."""
_SESSION_TIMEOUT: Final = "session.timeout.ms"
_SESSION_TIMEOUT_MS: Final = "10000"
"""How long a killed leader holds its standby up, unless the user chooses otherwise."""
_POLL_INTERVAL: Final = "max.poll.interval.ms"
_POLL_INTERVAL_MS: Final = 60_000
"""How long the group waits for a member to come back to it. A broker that was killed was seen to wait for one
that was gone for all of the usual five minutes."""
_WAKE_EVERY_S: Final = 1.0
"""A third of the interval at which a member sends heartbeats (3 s by default)."""
_OUTSIDE_S: Final = 15.0
"""A client that the group has not given a name for so long is replaced: longer than the session of 10 s for
which the group may wait for a member that was killed."""
_DEALT_S: Final = 1.0
"""With the consumer protocol nobody is informed of an empty share: one that has not come so long after
joining is empty."""
_LEAVING_S: Final = 5.0
"""For the client to take back what it owns."""
_LAST_WORD_S: Final = 0.1
"""What is to be told of the group comes within this; each poll takes so long where nothing is."""
_EPOCH: Final = Struct("=7xi")
"""Where the epoch of a member stands in librdkafka's group metadata, behind ``CGMDv2:``."""

log = Log(__name__)


def committed_offsets(
    kafka: KafkaSettings, group: str, topic: str, partitions: Iterable[int]
) -> dict[int, tuple[int, str]]:
    """Committed offset and metadata by partition, asked from outside the group; those without are left out.

    Does not wait for transactions under way. Raises a StreamaggError.
    """
    # An admin client crashes when the broker does not coordinate the group (librdkafka #5040).
    client = Consumer(consumer_config(kafka, group_id=group, isolation_level="read_uncommitted"))
    try:
        return _committed(client, group, topic, partitions)
    finally:
        client.close()


def _committed(
    client: Consumer, group: str, topic: str, partitions: Iterable[int]
) -> dict[int, tuple[int, str]]:
    needs = _rights(group, topic)
    wanted = [TopicPartition(topic, partition) for partition in partitions]
    try:
        found = client.committed(wanted, timeout=_COMMITTED_TIMEOUT_S)
    except KafkaException as error:
        raise kafka_error(error, "Reading the committed offsets", *needs) from error
    for place in found:
        if place.error is not None:
            raise kafka_error(place.error, "Reading the committed offsets", *needs)
    return {place.partition: (place.offset, place.metadata or "") for place in found if place.offset >= 0}


def _rights(group: str, topic: str) -> tuple[Right, Right]:
    return Right("READ", "group", group), Right("READ", "topic", topic)


class Membership:
    """This instance's place in the group; implements ``sinks.leadership.Leadership``."""

    def __init__(self, kafka: KafkaSettings, group: str, topic: str) -> None:
        self._kafka = kafka
        self._group = group
        self._topic = topic
        self._needs = _rights(group, topic)
        self._classic = kafka.client.get(_PROTOCOL, "classic").lower() == "classic"
        self._owned: set[int] = set()
        self._failed: StreamaggError | None = None
        self._next_wake = 0.0
        self.numbers = ClientNumbers()
        self.rebalances = 0
        """How often the group has reassigned its partitions."""
        self.metadata: Any = None
        """Group metadata of the generation in which partition 0 became ours."""
        self._session_ms = kafka.client.get(_SESSION_TIMEOUT, _SESSION_TIMEOUT_MS)
        poll_ms = str(max(_POLL_INTERVAL_MS, int(self._session_ms)))
        self._config = consumer_config(
            kafka,
            group_id=group,
            max_poll_interval_ms=kafka.client.get(_POLL_INTERVAL, poll_ms),
            queued_min_messages=1,
            **self._protocol(),
            **observing(self.numbers),
        )
        self._was_known = False

    @property
    def leader(self) -> bool:
        """This instance owns partition 0."""
        return _LEADING_PARTITION in self._owned

    @property
    def joined(self) -> bool:
        """The group knows this instance."""
        # With the consumer protocol a member has a name before it has asked.
        return bool(self._consumer.memberid()) if self._classic else self._epoch() > 0

    @property
    def assignment_known(self) -> bool:
        """The group has assigned this instance its share of the partitions."""
        if self.rebalances:
            return self.joined
        # With the consumer protocol nobody hears of a part without partitions.
        return not self._classic and self.joined and monotonic() - self._unknown_s > _DEALT_S

    def refuse_foreign(self) -> None:
        """Raises SettingsError if the group belongs to another program; asked from outside."""
        refuse_foreign(self._kafka, self._group)

    def at_work(self) -> bool:
        """Somebody is in the group; asked from outside."""
        return has_members(self._kafka, self._group)

    def poll(self) -> None:
        """Serve the group; raises a StreamaggError when membership is impossible.

        Blocks only without leadership, for a second at a time, while no broker answers.
        """
        self._wake()
        message = self._consumer.poll(0)
        if not self.leader:
            self._replace_if_lost()
        if self._failed is not None:
            raise self._failed
        error = message.error() if message is not None else None
        if error is not None and (error.fatal() or error.code() in _HOPELESS):
            raise self._refusal(error)
        if self.leader and not self._classic:
            # Every change of the group raises the epoch, also where nobody is assigned anything else.
            self.metadata = self._consumer.consumer_group_metadata()

    def committed(self, partitions: list[int]) -> dict[int, tuple[int, str]]:
        """Committed offset and metadata by partition; partitions without one are left out.

        Waits for transactions under way. Raises a StreamaggError.
        """
        return _committed(self._consumer, self._group, self._topic, partitions)

    def commit(self, offsets: list[TopicPartition]) -> None:
        """Commit offsets with metadata and wait for the broker; raises KafkaException."""
        for place in self._consumer.commit(offsets=offsets, asynchronous=False) or []:
            if place.error is not None:
                raise KafkaException(place.error)

    def close(self) -> None:
        """Leave the group, so that a standby takes over at once.

        What the client has to tell of the group is told before it is closed: a callback while it closes may
        wait without end for the client, and holds the interpreter up with it (librdkafka issue 4041).
        """
        self._consumer.unsubscribe()
        deadline = monotonic() + _LEAVING_S
        self._consumer.poll(_LAST_WORD_S)
        while self._owned and monotonic() < deadline:
            self._consumer.poll(_LAST_WORD_S)
        self._consumer.close()

    def _protocol(self) -> dict[str, Any]:
        """How the group is joined; with the consumer protocol the brokers decide the rest."""
        if not self._classic:
            return {"group_protocol": "consumer"}
        return {
            "group_protocol": "classic",
            "partition_assignment_strategy": COOPERATIVE,
            "session_timeout_ms": self._session_ms,
        }

    def _epoch(self) -> int:
        epoch: int = _EPOCH.unpack_from(self._consumer.consumer_group_metadata())[0]
        return epoch

    def _refusal(self, error: KafkaError) -> StreamaggError:
        """The error for a group that refuses this instance."""
        if error.code() == KafkaError.INCONSISTENT_GROUP_PROTOCOL:
            return foreign(self._group)
        if error.code() == KafkaError.INVALID_SESSION_TIMEOUT:
            return SettingsError(
                f"The brokers do not allow {_SESSION_TIMEOUT}={self._session_ms}: give one between their "
                "group.min.session.timeout.ms and group.max.session.timeout.ms."
            )
        return kafka_error(error, f"Joining the group {self._group}", *self._needs)

    def _replace_if_lost(self) -> None:
        """A client that no broker answers, or that the group does not know, gives way to another.

        It waits without end for who coordinates the group when the broker that it asked is taken off its list
        before the answer: that broker had been frozen, and described a cluster without brokers.
        """
        if self._contact.lost():
            log.warning("group_rejoined", "no broker answers: joining the group with a new connection")
        elif monotonic() - self._known_s > _OUTSIDE_S:
            if not (self._classic or self._was_known):
                # The client says nothing of brokers that do not know the protocol: it asks again without end.
                raise KafkaFailed(
                    f"The group {self._group} has not let this instance in within {_OUTSIDE_S:g} s: "
                    f"{_PROTOCOL}=consumer needs Kafka 4.0 or newer. Leave it out for older brokers."
                )
            log.warning(
                "group_rejoined",
                "not in the group for {seconds:g} s: joining it with a new connection",
                seconds=_OUTSIDE_S,
            )
        else:
            return
        self.close()
        self.join()

    def join(self) -> None:
        """Ask the group for a place; before anything else is asked of this one."""
        self._consumer = Consumer(self._config)
        self._contact = BrokerSilence(self._consumer, self._topic)
        self._known_s = self._unknown_s = monotonic()
        self._consumer.subscribe(
            [self._topic], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_revoke
        )

    def _wake(self) -> None:
        """Have the client's own thread look at its timers.

        It waits until a time of day, and a wall clock that is set back by an hour makes it wait, and send no
        heartbeat, for an hour more (librdkafka issue 2145). A question to it ends the wait.
        """
        if monotonic() >= self._next_wake:
            self._next_wake = monotonic() + _WAKE_EVERY_S
            self._consumer.assignment()
            if self.joined:
                self._was_known = True
                self._known_s = monotonic()
            else:
                self._unknown_s = monotonic()

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self.rebalances += 1
        try:
            consumer.incremental_assign(partitions)
            consumer.pause(partitions)
            self._owned |= {place.partition for place in partitions}
            with suppress(RuntimeError):
                # A client that is being closed has none.
                self.metadata = consumer.consumer_group_metadata()
            log.debug("partitions_assigned", "assigned {owned}", owned=sorted(self._owned))
        except KafkaException as error:
            # The binding would go on and assign default positions by itself.
            self._failed = kafka_error(error, "Taking part in the group", *self._needs)

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._owned -= {place.partition for place in partitions}
        log.debug("partitions_revoked", "revoked, left with {owned}", owned=sorted(self._owned))
        try:
            if consumer.assignment():
                consumer.incremental_unassign(partitions)
        except KafkaException as error:
            log.debug("unassign_failed", "giving up partitions: {error}", error=error)


_HOPELESS: Final = (
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.INCONSISTENT_GROUP_PROTOCOL,
    KafkaError.INVALID_SESSION_TIMEOUT,
)
"""Waiting does not cure these."""
