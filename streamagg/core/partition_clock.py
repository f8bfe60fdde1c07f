"""The clock of one partition: what is late, what is too far ahead to be believed, and what moves the clock.

The problem. Event time comes from other people's clocks. A device whose clock is an hour fast must not make
everybody else's records late, and a quiet night must not keep the morning from being counted. Both begin
with a record far ahead of everything seen so far; only what follows tells them apart. And the answer has to
be a function of the log alone: if the way it is cut into blocks, another partition or a restart could change
the clock, counts would depend on how the program happened to run.

What was tried, by the share of honest records that became late (one-minute windows, max lag 5 s; the whole
table is in docs/design.md, and ``python -m tests.simulation --fast-clocks`` prints it):

- Believe a record as soon as 3 of the next 32 agree with it. Fast clocks agree with each other: 99.7 % late
  where one clock in ten is an hour fast. With a reach of 65 s instead of 6 s, one clock in a thousand that
  is 64 s fast is believed without any vote: 74.3 %.
- Ask for a majority, 17 of 32: safe with one clock in ten, not with one in four (40.8 %).
- Let one side lead by 8: one clock in four still wins (40.6 %), and so does a burst of 10 fast records (87.1
  %). A lead of 24 withstands both, and 40 % of the clocks an hour fast.
- Neither helps against clocks that are a little fast. Where one in ten is up to a minute ahead, each finds
  the clock where the last one left it, and small steps add up to a large one: 82.7 %. A clock that stands
  while most records are well behind it brings that down to 1.1 %.

The rules, each a function of the partition's state and the records that follow:

1. A record at most max jump ahead of the clock is counted at once, and moves the clock. A clock that is no
   more than max lag ahead of the truth makes no record late that comes in order; hence the default.
2. The clock stands while most records are more than half of max jump behind it: records within reach are
   counted as ever, but do not move it. The count behind this is ``agreement``, kept between -``LEAD`` and
   ``LEAD``.
3. A record further ahead is set aside, and the decodable records behind it vote: for it if they are no older
   than itself less max jump, else against it. When one side leads by ``LEAD`` it is believed, or rejected as
   future. This is a sequential test: a random quarter of the records wins it with a chance of 3e-12, and an
   honest gap passes it after ``LEAD`` records. What is more than ``PAST`` times max jump behind the clock
   has no vote, here or in rule 2: it is of the past under either view, and says nothing about the present.
4. ``ROOM`` records may be set aside at once. Of more, the one furthest ahead is rejected.
5. A record whose *broker* stamped it close to its event time is live, and believed at once. A time stamped
   by its producer proves nothing, for it comes from the same clock.
6. At the end of a log, and in silence, a record is believed unless a majority of those behind it contradicts
   it.

The price. Where less than one record comes in max jump, each is set aside until 24 others have come or,
live, for the idle time-out. A burst of more than 24 fast records in a row is believed. A stream whose own
disorder is far beyond its max lag has honest records that look fast, and some of them are rejected where
they would have been late. Records applied one by one take ten times as long in Python as in C, and columns
are faster still; so the common case, everything within reach and nothing set aside, is a comparison of
columns (``apply_columns``), and only the rest goes through ``apply_steps``.

Sources. The vote is a sequential probability ratio test with equal errors (Wald, Ann. Math. Statist. 16,
1945), the standing clock a cumulative sum cut off at both ends (Page, Biometrika 41, 1954).
"""

from bisect import bisect_right
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Final, NamedTuple

import numpy as np

from streamagg.core.ballot import (
    LEAD,
    NEVER_MS,
    ROOM,
    Ballot,
    Candidate,
    SetAside,
    Standing,
    pack,
    unpack,
)
from streamagg.core.windows import Windows
from streamagg.model.columns import BoolColumn, Columns, Int64Column, Schema, selected
from streamagg.model.groups import Tables

try:
    from streamagg.core import _stepper as stepper
except ImportError:
    # There was no compiler: what is applied one by one takes ten times as long.
    stepper = None  # type: ignore[assignment]

PAST: Final = 5
"""How many max jumps behind the clock a record loses its vote. Fast clocks keep a clock up to one and a half
ahead (docs/design.md), and the disorder of honest records comes on top: both must keep their votes. Only 5
and no limit at all were compared there."""
_AT_ONCE: Final = 256
"""Rows tried as columns after some were applied one by one; in Python, also how many become plain numbers
together. With one clock in a hundred an hour fast a record costs 0.79 µs with 32, 0.52 with 256, 0.55 with
1,024 and 0.70 with 4,096; with 10 % up to a minute fast 0.35, 0.26, 0.26 and 0.33."""


