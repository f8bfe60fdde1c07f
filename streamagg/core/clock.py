"""The clock of one partition: what is late, what lies too far ahead, what is accepted.

What comes next is a pure function of the partition's state and the records from there on;
neither the cut of the blocks nor other partitions have a say.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np

from streamagg.core.windows import Windows
from streamagg.records import BoolColumn, Int64Column, UInt64Column

VOTERS: Final = 32
"""So many decodable records decide about a record that was set aside."""
VOTES_NEEDED: Final = 3


class SetAside(NamedTuple):
    """A record out of reach of the clock, waiting for the votes of the records behind it."""

    offset: int
    event_time_ms: int
    user: int
    seen: int
    support: int


class PartitionState(NamedTuple):
    """Everything that decides what the records from ``offset`` on mean."""

    offset: int
    clock_ms: int | None = None
    """Greatest accepted event time; None before the first."""
    set_aside: tuple[SetAside, ...] = ()
    began_inside: bool = False
    """Reading began inside the log: what came before is unknown."""
    partial_through: int | None = None
    """If reading began inside the log, the window of the first record accepted."""


Verdict = Callable[[SetAside], bool]


class TimestampsNeeded(Exception):
    """A record is out of reach and its block does not say whether it is live; nothing was changed."""


@dataclass(slots=True)
class Run:
    """Accepted rows in the order in which they were applied, columns of shape ``(n,)``, n > 0."""

    event_time_ms: Int64Column
    user: UInt64Column
    before: PartitionState
    """The state just before the first row; the offset is that of its step."""
    offset: Int64Column
    """Offset of each row."""
    steps: list[PartitionState] | None = None
    """The state just before the step that applied the row; None when each row was applied where it stands."""

    def clock_before(self, row: int) -> int | None:
        """The partition's clock just before a row, in milliseconds."""
        clock = self.before.clock_ms
        if row == 0:
            return clock
        top = int(self.event_time_ms[:row].max())
        return top if clock is None else max(clock, top)

    def clocks_before(self) -> Int64Column:
        """The partition's clock just before each row; before its first record, that record's own time."""
        first = self.event_time_ms[0] if self.before.clock_ms is None else self.before.clock_ms
        return clocks_before(int(first), self.event_time_ms)

    def step_offsets(self) -> Int64Column:
        """Where each row was applied: at its own offset, or at that of the record that decided about it."""
        if self.steps is None:
            return self.offset
        return np.array([step.offset for step in self.steps], np.int64)

    def state_before(self, row: int) -> PartitionState:
        """The state from which reading must begin again to see this row and all that follow."""
        if self.steps is not None:
            return self.steps[row]
        return self.before._replace(offset=int(self.offset[row]), clock_ms=self.clock_before(row))

    def clock_after_first(self) -> int:
        """The clock once the first row is applied; no later row can belong to a window it closes."""
        first = int(self.event_time_ms[0])
        clock = self.clock_before(0)
        return first if clock is None else max(clock, first)

    def cut(self, row: int) -> tuple["Run", "Run"]:
        """The rows before ``row`` and those from it on; ``0 < row < n``."""
        head, tail = slice(None, row), slice(row, None)
        before = self.state_before(row)
        offset, steps = self.offset, self.steps
        return (
            Run(
                self.event_time_ms[head],
                self.user[head],
                self.before,
                offset[head],
                None if steps is None else steps[head],
            ),
            Run(
                self.event_time_ms[tail],
                self.user[tail],
                before._replace(clock_ms=self.clock_before(row)),
                offset[tail],
                None if steps is None else steps[tail],
            ),
        )


@dataclass(frozen=True, slots=True)
class LateRows:
    """Late records in the order in which that was decided, columns of shape ``(n,)``, n > 0."""

    offset: Int64Column
    event_time_ms: Int64Column
    clock_ms: Int64Column
    """The partition's clock just before each."""
    step_offset: Int64Column
    """Where each was decided: at its own offset or, if it had been set aside, at a later one."""


@dataclass(slots=True)
class Outcome:
    """What a block came to."""

    runs: list[Run] = field(default_factory=list)
    late: int = 0
    late_rows: list[LateRows] = field(default_factory=list)
    """The same records, if they were asked for."""
    future: list[int] = field(default_factory=list)
    """Offsets of the records rejected because nothing confirmed them."""
    jumps: list[tuple[int, int]] = field(default_factory=list)
    """Times before and after, where the clock went further than max jump at once."""


class PartitionClock:
    """Applies the records of one partition, in offset order."""

    def __init__(self, windows: Windows, state: PartitionState, *, keep_late: bool = False) -> None:
        """``keep_late``: outcomes tell which records are late, and not only how many."""
        self._windows = windows
        self._keep_late = keep_late
        self.state = state

    def feed(
        self,
        event_time_ms: Int64Column,
        user: UInt64Column,
        offset: Int64Column,
        live: BoolColumn | None,
        next_offset: int,
    ) -> Outcome:
        """Apply the decodable records of one block; columns of shape ``(n,)``.

        ``live`` tells which records carry a Kafka timestamp within max jump of their event time.
        Raises TimestampsNeeded, and changes nothing, if that is not known but decides.
        """
        pass_ = _Pass(self._windows, self.state, self._keep_late)
        row, rows = 0, len(event_time_ms)
        while row < rows:
            stop = pass_.within_reach(event_time_ms, row)
            if stop > row:
                pass_.apply(event_time_ms[row:stop], user[row:stop], offset[row:stop])
                row = stop
                continue
            time = int(event_time_ms[row])
            reached = pass_.reaches(time)
            if live is None and not reached:
                raise TimestampsNeeded
            pass_.step(
                time, int(user[row]), int(offset[row]), reached or bool(live is not None and live[row])
            )
            row += 1
        self.state = pass_.finish(next_offset)
        return pass_.outcome

    def settle(self) -> Outcome:
        """The partition fell silent or ended: decide about what is still set aside.

        A record is applied if every record that followed it supports it, else rejected as future.
        """
        pass_ = _Pass(self._windows, self.state, self._keep_late)
        pass_.settle()
        self.state = pass_.finish(self.state.offset)
        return pass_.outcome


