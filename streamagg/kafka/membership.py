"""Leader or standby: membership in the consumer group decides.

The instance that owns partition 0 of the input is the leader and reads all partitions; unique counts
of split partitions do not add up, so the others wait. Nothing is fetched through this consumer.
"""

from collections.abc import Iterable
from time import monotonic
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from streamagg.errors import StreamaggError
from streamagg.events import Log
from streamagg.kafka.client import Right, consumer_config, kafka_error
from streamagg.kafka.contact import Contact
from streamagg.kafka.observing import observing
from streamagg.measured import ClientNumbers
from streamagg.settings import KafkaSettings

_LEADING_PARTITION: Final = 0
_COMMITTED_TIMEOUT_S: Final = 10.0
_SESSION_TIMEOUT: Final = "session.timeout.ms"
_SESSION_TIMEOUT_MS: Final = "10000"
"""How long a killed leader holds its standby up, unless the user chooses otherwise."""
_POLL_INTERVAL: Final = "max.poll.interval.ms"
_POLL_INTERVAL_MS: Final = 60_000
"""How long the group waits for a member to come back to it. A broker that was killed was seen to wait for one
that was gone for all of the usual five minutes."""
_WAKE_EVERY_S: Final = 1.0
"""Far less than a member of the group may be silent."""
_OUTSIDE_S: Final = 15.0
"""A client that the group has not given a name for so long is replaced."""

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
    """This instance's place in the group."""

    def __init__(self, kafka: KafkaSettings, group: str, topic: str) -> None:
        self._group = group
        self._topic = topic
        self._needs = _rights(group, topic)
        self._owned: set[int] = set()
        self._failed: StreamaggError | None = None
        self._next_wake = 0.0
        self.numbers = ClientNumbers()
        self.rebalances = 0
        """Times that the group has dealt its partitions out anew."""
        self.metadata: Any = None
        """Group metadata of the generation in which partition 0 became ours."""
        session_ms = kafka.client.get(_SESSION_TIMEOUT, _SESSION_TIMEOUT_MS)
        poll_ms = str(max(_POLL_INTERVAL_MS, int(session_ms)))
        self._config = consumer_config(
            kafka,
            group_id=group,
            partition_assignment_strategy="cooperative-sticky",
            session_timeout_ms=session_ms,
            max_poll_interval_ms=kafka.client.get(_POLL_INTERVAL, poll_ms),
            queued_min_messages=1,
            **observing(self.numbers),
        )
        self._join()

    @property
    def leader(self) -> bool:
        """This instance owns partition 0."""
        return _LEADING_PARTITION in self._owned

    @property
    def joined(self) -> bool:
        """The group knows this instance."""
        return bool(self._consumer.memberid())

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
            raise kafka_error(error, f"Joining the consumer group for the topic {self._topic}", *self._needs)

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
        """Leave the group, so that a standby takes over at once."""
        self._consumer.close()

    def _replace_if_lost(self) -> None:
        """A client that no broker answers, or that the group does not know, gives way to another.

        It waits without end for who coordinates the group when the broker that it asked is taken off its
        list before the answer: that broker had been frozen, and told of a cluster without brokers.
        """
        if self._contact.lost():
            log.warning("group_rejoined", "no broker answers: joining the group with a new connection")
        elif monotonic() - self._known_s > _OUTSIDE_S:
            log.warning(
                "group_rejoined",
                "not in the group for {seconds:g} s: joining it with a new connection",
                seconds=_OUTSIDE_S,
            )
        else:
            return
        self._consumer.close()
        self._join()

    def _join(self) -> None:
        self._consumer = Consumer(self._config)
        self._contact = Contact(self._consumer, self._topic)
        self._known_s = monotonic()
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
                self._known_s = monotonic()

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self.rebalances += 1
        try:
            consumer.incremental_assign(partitions)
            consumer.pause(partitions)
            self._owned |= {place.partition for place in partitions}
            self.metadata = consumer.consumer_group_metadata()
            log.debug("partitions_assigned", "assigned {owned}", owned=sorted(self._owned))
        except KafkaException as error:
            # The binding would go on and assign default positions by itself.
            self._failed = kafka_error(error, "Taking part in the group", *self._needs)

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._owned -= {place.partition for place in partitions}
        log.debug("partitions_revoked", "revoked, left with {owned}", owned=sorted(self._owned))
        if not consumer.assignment():
            return
        try:
            consumer.incremental_unassign(partitions)
        except KafkaException as error:
            log.debug("unassign_failed", "giving up partitions: {error}", error=error)


_HOPELESS: Final = (
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.INCONSISTENT_GROUP_PROTOCOL,
    KafkaError.INVALID_SESSION_TIMEOUT,
)
"""Waiting does not heal these."""
