"""The one place where order matters: blocks of all partitions in, rows and closed windows out.

The problem. Several processes decode, each at its own pace, and blocks arrive in any order. Yet what is
published must be a function of the log and the settings. In a backlog partitions may be hours apart, and
neither memory nor the counts may depend on that. And a restart at any moment has to come to the same
windows.

What was tried:

- Judging lateness by the watermark, wherever the record is decoded. The watermark depends on how far the
  other partitions have been read, so scheduling decides what counts: 1,317 of 2,000 simulated runs were
  wrong (REPORT.md). Hence lateness is the business of the partition's own clock, and the watermark only
  closes windows.
- Committing the current position. A restart then misses what open windows already held: 219 of 250 simulated
  runs were wrong (REPORT.md). Hence ``first_touch`` in each partition.
- Reusing a slot as soon as its window is closed: 209 of 250 simulated runs were wrong (REPORT.md). The count
  is not safe until it is committed, so ``free`` is called after the commit.
- Keeping the state before every row, to begin again from there: half a kilobyte each where records are set
  aside. It is kept where a window begins, and otherwise worked out again (``Steps`` in partition_clock.py).
- Dividing and sorting the times of each block to find its windows. Comparing them with the borders of the
  few windows of a block, together with three smaller changes, took the coordinator from 0.155 to 0.081 µs a
  record of 180 bytes (REPORT.md).

The rules:

1. Within a partition blocks are applied in offset order; one that comes too early is parked.
2. Across partitions the one with the lowest floor goes first, where the floor is the event time below which
   no more rows can come out of the partition. So partitions advance together, and windows close early.
3. The ring has a fixed number of slots, one for each window that is open or not yet committed. Rows of later
   windows wait in their partition's outbox, which keeps its floor down; and a partition with too many rows
   waiting is leased no more. So skew costs waiting, not memory.
4. The watermark is the lowest floor of all partitions that are not idle, and never goes back. There is none,
   and no row is handed out, before each of them has a clock. A window closes when it passes the window's end
   plus max lag.
5. The checkpoint of a partition is the state just before the first record of any window still open.
6. When all partitions are idle, time goes on by the wall clock, as far as it takes to close what is open.
   Silence is the only thing that the log does not decide: what is idle, and for how long, comes in from
   outside (``Silence`` in engine/session).

The price. A count waits for the slowest partition, and everything passes through one process. It handles
whole columns, so that a core is full at some 2.7 million records of 2.2 KB a second, or 13 million of 180
bytes ("What limits it" in REPORT.md); but it looks at each partition for each block, which shows with 64
partitions and more.

Sources. Low watermarks: Akidau et al., "MillWheel", PVLDB 6(11), 2013, and "The Dataflow Model", PVLDB
8(12), 2015. There the watermark also decides what is late; here only the partition's own clock does, which
reads the same every time. tests/simulation plays this module against plain sets, with every kind of crash.
"""