class _Pass:
    """One pass over a block: the state on the way, committed by ``finish``."""

    def __init__(self, windows: Windows, state: PartitionState, keep_late: bool) -> None:
        self.windows = windows
        self.state = state
        self.outcome = Outcome()
        self._keep_late = keep_late
        self._taken: list[SetAside] = []
        self._steps: list[PartitionState] = []
        self._late: list[tuple[int, int, int, int]] = []

    def within_reach(self, times: Int64Column, row: int) -> int:
        """The end of the rows from ``row`` on that need no vote."""
        clock, max_jump = self.state.clock_ms, self.windows.max_jump_ms
        if clock is None or self.state.set_aside:
            return row
        rest = times[row:]
        if int(rest.max()) <= clock + max_jump:
            return len(times)
        beyond = rest > clocks_before(clock, rest) + max_jump
        return row + int(np.argmax(beyond)) if beyond.any() else len(times)

    def apply(self, times: Int64Column, users: UInt64Column, offsets: Int64Column) -> None:
        """Whole columns within reach, nothing set aside."""
        self._flush()
        state, windows = self.state, self.windows
        assert state.clock_ms is not None
        clock = max(state.clock_ms, int(times.max()))
        if windows.number(int(times.min())) <= windows.last_closed(clock):
            before = clocks_before(state.clock_ms, times)
            timely = windows.timely(times, before)
            if late := len(times) - int(np.count_nonzero(timely)):
                self.outcome.late += late
                if self._keep_late:
                    at = offsets[~timely]
                    self.outcome.late_rows.append(LateRows(at, times[~timely], before[~timely], at))
                times, users, offsets = times[timely], users[timely], offsets[timely]
        if len(times):
            self.outcome.runs.append(Run(times, users, state._replace(offset=int(offsets[0])), offsets))
        self.state = state._replace(clock_ms=clock)

    def reaches(self, time: int) -> bool:
        """Whether a record needs no vote."""
        clock = self.state.clock_ms
        return clock is not None and time <= clock + self.windows.max_jump_ms

    def step(self, time: int, user: int, offset: int, believed: bool) -> None:
        """One record: it votes, it is applied or set aside, and what that decides is applied too."""
        before = self.state._replace(offset=offset)
        record = SetAside(offset, time, user, 0, 0)
        max_jump = self.windows.max_jump_ms
        waiting = [
            a._replace(seen=a.seen + 1, support=a.support + (time >= a.event_time_ms - max_jump))
            for a in before.set_aside
        ]
        if believed:
            self._take(before, record)
        else:
            waiting.append(record)
        self._take_decided(before, waiting, lambda a: a.support >= VOTES_NEEDED)
        self.outcome.future += [a.offset for a in waiting if a.seen >= VOTERS]
        self.state = self.state._replace(set_aside=tuple(a for a in waiting if a.seen < VOTERS))

    def settle(self) -> None:
        """Decide about everything set aside."""
        before = self.state
        waiting = list(before.set_aside)
        self._take_decided(before, waiting, lambda a: a.support == a.seen)
        self.outcome.future += [a.offset for a in waiting]
        self.state = self.state._replace(set_aside=())

    def finish(self, next_offset: int) -> PartitionState:
        """The state after the pass."""
        self._flush()
        return self.state._replace(offset=next_offset)

    def _take_decided(self, before: PartitionState, waiting: list[SetAside], confirmed: "Verdict") -> None:
        """Apply, in offset order, what is confirmed or within reach since the clock moved."""
        while True:
            decided = next((a for a in waiting if confirmed(a) or self.reaches(a.event_time_ms)), None)
            if decided is None:
                return
            waiting.remove(decided)
            self._take(before, decided)

    def _take(self, before: PartitionState, record: SetAside) -> None:
        """Apply one record: clock, lateness, window."""
        clock, time = self.state.clock_ms, record.event_time_ms
        window = self.windows.number(time)
        if clock is not None and window <= self.windows.last_closed(clock):
            self.outcome.late += 1
            if self._keep_late:
                self._late.append((record.offset, time, clock, before.offset))
            return
        if clock is not None and not self.reaches(time):
            self.outcome.jumps.append((clock, time))
        if self.state.began_inside and self.state.partial_through is None:
            self.state = self.state._replace(partial_through=window)
        self.state = self.state._replace(clock_ms=time if clock is None else max(clock, time))
        self._taken.append(record)
        self._steps.append(before)

    def _flush(self) -> None:
        """Turn what single steps came to into columns."""
        if self._late:
            columns = np.array(self._late, np.int64).T
            self.outcome.late_rows.append(LateRows(*columns))
            self._late = []
        if not self._taken:
            return
        times = np.array([record.event_time_ms for record in self._taken], np.int64)
        users = np.array([record.user for record in self._taken], np.uint64)
        offsets = np.array([record.offset for record in self._taken], np.int64)
        self.outcome.runs.append(Run(times, users, self._steps[0], offsets, self._steps))
        self._taken, self._steps = [], []


def clocks_before(clock_ms: int, times: Int64Column) -> Int64Column:
    """The clock just before each of some accepted records, shape ``(n,)``, n > 0."""
    before = np.maximum.accumulate(times)
    before[1:] = np.maximum(before[:-1], clock_ms)
    before[0] = clock_ms
    return before
