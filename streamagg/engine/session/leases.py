"""Who reads which offsets.

The problem. Several unmarshallers share the reading, and none of them keeps state. More of them should help
even with a single partition; one that dies must cost no more than what it had not delivered; what waits in
memory must stay bounded when partitions are hours apart; and whoever reads the tail has to wait at the end
of the log for records that do not exist yet. What makes this hard is the client: it fetches ahead, up to 32
MiB, and all of that is thrown away when it turns to another partition or offset.

What was tried (figures from "Tried" in REPORT.md; records of 2.2 KB, two cores):

- Many small leases, dealt to whoever is free. So much was fetched in vain that one partition was read faster
  than four. Hence the first rule below.
- The next lease once a quarter of the last is left. Leases shrink towards the end of a bounded run, and a
  quarter of a small one is read before the next arrives. Its reader then begins a new fetch, behind a
  request that waits at the end of other partitions: 290,000 records/s, and 428,000 since the next lease
  comes as soon as ``fewest`` offsets are left, where a quarter is less.
- Giving what a dead unmarshaller left to one that already reads further on. It reads its leases of a
  partition in turn and may be waiting for the log to grow, so the gap would wait as well. Hence
  ``can_be_helped_by``.
- Leasing nothing where no room is left, gaps included. What fills the memory may be waiting for just that
  gap, and then nothing moves again: one of 20,000 seeds of the simulator stood still. Hence ``may_go_on``.
- Leasing adjoining gaps one by one. The second may begin beyond the end of the log, where nothing can be
  fetched. Hence ``_merged``.

The rules. A lease is a range of offsets of one partition, held by one unmarshaller until all of it has been
delivered or its holder dies.

1. Whoever reads a partition goes on with it: the next lease is issued before the last one is done.
2. An unmarshaller that runs dry is given a range of a partition that others read, so that several read one
   partition at once while there is backlog.
3. At the tail one of them holds a lease that reaches beyond the end, and asks for the broker's timestamps.
4. A partition whose rows wait in memory gets no further lease, except for a gap.
5. What the holder of a lease had not delivered when it died becomes a gap, and is read first. Where
   unmarshallers die twice in one stretch, records are tried one at a time (docs/decoding.md, "Poison").
6. Near the end of a bounded run leases become smaller, so that all workers finish together.
7. Where offsets stand for places, as bytes of files, the source says where a lease may end, and none reaches
   beyond the end that it knows of (``sources.contract.Marks``). One is issued for that end, be it without
   offsets: it tells that there is nothing more.

The price. Rows wait in the coordinator for the slowest partition: with 64 partitions up to 1,600,000 of
them, 190 MB where four partitions take 75 ("What limits it" in REPORT.md). And an unmarshaller reads at most
four partitions with backlog at once; if all of these are held up by open transactions, the others of a
bounded run wait.

Sources. The word is that of Gray and Cheriton ("Leases", SOSP 1989), without their term: a process that dies
closes its link, and one that is stuck is killed, so a lease needs no time-out of its own. How the client
fetches is under "Traps" in docs/design.md. tests/simulation plays all of this with workers that die and
partitions that stall.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from streamagg.engine.session.poison import Suspicion
from streamagg.events import Log
from streamagg.model.batch import Standing
from streamagg.model.messages import ColumnBlock, Lease, Trying
from streamagg.sources.contract import UNKNOWN_END, Marks, Stretch, Unit

log = Log(__name__)

_PARTITIONS_A_WORKER: Final = 4
"""Partitions with backlog that an unmarshaller reads at once. With only one, a partition without a leader, or
behind an open transaction, would stop its reader. Three million records of 180 bytes in 16 partitions took
6.5 CPU seconds and 418 MB with 1, 6.5 and 511 with 4, 7.1 and 458 with 16."""
_MOST_WAITING: Final = 200_000
"""As many rows as one lease of a topic brings."""
_WAITING_IN_ALL: Final = 1_600_000
"""The same for all partitions together: 190 MB with 64 of them, where four partitions take 75 ("What limits
it" in REPORT.md). A quarter of it saved nothing with 16 partitions (510 MB either way)."""
_SUSPECT_PART: Final = 8
"""The part of a lease that a death makes suspect: one in so many. What is suspect is read one by one, which
takes seconds for 25,000 records (docs/status.md)."""


@dataclass(frozen=True, slots=True)
class LeaseSize:
    """Offsets in a lease, and what may wait behind them."""

    most: int
    fewest: int
    most_waiting: int = _MOST_WAITING
    """Rows that a partition may hold in memory before it gets no further leases."""
    ends_early: bool = False
    """Where a reader finds the end, a bounded partition ends, though more was expected."""


RECORDS: Final = LeaseSize(200_000, 10_000)
"""Offsets of a topic. Three million records of 180 bytes in 4 partitions took 7.3 CPU seconds with 25,000 in
a lease, 6.4 with 50,000, 5.5 with 200,000 and as much with 800,000, which lets four times as many rows wait.
With 10,000 left a reader has its next lease before it needs it, whatever the record ("Tried" in
REPORT.md)."""
BYTES: Final = LeaseSize(64 << 20, 4 << 20, ends_early=True)
"""Of files, whose offsets count bytes. The end that a reader of a topic finds may be a passing one. 16 and
256 MiB made no difference beyond the noise (400 MB of records of 2.2 KB and of 180 bytes, two
unmarshallers)."""


def lease_size(unit: Unit) -> LeaseSize:
    """By what offsets of a source count."""
    return BYTES if unit == "bytes" else RECORDS


@dataclass(slots=True)
class _Held:
    """A lease and how far its blocks have come."""

    lease: Lease
    worker: int
    received: int
    tried: int | None = None
    """The record that is decoded by itself just now."""

    @property
    def unread(self) -> int:
        """Offsets still to come."""
        return self.lease.stop - self.received


@dataclass(slots=True)
class _Ranges:
    """What of a partition is not leased yet."""

    start: int
    """What is before it is only recalled: no lease has both."""
    next: int
    stop: int | None
    end: int
    timestamps: bool
    """Every further lease asks for Kafka timestamps."""
    timestamps_once: bool
    """The next lease does."""
    suspicion: Suspicion
    gaps: list[tuple[int, int]] = field(default_factory=list)
    """Ranges of leases whose holder died."""
    held: dict[int, _Held] = field(default_factory=dict)
    told_end: int = -1
    """The last end for which there was a lease, if the source knows the end."""

    @property
    def behind(self) -> bool:
        """There are records that nobody has a lease for."""
        return bool(self.gaps) or self.next < self.end

    def may_go_on(self, room: bool) -> bool:
        """Not without room in memory, but for a gap: what is there may wait for just that."""
        return room or bool(self.gaps)

    def can_be_helped_by(self, worker: int) -> bool:
        """There is something to read that does not lie before what this worker reads here.

        It reads its leases of a partition one after the other, and may be waiting at the end of the log.
        """
        first = self.gaps[0][0] if self.gaps else self.next
        own = [held for held in self.held.values() if held.worker == worker]
        return self.behind and not self.exhausted and all(held.lease.stop <= first for held in own)

    def lost_by(self, worker: int) -> list[_Held]:
        """Take away the leases of a worker, the first one being the one that it was reading."""
        lost = sorted((h for h in self.held.values() if h.worker == worker), key=lambda h: h.lease.start)
        for held in lost:
            del self.held[held.lease.id]
        return lost

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

    def __init__(
        self,
        workers: int,
        ids: Iterator[int],
        size: LeaseSize = RECORDS,
        poison: dict[int, set[int]] | None = None,
        marks: Marks | None = None,
    ) -> None:
        """``poison`` holds the offsets found to be poison, by partition, and is added to.

        ``marks``: of the source, if it has such.
        """
        self._workers = workers
        self._ids = ids
        self._lease_size = size
        self._poison = {} if poison is None else poison
        self._marks = marks
        self._partitions: dict[int, _Ranges] = {}

    def add_partition(
        self,
        partition: int,
        start: int,
        end: int,
        stop: int | None,
        timestamps: bool,
        recall_from: int | None = None,
    ) -> None:
        """Begin to lease a partition from ``start`` on; up to ``stop`` if the run is bounded.

        ``timestamps`` asks for Kafka timestamps in the first lease; see ``reread``. What lies between
        ``recall_from`` and ``start`` is leased before that.
        """
        stretch = max(1, self._lease_size.most // _SUSPECT_PART)
        suspicion = Suspicion(stretch, self._poison.setdefault(partition, set()))
        before = [] if recall_from is None else [(recall_from, start)]
        self._partitions[partition] = _Ranges(start, start, stop, end, False, timestamps, suspicion, before)

    def received(self, block: ColumnBlock) -> bool:
        """Note how far a lease has come; False if nobody waits for this block."""
        ranges = self._partitions.get(block.partition)
        held = ranges.held.get(block.lease) if ranges else None
        if ranges is None or held is None or block.first != held.received:
            return False
        held.received = block.next
        if held.tried is not None:
            ranges.suspicion.survived(held.tried)
            held.tried = None
        ranges.end = max(ranges.end, block.end)
        ended = block.caught_up and not block.growing
        if self._lease_size.ends_early and ranges.stop is not None and ended:
            ranges.end_at(block.next)
        elif block.next >= held.lease.stop:
            del ranges.held[block.lease]
        return True

    def trying(self, trying: Trying) -> None:
        """Note which record is decoded by itself."""
        ranges = self._partitions.get(trying.partition)
        held = ranges.held.get(trying.lease) if ranges else None
        if held is not None:
            held.tried = trying.offset

    def worker_lost(self, worker: int) -> int:
        """What this unmarshaller had not delivered must be leased again.

        Returns how many deaths may be the fault of records, which is being looked into.
        """
        explained = 0
        lost = {number: ranges.lost_by(worker) for number, ranges in self._partitions.items()}
        tried = any(held.tried is not None for every in lost.values() for held in every)
        for number, every in lost.items():
            ranges = self._partitions[number]
            left = [(held.received, held.lease.stop) for held in every]
            ranges.gaps = _merged([*ranges.gaps, *left], apart=ranges.start)
            if every and (every[0].tried is not None or not tried):
                explained = max(explained, _accuse(number, ranges.suspicion, every[0]))
        return explained

    def reread(self, partition: int, offset: int) -> None:
        """Read a partition again from ``offset`` on, with timestamps in this and all later leases."""
        ranges = self._partitions[partition]
        ranges.held.clear()
        ranges.gaps.clear()
        ranges.next = offset
        ranges.timestamps = True

    def end_here(self) -> None:
        """Nothing more is read: every partition ends behind what has come of it."""
        for ranges in self._partitions.values():
            ranges.held.clear()
            ranges.gaps.clear()
            ranges.stop = ranges.next

    def end(self, partition: int) -> int:
        """The end offset of a partition as last heard."""
        return self._partitions[partition].end

    def finished(self, partition: int) -> bool:
        """Every offset of a bounded partition has been delivered."""
        ranges = self._partitions[partition]
        return ranges.exhausted and not ranges.held

    def standing(self, partition: int, position: int) -> Standing | None:
        """A bounded partition of which somebody reads, and everything before ``position`` has come."""
        ranges = self._partitions[partition]
        if ranges.stop is None or not (ranges.held or self._waits(ranges)):
            return None
        return Standing(position, ranges.stop)

    @property
    def outstanding(self) -> bool:
        """Some unmarshaller still has something to read."""
        return any(ranges.held or self._waits(ranges) for ranges in self._partitions.values())

    def issue(self, order: Iterable[tuple[int, int]]) -> list[tuple[int, Lease]]:
        """New leases as pairs (worker, lease).

        ``order`` gives the partitions, the neediest first, with the rows each has waiting in memory.
        """
        self._note_ends()
        wanted = [(number, self._partitions[number], self._has_room(waiting)) for number, waiting in order]
        places = [(number, ranges, room) for number, ranges, room in wanted if not self._at_end(ranges)]
        issued: list[tuple[int, Lease]] = []
        for number, ranges, room in places:
            worker = self._reader_for(ranges) if ranges.may_go_on(room) else None
            if worker is not None:
                issued.append((worker, self._lease(number, ranges, worker)))
        for worker in range(self._workers):
            if not self._nearly_dry(worker):
                continue
            for number, ranges, room in places:
                if ranges.may_go_on(room) and ranges.can_be_helped_by(worker):
                    issued.append((worker, self._lease(number, ranges, worker)))
                    break
        return issued

    def _note_ends(self) -> None:
        if self._marks is not None:
            for number, ranges in self._partitions.items():
                ranges.end = self._marks.end(number)

    def _at_end(self, ranges: _Ranges) -> bool:
        """Nothing is there for a lease, as far as the source knows, and that was told."""
        if self._marks is None or ranges.behind:
            return False
        return bool(ranges.held) or ranges.told_end == ranges.next

    def _waits(self, ranges: _Ranges) -> bool:
        """A bounded partition is not at its end, and the source gives no more of it yet."""
        return ranges.stop is not None and not ranges.exhausted and self._at_end(ranges)

    def _has_room(self, waiting: int) -> bool:
        return waiting <= min(self._lease_size.most_waiting, _WAITING_IN_ALL // len(self._partitions))

    def _reader_for(self, ranges: _Ranges) -> int | None:
        """Who is to read on in a partition; None if nobody needs to, or can."""
        if ranges.exhausted:
            return None
        if ranges.held:
            last = max(ranges.held.values(), key=lambda held: held.lease.stop)
            ahead = max(self._size() // 4, self._lease_size.fewest)
            goes_on = not ranges.gaps and last.unread <= ahead
            return last.worker if goes_on else None
        load = [len(self._held_by(worker)) for worker in range(self._workers)]
        if ranges.behind and min(load) >= _PARTITIONS_A_WORKER:
            return None
        return load.index(min(load))

    def _nearly_dry(self, worker: int) -> bool:
        """Less than a quarter of a lease is there for it to read."""
        there = sum(max(0, min(h.lease.stop, r.end) - h.received) for r, h in self._held_by(worker))
        return there <= self._size() // 4

    def _held_by(self, worker: int) -> list[tuple[_Ranges, _Held]]:
        every = self._partitions.values()
        return [(ranges, held) for ranges in every for held in ranges.held.values() if held.worker == worker]

    def _lease(self, partition: int, ranges: _Ranges, worker: int) -> Lease:
        timestamps = ranges.timestamps or ranges.timestamps_once or not ranges.behind
        ranges.timestamps_once = False
        start, stop, where = self._range(partition, ranges, self._size())
        lease = Lease(
            next(self._ids),
            partition,
            start,
            stop,
            timestamps,
            ranges.suspicion.careful(start, stop),
            tuple(sorted(offset for offset in ranges.suspicion.poison if start <= offset < stop)),
            where,
        )
        ranges.held[lease.id] = _Held(lease, worker, start)
        return lease

    def _range(self, partition: int, ranges: _Ranges, size: int) -> tuple[int, int, bytes]:
        """A gap, or what follows the last lease; and what its reader has to be told."""
        if ranges.gaps:
            start, limit = ranges.gaps.pop(0)
            stop, where = self._cut(partition, start, limit - start, limit)
            if stop < limit:
                ranges.gaps.insert(0, (stop, limit))
            return start, stop, where
        start, limit = ranges.next, UNKNOWN_END if ranges.stop is None else ranges.stop
        stop, where = self._cut(partition, start, size, limit)
        ranges.next = ranges.told_end = stop
        return start, stop, where

    def _cut(self, partition: int, start: int, size: int, limit: int) -> Stretch:
        if self._marks is None:
            return Stretch(min(start + size, limit), b"")
        return self._marks.stretch(partition, start, size, limit)

    def _size(self) -> int:
        """Offsets in a lease: fewer towards the end of a bounded run, so that all workers end together."""
        size = self._lease_size.most
        if all(ranges.stop is not None for ranges in self._partitions.values()):
            left = sum((ranges.stop or 0) - ranges.next for ranges in self._partitions.values())
            size = min(size, left // (2 * self._workers))
        return max(self._lease_size.fewest, size)


def _accuse(partition: int, suspicion: Suspicion, held: _Held) -> int:
    """Note a death while this lease was read; returns how many may be the fault of records."""
    explained = suspicion.died(held.received, held.tried)
    careful = suspicion.careful(held.received, held.received + 1)
    if held.tried in suspicion.poison:
        log.error(
            "poison_rejected",
            "partition {partition}: the record at offset {offset} is rejected as poison: decoded by itself,"
            " it has killed two unmarshallers",
            partition=partition,
            offset=held.tried,
        )
    elif careful:
        log.warning(
            "poison_suspected",
            "partition {partition}: unmarshallers died from offset {offset} on; the records up to {through}"
            " are read one by one",
            partition=partition,
            offset=held.received,
            through=careful[-1][1],
        )
    return explained


def _merged(gaps: list[tuple[int, int]], apart: int) -> list[tuple[int, int]]:
    """Ranges that touch as one, but for ``apart``: a lease must not begin beyond the end of the log."""
    merged: list[tuple[int, int]] = []
    for start, stop in sorted(gaps):
        if merged and merged[-1][1] == start != apart:
            start = merged.pop()[0]
        merged.append((start, stop))
    return merged
