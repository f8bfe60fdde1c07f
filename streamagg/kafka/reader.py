"""Reads leases from Kafka: a consumer without a group, assigned by hand."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import compress
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from streamagg.errors import CheckpointError
from streamagg.kafka.client import consumer_config, kafka_error
from streamagg.records import Batch, Lease
from streamagg.settings import KafkaSettings

BATCH_RECORDS: Final = 2_000


def lease_consumer(kafka: KafkaSettings) -> Consumer:
    """A consumer for ``LeaseReader``: the group id is never used, nothing is committed."""
    return Consumer(
        consumer_config(
            kafka,
            group_id="streamagg-unmarshaller",
            enable_partition_eof=True,
        )
    )


@dataclass(slots=True)
class _Reading:
    """The leases of one partition, the first of which is being read."""

    leases: deque[Lease] = field(default_factory=deque)
    position: int = 0


class LeaseReader:
    """Hands out the payloads of leases, in batches of one partition each.

    Offsets have gaps (compaction, aborted records, transaction markers): how far a lease has come is
    told by the next record behind it or by the end-of-partition event, never by counting.
    """

    def __init__(self, consumer: Consumer, topic: str) -> None:
        self._consumer = consumer
        self._topic = topic
        self._partitions: dict[int, _Reading] = {}

    @property
    def busy(self) -> bool:
        """There is a lease to read."""
        return bool(self._partitions)

    def add(self, lease: Lease) -> None:
        """Read a further lease."""
        reading = self._partitions.get(lease.partition)
        if reading is not None:
            reading.leases.append(lease)
            return
        self._partitions[lease.partition] = _Reading(deque([lease]))
        self._begin(lease)

    def revoke(self, partition: int | None) -> None:
        """Forget the leases of a partition, or all."""
        for number in [p for p in self._partitions if partition is None or p == partition]:
            del self._partitions[number]
            self._consumer.incremental_unassign([TopicPartition(self._topic, number)])

    def poll(self, timeout_ms: int) -> list[Batch]:
        """Batches of what has come within the time-out.

        Raises KafkaUnreachable, TopicError, CheckpointError (retention has removed what the lease
        wants to read) or KafkaFailed.
        """
        messages = self._consumer.consume(BATCH_RECORDS, timeout_ms / 1000)
        if not messages:
            return []
        if len(self._partitions) == 1:
            return self._batches(next(iter(self._partitions)), messages)
        batches: list[Batch] = []
        for partition, own in _by_partition(messages).items():
            if partition in self._partitions:
                batches += self._batches(partition, own)
        return batches

    def close(self) -> None:
        """Close the consumer."""
        self._consumer.close()

    def _begin(self, lease: Lease) -> None:
        self._partitions[lease.partition].position = lease.start
        self._consumer.incremental_assign([TopicPartition(self._topic, lease.partition, lease.start)])

    def _batches(self, partition: int, messages: list[Message]) -> list[Batch]:
        """The messages of one partition as batches, one for each lease they reach into."""
        caught_up = None
        if any(map(Message.error, messages)):
            messages, caught_up = _records(messages)
            if not messages and caught_up is None:
                return []
        offsets = _offsets(messages)
        batches: list[Batch] = []
        reading = self._partitions[partition]
        while True:
            lease = reading.leases[0]
            fit = _below(offsets, lease.stop)
            reached = caught_up if fit == len(offsets) else offsets[fit]
            stop = min(lease.stop, max(reached or 0, offsets[fit - 1] + 1 if fit else reading.position))
            batches.append(
                Batch(
                    lease=lease.id,
                    partition=partition,
                    first=reading.position,
                    next=stop,
                    end=self._end(partition),
                    caught_up=caught_up is not None and fit == len(offsets) and stop == caught_up,
                    payloads=list(map(Message.value, messages[:fit])),
                    offsets=offsets[:fit],
                    timestamps_ms=[_timestamp(m) for m in messages[:fit]] if lease.timestamps else None,
                )
            )
            reading.position = stop
            messages, offsets = messages[fit:], offsets[fit:]
            goes_on = stop == lease.stop and self._next_lease(partition, reading)
            if not goes_on or not offsets:
                return batches

    def _next_lease(self, partition: int, reading: _Reading) -> bool:
        """Begin with the partition's next lease; True if it goes on right here, without a new fetch."""
        done = reading.leases.popleft()
        if reading.leases and reading.leases[0].start == done.stop:
            return True
        self._consumer.incremental_unassign([TopicPartition(self._topic, partition)])
        if reading.leases:
            self._begin(reading.leases[0])
        else:
            del self._partitions[partition]
        return False

    def _end(self, partition: int) -> int:
        marks = self._consumer.get_watermark_offsets(TopicPartition(self._topic, partition), cached=True)
        return int(marks[1]) if marks else -1


def _records(messages: list[Message]) -> tuple[list[Message], int | None]:
    """Split events from records; the offset of the end of the partition if nothing follows it."""
    records, end = [], None
    for message in messages:
        error = message.error()
        if error is None:
            records.append(message)
            end = None
        elif error.code() == KafkaError._PARTITION_EOF:
            end = message.offset()
        elif error.code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):
            raise CheckpointError(
                f"partition {message.partition()} of the input does not hold the offset that is to be read "
                "next: retention has removed it, or the topic was made anew; start anew with --from earliest"
            )
        elif error.fatal() or not error.retriable():
            raise kafka_error(KafkaException(error), "reading the input topic")
    return records, end


def _by_partition(messages: list[Message]) -> dict[int, list[Message]]:
    """The messages of each partition, in their order, without a step of the interpreter for each."""
    numbers = list(map(Message.partition, messages))
    return {
        number: list(compress(messages, map(number.__eq__, numbers)))
        for number in dict.fromkeys(numbers)
        if number is not None
    }


def _offsets(messages: list[Message]) -> Sequence[int]:
    if not messages:
        return range(0)
    first, last = messages[0].offset() or 0, messages[-1].offset() or 0
    if last - first == len(messages) - 1:
        return range(first, last + 1)
    return [message.offset() or 0 for message in messages]


def _below(offsets: Sequence[int], stop: int) -> int:
    """How many offsets lie below ``stop``."""
    if not offsets or offsets[-1] < stop:
        return len(offsets)
    return next(i for i, offset in enumerate(offsets) if offset >= stop)


def _timestamp(message: Message) -> int:
    kind, timestamp = message.timestamp()
    return timestamp if kind else -1