class PartitionState(NamedTuple):
    """Everything that decides what the records from ``offset`` on mean."""

    offset: int
    clock_ms: int | None = None
    """Greatest event time that has moved the clock; None before the first."""
    set_aside: tuple[SetAside, ...] = ()
    began_inside: bool = False
    """Reading began inside the log: what came before is unknown."""
    partial_through: int | None = None
    """If reading began inside the log, the window of the first record accepted."""
    agreement: int = LEAD
    """Records close behind the clock less those further behind, at most ``LEAD``; from 0 down, it stands."""

    def state(self) -> "PartitionState":
        """Itself; see ``Moment``."""
        return self


class Moment(NamedTuple):
    """A state that is put together only when somebody asks for it."""

    base: PartitionState
    offset: int
    clock_ms: int | None
    agreement: int
    set_aside: Standing | bytes
    """How the vote stood, or the same packed."""
    width: int
    """Bytes of a packed row."""

    def state(self) -> PartitionState:
        """The same as a state."""
        waiting = self.set_aside
        return self.base._replace(
            offset=self.offset,
            clock_ms=self.clock_ms,
            agreement=self.agreement,
            set_aside=unpack(waiting, self.width) if isinstance(waiting, bytes) else waiting.records(),
        )


_Before = tuple[PartitionState, int, int | None, int, tuple[Candidate, ...], tuple[int, ...], int]
"""What a ``Moment`` is made of, which costs more to make."""


class TimestampsNeeded(Exception):
    """A record is out of reach and its block does not say whether it is live; nothing was changed."""


@dataclass(slots=True)
class Run:
    """Accepted rows in the order in which they were applied, columns of shape ``(n,)``, n > 0."""

    event_time_ms: Int64Column
    columns: Columns
    """What else the rows carry."""
    before: PartitionState
    """The state just before the first row; the offset is that of its step."""
    offset: Int64Column
    """Offset of each row."""
    agreement: Int64Column | None = None
    """The partition's agreement just before each row; None: ``LEAD``, or the steps tell it."""
    steps: "Steps | None" = None
    """How the rows were applied one by one; None: each where it stands, and each may move the clock."""
    texts: Tables = ()
    """What names their groups, if they have any; the clock does not look at it."""

    def __len__(self) -> int:
        return len(self.event_time_ms)

    def clocks_after(self) -> Int64Column:
        """The partition's clock just behind each row, in milliseconds."""
        if self.steps is not None:
            return self.steps.clock_ms
        clocks = np.maximum.accumulate(self.event_time_ms)
        return clocks if self.before.clock_ms is None else np.maximum(clocks, self.before.clock_ms)

    def clock_before(self, row: int) -> int | None:
        """The partition's clock just before a row, in milliseconds."""
        clock = self.before.clock_ms
        if row == 0:
            return clock
        if self.steps is not None:
            return int(self.steps.clock_ms[row - 1])
        top = int(self.event_time_ms[:row].max())
        return top if clock is None else max(clock, top)

    def clocks_before(self) -> Int64Column:
        """The partition's clock just before each row; before its first record, that record's own time."""
        clocks = self.clocks_after()
        first = self.event_time_ms[0] if self.before.clock_ms is None else self.before.clock_ms
        return np.concatenate(([first], clocks[:-1]))

    def step_offsets(self) -> Int64Column:
        """Where each row was applied: at its own offset, or at that of the record that decided about it."""
        return self.offset if self.steps is None else self.steps.offset

    def state_before(self, row: int) -> PartitionState:
        """The state from which reading must begin again to see this row and all that follow."""
        return self.moment_before(row).state()

    def moment_before(self, row: int) -> PartitionState | Moment:
        """The same, perhaps still to be put together."""
        if self.steps is not None:
            return self.steps.moment_before(row)
        return self.before._replace(
            offset=int(self.offset[row]),
            clock_ms=self.clock_before(row),
            agreement=LEAD if self.agreement is None else int(self.agreement[row]),
        )

    def clock_after_first(self) -> int:
        """The clock once the first row is applied; no later row can belong to a window it closes."""
        first = self.event_time_ms if self.steps is None else self.steps.clock_ms
        return int(first[0]) if self.before.clock_ms is None else max(self.before.clock_ms, int(first[0]))

    def cut(self, row: int) -> tuple["Run", "Run"]:
        """The rows before ``row`` and those from it on; ``0 < row < n``."""
        behind = self.state_before(row)._replace(clock_ms=self.clock_before(row))
        return self._part(0, row, self.before), self._part(row, len(self), behind)

    def _part(self, first: int, stop: int, before: PartitionState) -> "Run":
        rows = slice(first, stop)
        return Run(
            self.event_time_ms[rows],
            selected(self.columns, rows),
            before,
            self.offset[rows],
            None if self.agreement is None else self.agreement[rows],
            None if self.steps is None else self.steps.part(first, stop),
            self.texts,
        )


