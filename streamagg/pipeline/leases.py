"""Who reads which offsets.

A lease is a range of offsets of one partition. While there is backlog several unmarshallers read one
partition at once; at its tail one of them holds a lease that reaches beyond the end.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from streamagg.records import ColumnBlock, Lease

_LEASES_A_WORKER: Final = 2
"""Leases into the backlog that an unmarshaller holds at once: one to read, one to go on with."""
_MOST_WAITING: Final = 100_000
"""Rows that a partition may hold in memory before it gets no further leases."""
_WAITING_IN_ALL: Final = 1_600_000
"""The same for all partitions together."""


@dataclass(frozen=True, slots=True)
class LeaseSize:
    """Offsets in a lease."""

    most: int
    fewest: int


RECORDS: Final = LeaseSize(100_000, 5_000)
BYTES: Final = LeaseSize(16 << 20, 1 << 20)
"""Of files, whose offsets count bytes."""


@dataclass(slots=True)
class _Held:
    """A lease and how far its blocks have come."""

    lease: Lease
    worker: int
    received: int


@dataclass(slots=True)
class _Ranges:
    """What of a partition is not leased yet."""

    next: int
    stop: int | None
    end: int
    timestamps: bool
    """Every further lease asks for Kafka timestamps."""
    timestamps_once: bool
    """The next lease does."""
    gaps: list[tuple[int, int]] = field(default_factory=list)
    """Ranges of leases whose holder died."""
    held: dict[int, _Held] = field(default_factory=dict)

    @property
    def behind(self) -> bool:
        """There are records that nobody has been told to read."""
        return bool(self.gaps) or self.next < self.end

    def end_at(self, offset: int) -> None:
        """A bounded partition ends here, maybe before it was expected."""
        self.stop = self.next = offset
        self.held = {number: held for number, held in self.held.items() if held.received < offset}
        self.gaps = [gap for gap in self.gaps if gap[0] < offset]

    @property
    def exhausted(self) -> bool:
        """A bounded partition: everything is leased."""
        return not self.gaps and self.stop is not None and self.next >= self.stop


class LeaseBook:
    """Leases of all partitions over the unmarshallers ``0 .. workers - 1``."""

    def __init__(self, workers: int, ids: Iterator[int], size: LeaseSize = RECORDS) -> None:
        self._workers = workers
        self._ids = ids
        self._lease_size = size
        self._partitions: dict[int, _Ranges] = {}

    def add_partition(self, partition: int, start: int, end: int, stop: int | None, timestamps: bool) -> None:
        """Begin to lease a partition from ``start`` on; up to ``stop`` if the run is bounded.

        ``timestamps`` asks for Kafka timestamps in the first lease; see ``reread``.
        """
        self._partitions[partition] = _Ranges(start, stop, end, False, timestamps)

    def received(self, block: ColumnBlock) -> bool:
        """Note how far a lease has come; False if nobody waits for this block."""
        ranges = self._partitions.get(block.partition)
        held = ranges.held.get(block.lease) if ranges else None
        if ranges is None or held is None or block.first != held.received:
            return False
        held.received = block.next
        ranges.end = max(ranges.end, block.end)
        if ranges.stop is not None and block.caught_up:
            ranges.end_at(block.next)
        elif block.next >= held.lease.stop:
            del ranges.held[block.lease]
        return True

    def worker_lost(self, worker: int) -> None:
        """What this unmarshaller had not delivered must be leased again."""
        for ranges in self._partitions.values():
            for held in [h for h in ranges.held.values() if h.worker == worker]:
                del ranges.held[held.lease.id]
                ranges.gaps.append((held.received, held.lease.stop))
            ranges.gaps.sort()

    def reread(self, partition: int, offset: int) -> None:
        """Read a partition again from ``offset`` on, with timestamps in this and all later leases."""
        ranges = self._partitions[partition]
        ranges.held.clear()
        ranges.gaps.clear()
        ranges.next = offset
        ranges.timestamps = True

    def end(self, partition: int) -> int:
        """The end offset of a partition as last heard."""
        return self._partitions[partition].end

    def finished(self, partition: int) -> bool:
        """Every offset of a bounded partition has been delivered."""
        ranges = self._partitions[partition]
        return ranges.exhausted and not ranges.held

    @property
    def outstanding(self) -> bool:
        """Some unmarshaller still has something to read."""
        return any(ranges.held for ranges in self._partitions.values())

    def issue(self, order: Iterable[tuple[int, int]]) -> list[tuple[int, Lease]]:
        """New leases as pairs (worker, lease).

        ``order`` gives the partitions, the neediest first, with the rows each has waiting in memory.
        """
        load = [0] * self._workers
        for ranges in self._partitions.values():
            for held in ranges.held.values():
                load[held.worker] += 1
        issued = []
        for partition, waiting in order:
            ranges = self._partitions[partition]
            while (lease := self._next(partition, ranges, waiting, min(load))) is not None:
                worker = self._worker_for(ranges, lease, load)
                load[worker] += 1
                ranges.held[lease.id] = _Held(lease, worker, lease.start)
                issued.append((worker, lease))
        return issued

    def _next(self, partition: int, ranges: _Ranges, waiting: int, least_load: int) -> Lease | None:
        size = self._size()
        unread = sum(h.lease.stop - h.received for h in ranges.held.values())
        if waiting > min(_MOST_WAITING, _WAITING_IN_ALL // len(self._partitions)) or ranges.exhausted:
            return None
        if ranges.behind:
            if least_load >= _LEASES_A_WORKER or unread >= size * _LEASES_A_WORKER * self._workers:
                return None
        elif unread > size // 4:
            return None
        timestamps = ranges.timestamps or ranges.timestamps_once or not ranges.behind
        ranges.timestamps_once = False
        start, stop = self._range(ranges, size)
        return Lease(next(self._ids), partition, start, stop, timestamps)

    def _range(self, ranges: _Ranges, size: int) -> tuple[int, int]:
        if ranges.gaps:
            return ranges.gaps.pop(0)
        start = ranges.next
        ranges.next = start + size if ranges.stop is None else min(start + size, ranges.stop)
        return start, ranges.next

    def _size(self) -> int:
        """Offsets in a lease: fewer towards the end of a bounded run, so that all workers end together."""
        size = self._lease_size.most
        if all(ranges.stop is not None for ranges in self._partitions.values()):
            left = sum((ranges.stop or 0) - ranges.next for ranges in self._partitions.values())
            size = min(size, left // (2 * self._workers))
        return max(self._lease_size.fewest, size)

    @staticmethod
    def _worker_for(ranges: _Ranges, lease: Lease, load: list[int]) -> int:
        """Who reads just before it goes on without a new fetch, else the one with the least to do.

        A lease that begins beyond the end of the log cannot be fetched yet: only who reads up to it can
        have it, however much that one has to do.
        """
        beyond = lease.start > ranges.end
        for held in ranges.held.values():
            if held.lease.stop == lease.start and (beyond or load[held.worker] < _LEASES_A_WORKER):
                return held.worker
        return load.index(min(load))
