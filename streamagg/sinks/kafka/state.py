"""The state topic: what open periods hold, to be read back by whoever publishes next.

It is compacted, for only the last value of a key counts, and has one partition, so that its records have one
order. It is read when all before are fenced and settled: whatever they have published is committed by then.
"""

from collections.abc import Callable, Mapping
from functools import partial
from time import monotonic
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from streamagg.errors import CheckpointError, KafkaUnreachable, TopicError
from streamagg.kafka.admin import COMPACTED, end_offsets, ensure_topic, log_ends, partitions_of, topic_setting
from streamagg.kafka.client import Right, consumer_config, kafka_error
from streamagg.kafka.client_metrics import observing
from streamagg.kafka.identity import TopicIdentity
from streamagg.model.measured import ClientNumbers
from streamagg.model.settings import KafkaSettings, RunSettings

_CONFIG: Final[Mapping[str, str]] = {
    **COMPACTED,
    # The segment that is written to is never compacted: what a start has to read twice is bounded by this,
    "segment.bytes": str(64 << 20),
    # and by a fifth of what is kept: compaction reads all of it each time.
    "min.cleanable.dirty.ratio": "0.2",
    # Whatever brokers have for a default: chunks of state are larger than counts.
    "max.message.bytes": str(1 << 20),
}
Keep = Callable[[bytes, bytes | None], None]
"""Takes key and value of a record; None removes what the key had."""
_POLICY: Final = "cleanup.policy"
_MESSAGES: Final = 10_000
_SLICE_S: Final = 0.05
"""How long messages are gathered; the end is heard that much later."""
_PATIENCE_S: Final = 60.0
"""Without progress, before the reading is given up: so long a transaction of somebody else may be open unless
it was configured to last longer."""


def make_state_topic(settings: RunSettings, topic: str) -> None:
    """It is there from now on, and as it must be; raises as ``require_state_topic``."""
    ensure_topic(
        settings.kafka,
        topic,
        replicas=settings.output_replicas,
        config=_CONFIG,
        create=settings.create_topics,
    )
    require_state_topic(settings.kafka, topic)


def require_state_topic(kafka: KafkaSettings, topic: str) -> None:
    """Raises TopicError if it is missing, would lose what open periods hold, or has no order."""
    partitions = partitions_of(kafka, topic)
    if partitions != 1:
        raise TopicError(
            f"The state topic {topic} has {partitions} partitions and must have one: delete it and start "
            "anew with --from earliest, or use another --group."
        )
    policy = topic_setting(kafka, topic, _POLICY)
    if policy != COMPACTED[_POLICY]:
        raise TopicError(
            f"The state topic {topic} has {_POLICY}={policy}, which removes what open periods hold: set it "
            "to compact, and start anew with --from earliest if anything was removed."
        )


class StateTopic:
    """Reads it back, and keeps watch that it stays the one that was read."""

    def __init__(self, kafka: KafkaSettings, topic: str, numbers: ClientNumbers) -> None:
        """Raises KafkaFailed if the client settings are impossible together."""
        self.name = topic
        self._kafka = kafka
        self._numbers = numbers
        self._identity = TopicIdentity(kafka, topic)
        self._id: str | None = None
        """None until it is read."""

    def read(self, alive: Callable[[], object]) -> dict[bytes, bytes]:
        """The last committed value of each key, in the order in which they were written.

        Calls ``alive`` several times a second. Raises KafkaUnreachable, TopicError or another StreamaggError.
        """
        self._id = self._identity.ask().id
        end = log_ends(self._kafka, self.name, [0])[0]
        # A client that is to find the beginning by itself waits for half a second first.
        begin = end_offsets(self._kafka, self.name, [0], at="earliest")[0]
        values: dict[bytes, bytes] = {}
        self._read(begin, end, partial(_keep, values), alive)
        return values

    def read_on(self, begin: int | None, keep: Keep, alive: Callable[[], object]) -> int:
        """Hand on what is committed from an offset on, or from the beginning; returns where it ends.

        The rest as for ``read``; transactions under way are not waited for.
        """
        end = end_offsets(self._kafka, self.name, [0], at="latest")[0]
        if begin is None:
            begin = end_offsets(self._kafka, self.name, [0], at="earliest")[0]
        self._read(begin, end, keep, alive)
        return end

    def identity(self) -> str:
        """The id of the topic, whose offsets are those of no other; raises TopicError if it is missing."""
        return self._identity.ask().id

    def confirm(self) -> None:
        """Raises TopicError if it was deleted, or made anew, since it was read."""
        if self._id is None:
            return
        try:
            self._identity.confirm(self._id)
        except CheckpointError as error:
            raise TopicError(
                f"The state topic {self.name} was deleted and made anew, so what open periods held is lost: "
                "start anew with --from earliest, or use another --group."
            ) from error

    def _config(self) -> dict[str, Any]:
        return consumer_config(self._kafka, enable_partition_eof=True, **observing(self._numbers))

    def _read(self, begin: int, end: int, keep: Keep, alive: Callable[[], object]) -> None:
        if begin >= end:
            return
        consumer = Consumer(self._config())
        try:
            consumer.assign([TopicPartition(self.name, 0, begin)])
            self._read_to(consumer, end, keep, alive)
        finally:
            consumer.close()

    def _read_to(self, consumer: Consumer, end: int, keep: Keep, alive: Callable[[], object]) -> None:
        position, held, moved_s = 0, False, monotonic()
        while position < end:
            alive()
            for message in consumer.consume(_MESSAGES, _SLICE_S):
                if self._is_end(message):
                    position, held, moved_s = message.offset() or 0, True, monotonic()
                elif message.error() is None:
                    position, held, moved_s = (message.offset() or 0) + 1, False, monotonic()
                    keep(message.key() or b"", message.value())
            if monotonic() - moved_s > _PATIENCE_S:
                raise self._stuck(held)

    def _is_end(self, message: Message) -> bool:
        """Nothing more can be read for now; raises a StreamaggError for an error that does not pass."""
        error = message.error()
        if error is None:
            return False
        if error.code() == KafkaError._PARTITION_EOF:
            return True
        self._numbers.failed(error.name())
        if error.fatal() or not error.retriable():
            need = Right("READ", "topic", self.name)
            raise kafka_error(error, f"Reading the state topic {self.name}", need)
        return False

    def _stuck(self, held: bool) -> KafkaUnreachable:
        held_up = "a transaction of another producer is open there, which nobody else may write to"
        why = held_up if held else "no broker has answered"
        return KafkaUnreachable(
            f"The state topic {self.name} could not be read on for {_PATIENCE_S:g} s: {why}."
        )


def _keep(values: dict[bytes, bytes], key: bytes, value: bytes | None) -> None:
    # A key that comes again comes behind all others.
    values.pop(key, None)
    if value is not None:
        values[key] = value