@dataclass(frozen=True, slots=True)
class Steps:
    """How rows were applied one by one.

    The state before each of them would take half a kilobyte. It is kept where a window begins, which is where
    it is asked for; any other is worked out from the last one that is kept and the records from there on.
    """

    offset: Int64Column
    """Of the record that decided about each row: its own, or a later one. Shape ``(n,)``, n > 0."""
    clock_ms: Int64Column
    """The partition's clock just behind each row."""
    kept: list[tuple[int, Moment]]
    """Rows, ascending, and the state before the step of each; the first row or one before it is there."""
    log: "Rows"
    """The records that the steps were made of, and perhaps more."""
    windows: Windows
    schema: Schema
    begin: int = 0
    """The number that the first row has in ``kept``."""

    def moment_before(self, row: int) -> PartitionState | Moment:
        """The state just before the step that applied a row."""
        _, moment = self.kept[bisect_right(self.kept, self.begin + row, key=itemgetter(0)) - 1]
        offset = int(self.offset[row])
        if moment.offset == offset:
            return moment
        clock = PartitionClock(self.windows, self.schema, moment.state())
        clock.feed(*self.log.between(moment.offset, offset), offset)
        return clock.state

    def part(self, first: int, stop: int) -> "Steps":
        """The steps of the rows ``[first, stop)``."""
        # Not by ``replace``, which takes three times as long: a sparse run is cut once for every few records.
        return Steps(
            self.offset[first:stop],
            self.clock_ms[first:stop],
            self.kept,
            self.log,
            self.windows,
            self.schema,
            self.begin + first,
        )


class Rows(NamedTuple):
    """Decodable records, columns of shape ``(n,)``."""

    event_time_ms: Int64Column
    columns: Columns
    offset: Int64Column
    live: BoolColumn | None

    def part(self, first: int, stop: int) -> "Rows":
        """The rows ``[first, stop)``."""
        event_time_ms, columns, offset, live = self
        rows = slice(first, stop)
        here = selected(columns, rows)
        return Rows(event_time_ms[rows], here, offset[rows], None if live is None else live[rows])

    def between(self, first: int, stop: int) -> "Rows":
        """Those of the offsets ``[first, stop)``."""
        return self.part(*np.searchsorted(self.offset, (first, stop)).tolist())


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

    def __init__(
        self, windows: Windows, schema: Schema, state: PartitionState, *, keep_late: bool = False
    ) -> None:
        """``schema``: what the rows carry, which goes into runs and decides nothing.

        ``keep_late``: outcomes tell which records are late, and not only how many.
        """
        self._windows = windows
        self._schema = schema
        self._keep_late = keep_late
        self.state = state

    def feed(
        self,
        event_time_ms: Int64Column,
        columns: Columns,
        offset: Int64Column,
        live: BoolColumn | None,
        next_offset: int,
    ) -> Outcome:
        """Apply the decodable records of one block; columns of shape ``(n,)``.

        ``live`` tells which records a broker has appended within max jump of their event time.
        Raises TimestampsNeeded, and changes nothing, if that is not known but decides.
        """
        block = Rows(event_time_ms, columns, offset, live)
        pass_ = self._begin(block)
        row, rows, span = 0, len(event_time_ms), len(event_time_ms)
        while row < rows:
            stop = min(row + span, rows)
            row += pass_.apply_columns(row, stop)
            if row == stop:
                span *= 2
                continue
            span = _AT_ONCE
            row += pass_.apply_steps(row)
        self.state = pass_.finish(next_offset)
        return pass_.outcome

    def end(self) -> Outcome:
        """The partition has ended: decide about everything set aside.

        A record is applied unless a majority of those behind it contradicts it, else rejected as future.
        """
        return self._decide(None)

    def believes(self, now_ms: int) -> bool:
        """Whether ``believe`` would apply anything."""
        limit_ms = now_ms + self._windows.max_jump_ms
        return any(record.lead >= 0 and record.event_time_ms <= limit_ms for record in self.state.set_aside)

    def believe(self, now_ms: int) -> Outcome:
        """In silence: apply what no majority contradicts and what is not ahead of the present.

        ``now_ms``: the time of day, in milliseconds since the epoch. What is ahead of it stays set aside.
        """
        return self._decide(now_ms)

    def _decide(self, now_ms: int | None) -> Outcome:
        nothing: Int64Column = np.empty(0, np.int64)
        pass_ = self._begin(Rows(nothing, self._schema.none(), nothing, None))
        pass_.decide(now_ms)
        self.state = pass_.finish(self.state.offset)
        return pass_.outcome

    def _begin(self, log: Rows) -> "_Pass":
        return _Pass(self._windows, self._schema, self.state, self._keep_late, log)