from collections.abc import Container, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from streamagg.core.late_references import LateBook
from streamagg.core.partition import Partition
from streamagg.core.partition_clock import LateRows, Outcome, PartitionState, Run, TimestampsNeeded
from streamagg.core.windows import FEW, Windows
from streamagg.model.columns import Columns, schema_of, selected, wants_positions, with_positions
from streamagg.model.groups import Tables
from streamagg.model.messages import ColumnBlock
from streamagg.model.settings import PLAIN, DecodeSettings


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one window, columns of shape ``(n,)``, n > 0."""

    window: int
    columns: Columns
    """Those of ``model.columns.delivered_schema_of``."""
    texts: Tables = ()
    """What names their groups."""


@dataclass(frozen=True, slots=True)
class Closed:
    """No row of this window follows."""

    window: int
    partial: bool


@dataclass(frozen=True, slots=True)
class Reread:
    """Read this partition again from ``offset`` on, with timestamps."""

    partition: int
    offset: int


Step = Rows | Closed | Reread


class Sequencer:
    """Turns column blocks into rows of windows and decides when windows close."""

    def __init__(
        self,
        windows: Windows,
        slots: int,
        partitions: Mapping[int, PartitionState],
        *,
        decode: DecodeSettings = PLAIN,
        closed_through: int | None = None,
        read_before: Mapping[int, int] | None = None,
        most_late: int = 0,
        most_future: int = 0,
    ) -> None:
        """``decode``: what rows carry.

        ``most_late``: so many late records may wait in ``late`` to be reported; 0: they are only counted.

        ``most_future``: the same of those rejected as future; 0: any number.
        """
        self.windows = windows
        self.slots = slots
        self._schema = schema_of(decode)
        self._with_positions = wants_positions(decode)
        self.closed_through = closed_through
        """The greatest window that is closed; None while nothing is."""
        self.watermark_ms: int | None = None
        self.partitions: dict[int, Partition] = {}
        self._records: dict[int, int] = {}
        self._unfreed: set[int] = set()
        self._most_future = most_future
        self._future: list[tuple[int, int]] = []
        self.late = LateBook(most_late)
        for partition, state in partitions.items():
            self.add_partition(partition, state, (read_before or {}).get(partition, state.offset))

    def add_partition(self, partition: int, state: PartitionState, read_before: int) -> None:
        """Begin with a partition; it holds the watermark until it has a clock or is idle."""
        self.partitions[partition] = Partition(
            partition, self.windows, self._schema, state, read_before, keep_late=self.late.wanted
        )

    @property
    def open_records(self) -> Mapping[int, int]:
        """Records counted so far, by window that holds any and is not closed."""
        return self._records

    @property
    def untold(self) -> bool:
        """Late records, or some rejected as future, wait to be reported with a publication."""
        return bool(self._future or self.late.waiting)

    @property
    def full(self) -> bool:
        """So many wait that nothing more is applied until they are taken."""
        return self.late.full or 0 < self._most_future <= len(self._future)

    def offer(self, block: ColumnBlock) -> None:
        """Park a block until those before it have come."""
        part = self.partitions[block.partition]
        part.parked[block.first] = block
        if block.consumed:
            part.idle = False

    def advance(self, silent_ms: int = 0) -> Iterator[Step]:
        """Apply everything that can be applied, until too much waits to be reported.

        ``silent_ms``: how long nothing has come of any partition.
        """
        blocked: set[int] = set()
        while not self.full and (chosen := self._lowest(blocked)) is not None:
            part, moved = self.partitions[chosen], False
            if not part.outbox:
                try:
                    self._apply_block(part)
                except TimestampsNeeded:
                    part.parked.clear()
                    yield Reread(chosen, part.position)
                    continue
                moved = self._move_watermark(silent_ms)
                yield from self._close()
            delivered = yield from self._deliver(part)
            moved |= self._move_watermark(silent_ms)
            yield from self._close()
            if moved or delivered:
                blocked.clear()
            elif part.outbox:
                blocked.add(chosen)
        self._move_watermark(silent_ms)
        yield from self._close()

    def set_ended(self, partition: int) -> None:
        """The partition has ended: it stops holding the watermark, and its set-aside records are decided."""
        part = self.partitions[partition]
        part.idle = True
        self._account(part, part.clock.end(), part.texts_aside())

    def set_idle(self, partition: int, time_of_day_ms: int) -> None:
        """The partition is silent: it stops holding the watermark; see also ``believe``."""
        self.partitions[partition].idle = True
        self.believe(partition, time_of_day_ms)

    def believe(self, partition: int, time_of_day_ms: int) -> None:
        """What the partition has set aside is believed as far as nothing speaks against it.

        ``time_of_day_ms``: since the epoch.
        """
        part = self.partitions[partition]
        self._account(part, part.clock.believe(time_of_day_ms), part.texts_aside())

    def close_all(self) -> None:
        """Nothing follows in any partition: let every open window close."""
        if self._records:
            self._raise_watermark(self.windows.closes_at_ms(max(self._records)))

    def free(self, window: int) -> None:
        """The window is published: its slot may be used again."""
        self._unfreed.discard(window)

    def take_future(self) -> tuple[tuple[int, int], ...]:
        """Partition and offset of the records rejected as future since the last call."""
        taken, self._future = tuple(self._future), []
        return taken

    def checkpoint(self, through: int | None) -> dict[int, PartitionState]:
        """Per partition, where reading must begin again once windows up to ``through`` are published.

        Forgets what was remembered for those windows.
        """
        states = {}
        for number, part in self.partitions.items():
            states[number] = part.checkpoint(through)
            if through is not None:
                part.first_touch = {w: s for w, s in part.first_touch.items() if w > through}
        return states

    def _lowest(self, blocked: Container[int]) -> int | None:
        """The ready partition with the lowest clock; one without a clock goes first."""
        ready = [
            (-1 if part.floor_ms is None else part.floor_ms, number)
            for number, part in self.partitions.items()
            if number not in blocked and part.ready
        ]
        return min(ready)[1] if ready else None

    def _apply_block(self, part: Partition) -> None:
        block = part.parked[part.position]
        if part.recall(block):
            del part.parked[block.first]
            return
        outcome = part.clock.feed(
            block.event_times(),
            self._schema.view(block.columns),
            block.offsets(),
            block.live_flags(),
            block.next,
        )
        del part.parked[block.first]
        part.caught_up = block.caught_up
        part.counts.read(block)
        self._account(part, outcome, part.texts(block))

    def _account(self, part: Partition, outcome: Outcome, texts: Tables) -> None:
        for run in outcome.runs:
            run.texts = texts
        part.outbox += outcome.runs
        part.counts.waiting += sum(map(len, outcome.runs))
        part.counts.late += outcome.late
        for rows in outcome.late_rows:
            self.late.add(part.number, rows, part.read_before)
        if outcome.future:
            part.counts.reject("future", len(outcome.future))
            self._future += [(part.number, offset) for offset in outcome.future]
        part.counts.set_aside = len(part.clock.state.set_aside)
        if outcome.jumps:
            part.jumps += len(outcome.jumps)
            part.last_jump = outcome.jumps[-1]
        part.note_floor()

    def _deliver(self, part: Partition) -> Generator[Step, None, bool]:
        """Hand out rows of the outbox as far as the ring has room; returns whether any went."""
        delivered = False
        while part.outbox and (limit := self._first_without_slot()) is not None:
            run = part.outbox[0]
            beyond = run.event_time_ms >= self.windows.start_ms(limit)
            fit = int(np.argmax(beyond)) if beyond.any() else len(beyond)
            if fit == 0:
                break
            if fit < len(beyond):
                run, part.outbox[0] = run.cut(fit)
            else:
                del part.outbox[0]
            part.note_floor()
            part.counts.waiting -= fit
            delivered = True
            yield from self._rows(part, run)
        return delivered

    def _rows(self, part: Partition, run: Run) -> Iterator[Rows]:
        """Split a run by window."""
        times, columns = run.event_time_ms, self._delivered(part, run)
        low, high = self.windows.number(int(times.min())), self.windows.number(int(times.max()))
        if low == high:
            yield from self._count_in(part, run, low, 0, len(times), columns)
        elif high - low < FEW:
            for window in range(low, high + 1):
                here = self.windows.holds(window, times)
                if records := int(np.count_nonzero(here)):
                    inside = selected(columns, here)
                    yield from self._count_in(part, run, window, int(np.argmax(here)), records, inside)
        else:
            yield from self._rows_of_many(part, run, columns)

    def _delivered(self, part: Partition, run: Run) -> Columns:
        """What the rows carry on from here."""
        if not self._with_positions:
            return run.columns
        return with_positions(run.columns, run.event_time_ms, part.number, run.offset)

    def _rows_of_many(self, part: Partition, run: Run, columns: Columns) -> Iterator[Rows]:
        """Split a run by many windows."""
        windows = self.windows.number(run.event_time_ms)
        order = np.argsort(windows, kind="stable")
        ordered, columns = windows[order], selected(columns, order)
        starts = [0, *(np.flatnonzero(np.diff(ordered)) + 1).tolist(), len(ordered)]
        for start, stop in pairwise(starts):
            window, here = int(ordered[start]), selected(columns, slice(start, stop))
            yield from self._count_in(part, run, window, int(order[start]), stop - start, here)

    def _count_in(
        self, part: Partition, run: Run, window: int, first_row: int, records: int, columns: Columns
    ) -> Iterable[Rows]:
        """Rows of one window: counted, unless the window is closed."""
        if self.closed_through is not None and window <= self.closed_through:
            self._skip(part, run, window, records)
            return ()
        if window not in part.first_touch:
            part.first_touch[window] = run.moment_before(first_row)
        self._records[window] = self._records.get(window, 0) + records
        self._unfreed.add(window)
        part.counts.counted += records
        return (Rows(window, columns, run.texts),)

    def _skip(self, part: Partition, run: Run, window: int, records: int) -> None:
        """Count rows of a closed window as read again, or as too late for a window closed in silence."""
        if part.position <= part.read_before:
            # Also what an idle partition decides: its step stands at the position itself.
            part.counts.published_before += records
            return
        here = self.windows.holds(window, run.event_time_ms)
        steps = run.step_offsets()[here]
        again = int(np.count_nonzero(steps < part.read_before))
        part.counts.published_before += again
        part.counts.closed_early += records - again
        part.counts.late += records - again
        if self.late.wanted:
            rows = LateRows(run.offset[here], run.event_time_ms[here], run.clocks_before()[here], steps)
            self.late.add(part.number, rows, part.read_before, closed_early=True)

    def _first_without_slot(self) -> int | None:
        """The lowest window that the ring has no slot for; None until there is a watermark."""
        if self.closed_through is None:
            return None
        return min([*self._unfreed, self.closed_through + 1]) + self.slots

    def _move_watermark(self, silent_ms: int) -> bool:
        floors = [part.floor_ms for part in self.partitions.values() if part.holds]
        if not floors:
            return self._run_on(silent_ms)
        known = [floor for floor in floors if floor is not None]
        return len(known) == len(floors) and self._raise_watermark(min(known))

    def _run_on(self, silent_ms: int) -> bool:
        """All are idle: time goes on by the wall clock, as far as it takes to close what is open."""
        clocks = [part.floor_ms for part in self.partitions.values() if part.floor_ms is not None]
        if not clocks:
            return False
        greatest = max(clocks)
        last_needed = self.windows.closes_at_ms(max(self._records)) if self._records else greatest
        return self._raise_watermark(max(greatest, min(greatest + silent_ms, last_needed)))

    def _raise_watermark(self, watermark_ms: int) -> bool:
        if self.watermark_ms is not None and watermark_ms <= self.watermark_ms:
            return False
        self.watermark_ms = watermark_ms
        return True

    def _close(self) -> Iterator[Closed]:
        if self.watermark_ms is None:
            return
        last = self.windows.last_closed(self.watermark_ms)
        if self.closed_through is not None and last <= self.closed_through:
            return
        self.closed_through = last
        partial = self.partial_through
        for window in sorted(w for w in self._records if w <= last):
            del self._records[window]
            yield Closed(window, partial is not None and window <= partial)

    @property
    def partial_through(self) -> int | None:
        """The window in which reading began, if that was inside of the log."""
        known = [part.clock.state.partial_through for part in self.partitions.values()]
        return max((p for p in known if p is not None), default=None)
