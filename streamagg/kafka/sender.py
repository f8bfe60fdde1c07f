"""Sends records to a topic in order, without losing sight of one."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from confluent_kafka import KafkaError, KafkaException, Producer

from streamagg.errors import StreamaggError
from streamagg.kafka.client import Right, fatal_errors, is_denied, kafka_error, producer_config, sentence
from streamagg.kafka.delivery import Reports
from streamagg.model.settings import KafkaSettings

FULL_QUEUE_WAIT_S: Final = 0.005
"""Until some of the queue has left: at 100,000 records/s that is 500 of them."""
FLUSH_SLICE_S: Final = 0.2
"""How often it is asked whether to wait on: fast enough for Ctrl-C."""
OWNED: Final[dict[str, Any]] = {
    # Repeats after a lost answer are dropped by the broker, and the order of a partition is kept.
    "enable_idempotence": True,
    # Batches fill meanwhile. Other values made no difference ("Tried" in REPORT.md).
    "linger_ms": 20,
    # This bounds the memory; the number of messages never does, with records of 134 bytes and more.
    "queue_buffering_max_kbytes": 128 << 10,
    "queue_buffering_max_messages": 1_000_000,
    # Whoever is not in the queue and has not failed has arrived: no call into Python for each record.
    "delivery_report_only_error": True,
    # A broker that is restarted is back within a minute.
    "message_timeout_ms": 60_000,
    # The same key goes to the same partition as with Kafka's own clients.
    "partitioner": "murmur2_random",
}


@dataclass(slots=True)
class SendStats:
    """What has been sent so far."""

    records: int = 0
    bytes: int = 0
    failed: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    """Failed records by what Kafka says."""
    without_key: int = 0
    """Records whose key field holds nothing that can be a key."""
    untimed: Counter[str] = field(default_factory=Counter)
    """Records sent without waiting because their time could not be read, by what is wrong with them."""

    def fail(self, reason: str, records: int = 1) -> None:
        """Count records that did not arrive."""
        self.failed += records
        self.reasons[reason] = self.reasons.get(reason, 0) + records


class Sender:
    """Record i goes to partition i modulo their number; with a key field the key decides instead."""

    def __init__(
        self,
        kafka: KafkaSettings,
        topic: str,
        partitions: int,
        *,
        compression: str = "none",
        key_path: list[str] | None = None,
    ) -> None:
        """Raises KafkaFailed if the client settings are impossible together."""
        self.stats = SendStats()
        self.lost = False
        """Records were given up because no broker took them: more of them will not do better."""
        self._reports = Reports[None]()
        self._topic = topic
        self._partitions = partitions
        self._key_path = key_path
        config = producer_config(kafka, compression_type=compression, **OWNED)
        try:
            self._producer = Producer({**config, "on_delivery": self._reports.hear})
        except KafkaException as error:
            raise kafka_error(error, "Setting up the producer") from error

    @property
    def pending(self) -> int:
        """Records that are not acknowledged yet."""
        return len(self._producer)

    def send(self, record: bytes) -> None:
        """Queue one record, waiting while the queue is full. Raises KafkaFailed and its relatives."""
        if self._key_path is None:
            self._produce(record, None, self.stats.records % self._partitions)
        else:
            key = key_of(record, self._key_path)
            self.stats.without_key += key is None
            self._produce(record, key, -1)
        self.stats.records += 1
        self.stats.bytes += len(record)

    def leave_out(self, reason: str) -> None:
        """Count a record that is not sent."""
        self.stats.records += 1
        self.stats.fail(reason)

    def wait(self, seconds: float) -> None:
        """Let time pass while deliveries go on. Raises KafkaFailed and its relatives."""
        self._serve(self._producer.poll, seconds)

    def finish(self, patient: Callable[[], bool]) -> None:
        """Wait until everything is acknowledged or given up, or patience ends.

        Raises KafkaFailed and its relatives.
        """
        while self._serve(self._producer.flush, FLUSH_SLICE_S) and patient():
            pass
        if self.pending:
            self.stats.fail("not acknowledged before the end", self.pending)

    def _produce(self, record: bytes, key: bytes | None, partition: int) -> None:
        while True:
            try:
                self._producer.produce(self._topic, record, key, partition)
                return
            except BufferError:
                self.wait(FULL_QUEUE_WAIT_S)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.MSG_SIZE_TOO_LARGE:
                    raise self._error(error) from error
                self.stats.fail(sentence(error.args[0]))
                return

    def _serve(self, call: Callable[[float], int], seconds: float) -> int:
        """Let callbacks run."""
        try:
            with fatal_errors():
                served = call(seconds)
        except KafkaException as error:
            raise self._error(error) from error
        finally:
            denied = self._count_undelivered()
        if denied is not None:
            raise self._error(denied)
        return served

    def _count_undelivered(self) -> KafkaError | None:
        """Returns the error that says that a right is missing."""
        denied = None
        for failed in self._reports.take():
            self.stats.fail(sentence(failed.error), failed.records)
            self.lost |= failed.error.code() in (KafkaError._MSG_TIMED_OUT, KafkaError._FATAL)
            if is_denied(failed.error):
                denied = failed.error
        return denied

    def _error(self, cause: KafkaException | KafkaError) -> StreamaggError:
        return kafka_error(cause, f"Writing to the topic {self._topic}", Right("WRITE", "topic", self._topic))


def key_of(record: bytes, path: list[str]) -> bytes | None:
    """The text at a path as a key; None if the record is not JSON or holds neither text nor integer there."""
    try:
        value = orjson.loads(record)
        for name in path:
            value = value[name]
    except (ValueError, KeyError, TypeError, IndexError):
        return None
    if isinstance(value, str):
        return value.encode()
    return str(value).encode() if type(value) is int else None