class _Pass:
    """One pass over a block: the state on the way, committed by ``finish``."""

    def __init__(
        self, windows: Windows, schema: Schema, state: PartitionState, keep_late: bool, log: Rows
    ) -> None:
        self.windows = windows
        self._schema = schema
        self._log = log
        self.outcome = Outcome()
        self._granularity_ms = windows.granularity_ms
        self._offset_ms = windows.offset_ms
        self._closing_ms = windows.offset_ms + windows.max_lag_ms
        self._max_jump_ms = windows.max_jump_ms
        self._close_ms = windows.max_jump_ms // 2
        self._past_ms = windows.max_jump_ms * PAST
        self._base = state
        self._clock_ms = state.clock_ms
        self._agreement = state.agreement
        self._ballot = Ballot(state.set_aside, windows.max_jump_ms)
        self._rules = (
            windows.granularity_ms,
            windows.offset_ms,
            self._closing_ms,
            windows.max_jump_ms,
            self._past_ms,
            LEAD,
            ROOM,
        )
        self._keep_late = keep_late
        self._packed: memoryview | None = None
        self._taken: list[Candidate] = []
        self._step_offsets: list[int] = []
        self._clocks: list[int] = []
        self._kept: list[tuple[int, Moment]] = []
        self._top_window: int | None = None
        self._late: list[tuple[int, int, int, int]] = []

    def apply_columns(self, row: int, stop: int) -> int:
        """Apply rows from ``row`` on as long as all of them are within reach and move the clock.

        Returns how many. Nothing is set aside meanwhile.
        """
        log, clock = self._log, self._clock_ms
        if (
            clock is None
            or self._ballot.candidates
            or self._agreement <= 0
            or log.event_time_ms[row] > clock + self._max_jump_ms
        ):
            return 0
        times = log.event_time_ms[row:stop]
        before = clocks_before(clock, times)
        behind = before - times
        if int(behind.min()) < -self._max_jump_ms:
            fit = int(np.argmax(behind < -self._max_jump_ms))
            times, before, behind = times[:fit], before[:fit], behind[:fit]
        agreement = self._agreements(behind)
        if agreement is not None and int(agreement.min()) <= 0:
            fit = int(np.argmax(agreement <= 0))
            times, before, agreement = times[:fit], before[:fit], agreement[: fit + 1]
        here = slice(row, row + len(times))
        self._accept(times, before, selected(log.columns, here), log.offset[here], agreement)
        return len(times)

    def _agreements(self, behind_ms: Int64Column) -> Int64Column | None:
        """The agreement before each row and behind the last, shape ``(n + 1,)``; None: always ``LEAD``."""
        votes = np.ones(len(behind_ms) + 1, np.int64)
        votes[0] = self._agreement
        if int(behind_ms.max()) > self._close_ms:
            further = behind_ms > self._close_ms
            votes[1:][further] = -1
            votes[1:][behind_ms > self._past_ms] = 0
        elif self._agreement == LEAD:
            return None
        # A walk that goes no higher than LEAD.
        walk: Int64Column = np.cumsum(votes)
        walk -= np.maximum(np.maximum.accumulate(walk) - LEAD, 0)
        return walk

    def _accept(
        self,
        times: Int64Column,
        before: Int64Column,
        columns: Columns,
        offsets: Int64Column,
        agreement: Int64Column | None,
    ) -> None:
        """Whole columns, each row of which may move the clock; n > 0."""
        self._flush()
        clock = max(int(before[-1]), int(times[-1]))
        windows, state = self.windows, self._state(int(offsets[0]))
        if agreement is not None:
            self._agreement = int(agreement[-1])
            agreement = agreement[:-1]
        if windows.number(int(times.min())) <= windows.last_closed(clock):
            timely = windows.timely(times, before)
            if late := len(times) - int(np.count_nonzero(timely)):
                self.outcome.late += late
                if self._keep_late:
                    at = offsets[~timely]
                    self.outcome.late_rows.append(LateRows(at, times[~timely], before[~timely], at))
                times, columns, offsets = times[timely], selected(columns, timely), offsets[timely]
                agreement = None if agreement is None else agreement[timely]
        if len(times):
            first = state._replace(
                offset=int(offsets[0]), agreement=LEAD if agreement is None else int(agreement[0])
            )
            self.outcome.runs.append(Run(times, columns, first, offsets, agreement))
        self._clock_ms = clock

    def apply_steps(self, row: int) -> int:
        """Apply rows from ``row`` on one by one until columns can be applied again; returns how many."""
        return self._apply_in_python(row) if stepper is None else self._apply_in_c(row)

    def _packed_from(self, row: int) -> memoryview:
        """What the rows from ``row`` on carry."""
        if self._packed is None:
            self._packed = self._schema.pack(self._log.columns)
        return self._packed[row * self._schema.width :]

    def _apply_in_c(self, row: int) -> int:
        """The same as ``_step`` for each, more than ten times as fast."""
        self._flush()
        log, width = self._log, self._schema.width
        set_aside = pack(self._ballot.standing().records(), width)
        done, unknown, clock, agreement, set_aside, taken, carried, late, future, jumps, kept = stepper.steps(
            self._rules,
            self._clock_ms,
            self._agreement,
            set_aside,
            log.event_time_ms[row:],
            width,
            self._packed_from(row),
            log.offset[row:],
            None if log.live is None else log.live[row:],
        )
        if unknown:
            raise TimestampsNeeded
        before, self._clock_ms, self._agreement = self._base, clock, agreement
        self._ballot = Ballot(unpack(set_aside, width), self._max_jump_ms)
        self.outcome.future += np.frombuffer(future, np.int64).tolist()
        self.outcome.jumps += [
            (was, time) for was, time in np.frombuffer(jumps, np.int64).reshape(-1, 2).tolist()
        ]
        self._note_late(np.frombuffer(late, np.int64).reshape(-1, 4))
        if kept:
            offset, time, step, behind = np.frombuffer(taken, np.int64).reshape(-1, 4).T.copy()
            self._note_first(int(time[0]))
            moments = [
                (row, Moment(before if was is None else self._base, at, was, agreed, waiting, width))
                for row, at, was, agreed, waiting in kept
            ]
            steps = Steps(step, behind, moments, self._log, self.windows, self._schema)
            columns = self._schema.unpack(carried)
            self.outcome.runs.append(Run(time, columns, moments[0][1].state(), offset, steps=steps))
        return done

    def _apply_in_python(self, first: int) -> int:
        rows, width = self._log.part(first, first + _AT_ONCE), self._schema.width
        times, offsets = rows.event_time_ms.tolist(), rows.offset.tolist()
        live = None if rows.live is None else rows.live.tolist()
        carried = self._packed_from(first)
        ballot, max_jump_ms = self._ballot, self._max_jump_ms
        for row, time in enumerate(times):
            clock = self._clock_ms
            reached = clock is not None and time <= clock + max_jump_ms
            if reached:
                if self._agreement > 0 and not ballot.candidates:
                    return row
            elif live is None:
                raise TimestampsNeeded
            record = offsets[row], time, bytes(carried[row * width : (row + 1) * width])
            self._step(record, reached, live is not None and live[row])
        return len(times)

    def _step(self, record: Candidate, reached: bool, live: bool) -> None:
        """One record: it votes, it is applied or set aside, and what that decides is applied too."""
        ballot, clock = self._ballot, self._clock_ms
        offset, time, _ = record
        # All of it is replaced and never changed, so this is the state as it is now.
        before = (self._base, offset, clock, self._agreement, ballot.candidates, ballot.marks, ballot.votes)
        # Within reach it makes no difference whether a record is live: that is not always known.
        moves = self._agreement > 0 or not reached
        contradicts = self._vote(time)
        if reached or live:
            self._count_one(before, record, moves=moves)
        elif without_room := ballot.add(record):
            self.outcome.future.append(without_room[0])
        if ballot.candidates:
            self._take_decided(before, LEAD)
        if contradicts:
            self.outcome.future += [refuted[0] for refuted in ballot.take_refuted()]

    def _vote(self, time: int) -> bool:
        """What a record says of those set aside and of the clock; returns whether it contradicts any."""
        if self._clock_ms is None:
            return self._ballot.vote(time)
        behind = self._clock_ms - time
        if behind > self._close_ms:
            if behind > self._past_ms:
                return False
            self._agreement = max(-LEAD, self._agreement - 1)
        elif self._agreement < LEAD:
            self._agreement += 1
        return self._ballot.vote(time)

    def decide(self, now_ms: int | None) -> None:
        """Decide about what is set aside: finally, or as far as the time of day lets it be believed."""
        before = (*self._moment(self._base.offset)[:4], *self._ballot.standing())
        if now_ms is None:
            self._take_decided(before, 0)
            self.outcome.future += [left[0] for left in self._ballot.take_rest()]
        else:
            self._take_decided(before, 0, now_ms + self._max_jump_ms)

    def finish(self, next_offset: int) -> PartitionState:
        """The state after the pass."""
        self._flush()
        return self._state(next_offset)

    def _state(self, offset: int) -> PartitionState:
        return self._moment(offset).state()

    def _moment(self, offset: int) -> Moment:
        return Moment(
            self._base, offset, self._clock_ms, self._agreement, self._ballot.standing(), self._schema.width
        )

    def _take_decided(self, before: _Before, lead: int, until_ms: int = NEVER_MS) -> None:
        """Apply, in offset order, what leads or is within reach since the clock moved."""
        ballot = self._ballot
        while True:
            reach_ms = -1 if self._clock_ms is None else self._clock_ms + self._max_jump_ms
            if ballot.top + ballot.votes < lead and ballot.nearest_ms > reach_ms:
                return
            decided = ballot.take(reach_ms, lead, until_ms)
            if decided is None:
                return
            self._count_one(before, decided, moves=decided[1] > reach_ms or self._agreement > 0)

    def _count_one(self, before: _Before, record: Candidate, *, moves: bool) -> None:
        """Apply one record: clock, lateness, window."""
        offset, time, _ = record
        clock = self._clock_ms
        window = (time - self._offset_ms) // self._granularity_ms
        if clock is not None:
            if window < (clock - self._closing_ms) // self._granularity_ms:
                self._late.append((offset, time, clock, before[1]))
                return
            if time > clock + self._max_jump_ms:
                self.outcome.jumps.append((clock, time))
        self._note_first(time)
        if clock is None or (moves and time > clock):
            self._clock_ms = clock = time
        if self._top_window is None or window > self._top_window:
            self._top_window = window
            self._kept.append(
                (len(self._taken), Moment(*before[:4], Standing(*before[4:]), self._schema.width))
            )
        self._taken.append(record)
        self._step_offsets.append(before[1])
        self._clocks.append(clock)

    def _note_first(self, time: int) -> None:
        """The event time of a record that is accepted; maybe the first since reading began inside the log."""
        if self._base.began_inside and self._base.partial_through is None:
            self._base = self._base._replace(partial_through=self.windows.number(time))

    def _note_late(self, rows: Int64Column) -> None:
        """Late records, shape ``(n, 4)``: offset, event time, clock, offset of the step."""
        self.outcome.late += len(rows)
        if self._keep_late and len(rows):
            self.outcome.late_rows.append(LateRows(*rows.T))

    def _flush(self) -> None:
        """Turn what single steps came to into columns."""
        if self._late:
            self._note_late(np.array(self._late, np.int64))
            self._late = []
        if not self._taken:
            return
        offsets, times, carried = zip(*self._taken, strict=True)
        steps = Steps(
            np.array(self._step_offsets, np.int64),
            np.array(self._clocks, np.int64),
            self._kept,
            self._log,
            self.windows,
            self._schema,
        )
        self.outcome.runs.append(
            Run(
                np.array(times, np.int64),
                self._schema.unpack(b"".join(carried)),
                self._kept[0][1].state(),
                np.array(offsets, np.int64),
                steps=steps,
            )
        )
        self._taken, self._step_offsets, self._clocks, self._kept = [], [], [], []
        self._top_window = None


def clocks_before(clock_ms: int, times: Int64Column) -> Int64Column:
    """The clock just before each of some accepted records, shape ``(n,)``, n > 0."""
    before = np.maximum.accumulate(times)
    before[1:] = np.maximum(before[:-1], clock_ms)
    before[0] = clock_ms
    return before
