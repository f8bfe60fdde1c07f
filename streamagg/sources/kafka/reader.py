"""Reads leases from Kafka: a consumer without a group, assigned by hand."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from confluent_kafka import TopicPartition

from streamagg.events import Log
from streamagg.model.batch import Batch, behind_first
from streamagg.model.messages import Lease
from streamagg.sources.kafka.fetching import Fetched, Fetching

BATCH_RECORDS: Final = 16_000
"""Messages taken at once, if they hold no more than 16 MiB. Batches of 8,000 instead of 2,000 took the
coordinator from 0.38 to 0.31 µs a record of 180 bytes ("Tried" in REPORT.md)."""

log = Log(__name__)


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

    def __init__(self, connect: Callable[[], Fetching], topic: str) -> None:
        """``connect`` makes a consumer, and another one when no broker answers that."""
        self._connect = connect
        self._fetching = connect()
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
            self._fetching.consumer.incremental_unassign([TopicPartition(self._topic, number)])

    def poll(self, timeout_ms: int) -> list[Batch]:
        """Batches of what has come within the time-out.

        Raises KafkaUnreachable, TopicError, CheckpointError (retention has removed what the lease
        wants to read) or KafkaFailed.
        """
        batches: list[Batch] = []
        for fetched in self._fetching.fetch(BATCH_RECORDS, timeout_ms):
            if fetched.partition in self._partitions:
                batches += self._batches(fetched)
        if not batches and self._fetching.lost():
            self._reconnect()
        return batches

    def close(self) -> None:
        """Close the consumer."""
        self._fetching.close()

    def _reconnect(self) -> None:
        log.warning(
            "reader_reconnected",
            "no broker answers: reading {topic} goes on with a new connection",
            topic=self._topic,
        )
        self._fetching.close()
        self._fetching = self._connect()
        for partition, reading in self._partitions.items():
            self._assign(partition, reading.position)

    def _begin(self, lease: Lease) -> None:
        self._partitions[lease.partition].position = lease.start
        self._assign(lease.partition, lease.start)

    def _assign(self, partition: int, position: int) -> None:
        self._fetching.consumer.incremental_assign([TopicPartition(self._topic, partition, position)])

    def _batches(self, fetched: Fetched) -> list[Batch]:
        """The records of one partition as batches, one for each lease they reach into."""
        batches: list[Batch] = []
        reading = self._partitions[fetched.partition]
        offsets, taken, count = fetched.offsets, 0, len(fetched.offsets)
        if not count and fetched.end is None:
            return batches
        while True:
            lease = reading.leases[0]
            upto = int(np.searchsorted(offsets, lease.stop))
            reached = int(offsets[upto]) if upto < count else fetched.end or 0
            behind = int(offsets[upto - 1]) + 1 if upto > taken else reading.position
            stop = min(lease.stop, max(reached, behind))
            part = slice(taken, upto)
            payloads = fetched.payloads[part]
            batches.append(
                Batch(
                    lease=lease.id,
                    partition=fetched.partition,
                    first=reading.position,
                    next=stop,
                    end=self._end(fetched.partition),
                    caught_up=fetched.end is not None and upto == count and stop == fetched.end,
                    payloads=payloads,
                    payload_bytes=fetched.size_of(payloads),
                    offsets=offsets[part],
                    timestamps_ms=fetched.timestamps_ms()[part] if lease.timestamps else None,
                    appended_ms=fetched.appended_ms()[part] if lease.timestamps else None,
                    origin=behind_first(fetched.origin, taken),
                )
            )
            reading.position, taken = stop, upto
            goes_on = stop == lease.stop and self._next_lease(fetched.partition, reading)
            # The end is reported once: whoever reads up to it must hear of it, even behind a gap.
            if not goes_on or (taken == count and fetched.end in (None, stop)):
                return batches

    def _next_lease(self, partition: int, reading: _Reading) -> bool:
        """Begin with the partition's next lease; True if it goes on right here, without a new fetch."""
        done = reading.leases.popleft()
        if reading.leases and reading.leases[0].start == done.stop:
            return True
        self._fetching.consumer.incremental_unassign([TopicPartition(self._topic, partition)])
        if reading.leases:
            self._begin(reading.leases[0])
        else:
            del self._partitions[partition]
        return False

    def _end(self, partition: int) -> int:
        marks = self._fetching.consumer.get_watermark_offsets(
            TopicPartition(self._topic, partition), cached=True
        )
        return int(marks[1]) if marks else -1
