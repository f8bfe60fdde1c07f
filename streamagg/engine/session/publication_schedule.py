"""When windows and checkpoints go out, and what goes together.

::

    closed by the sequencer ──▶ closing ── all shards have answered ──▶ counted ── in order ──▶ publication
                                            (gathered meanwhile)              (with its checkpoint)

One publication is under way at a time, and windows gather behind it. A checkpoint goes out with windows, or
without any where it is due.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from streamagg.core.calendars import Calendars
from streamagg.core.checkpoint import Checkpoint
from streamagg.core.closed_window import Answer, ClosedWindow
from streamagg.core.counted_windows import CountedWindows
from streamagg.core.partition_clock import PartitionState
from streamagg.core.period_state import PeriodState
from streamagg.core.sequencer import Closed, Sequencer
from streamagg.core.window_tables import WindowTables, named
from streamagg.engine.session.period_schedule import PeriodSchedule
from streamagg.engine.session.plan import Plan
from streamagg.engine.session.running_periods import RunningPeriods
from streamagg.errors import TooManyUsers
from streamagg.model.messages import AskPeriod, DropPeriod, ShardCount
from streamagg.model.results import WindowTable
from streamagg.sinks.contract import Publication, Publisher, State

_GATHER_MS: Final = 1_000
"""While reading on, windows are gathered for so long, but not for more than half the length of one. A commit
takes 10 to 20 ms (REPORT.md), so that in a backlog of short windows 2 % of the time is spent on them."""
_GATHERED_PART_OF_RING: Final = 4
"""Nor until they fill more than a quarter of the ring: only a commit frees slots, and where none is free the
rows wait."""
_CHECKPOINT_EVERY_MS: Final = 10_000
"""A checkpoint without windows is committed so often, if anything moved: late references and rejected records
wait for it (docs/lateness.md), and what came meanwhile is read again after a crash."""


_NEVER: Final = 1 << 62
"""Later than any window."""


class PublicationSchedule:
    """Of one session; publishes what the sequencer closed and the shards counted."""

    def __init__(
        self,
        plan: Plan,
        sequencer: Sequencer,
        publisher: Publisher,
        shards: int,
        published_through: int | None,
        now_ms: int,
        state: PeriodState | None = None,
    ) -> None:
        """``published_through``: the greatest window that is published; None if there is none.

        ``state``: what periods hold; None where there are no calendars.
        """
        self.windows_published = 0
        self.last_published_ms = now_ms
        self._plan = plan
        self._sequencer = sequencer
        self._publisher = publisher
        self._shards = shards
        self._tables = WindowTables(plan.decode, plan.ceiling, sketches=plan.sketches)
        self._closing: dict[int, ClosedWindow] = {}
        self._counted = CountedWindows(
            empty=self._tables.empty if plan.window.empty_windows else None, most=plan.most_windows
        )
        self._periods = None
        if state is not None:
            calendars = Calendars(plan.window)
            running = self._running(state, published_through) if plan.running else None
            self._periods = PeriodSchedule(calendars, plan.windows, state, self._tables, shards, running)
        self._published_through = published_through
        self._committed: dict[int, PartitionState] = {}
        self._committed_ms = now_ms
        self._gather_ms = min(_GATHER_MS, plan.window.granularity_ms // 2)
        self._submitted_ms = now_ms - self._gather_ms
        self._commit_now = False

    def _running(self, state: PeriodState, published_through: int | None) -> RunningPeriods:
        until_ms = state.through_ms
        through = None if until_ms is None else self._plan.windows.number(until_ms) - 1
        # Without transactions the state may be ahead of the windows; what it holds was told of with it.
        return RunningPeriods(self._tables, through if through == published_through else None)

    def begin(self, partition: int, state: PartitionState, *, committed: bool) -> None:
        """Begin with a partition; a state that is not ``committed`` is, before anything else."""
        if committed:
            self._committed[partition] = state
        else:
            self._commit_now = True

    @property
    def open_periods(self) -> dict[str, int]:
        """How many periods are not published yet, by calendar."""
        return {} if self._periods is None else self._periods.open

    def close(self, closed: Closed) -> None:
        """No row of this window follows."""
        shards = set(range(self._shards))
        self._closing[closed.window] = ClosedWindow(closed.window, closed.partial, shards)
        if self._periods is not None:
            self._periods.closed(closed.window)

    def over(self, *, at_end: bool) -> Iterator[AskPeriod]:
        """Questions for all shards about periods that are over by now; ``at_end``: all windows are closed."""
        if self._periods is None:
            return
        closed, partial = self._sequencer.closed_through, self._sequencer.partial_through
        through = _NEVER if at_end and self._plan.whole else closed
        for question, last in self._periods.ask(through, partial):
            if self._plan.window.empty_windows and closed is not None and last <= closed:
                self._close_empty(last, partial=partial is not None and last <= partial)
            yield question

    def so_far(self, now_ms: int, *, reads: bool, all_closed: bool) -> Iterator[AskPeriod]:
        """Questions for all shards about periods that are open, before something is published.

        The rest as for ``publish``.
        """
        if self._periods is None or self._publisher.busy:
            return
        if not self._gathers(now_ms, reads=reads, all_closed=all_closed):
            ends = self._plan.bounded and not reads
            yield from self._periods.ask_running(self._sequencer.partial_through, now_ms, at_once=ends)

    def _close_empty(self, window: int, *, partial: bool) -> None:
        """The last window of a period, so that those without records before it are published, too."""
        published = self._published_through
        if published is None or window > published:
            nobody = ClosedWindow(window, partial, answers=[self._tables.nothing()])
            self._closing.setdefault(window, nobody)

    def answer(self, count: ShardCount, shard: int) -> None:
        """Take what a shard has counted."""
        if self._periods is not None:
            self._periods.answer(count, shard)
        closing = self._closing.get(count.window) if count.period is None else None
        if closing is not None:
            closing.add(count, shard)

    def publish(self, now_ms: int, *, reads: bool, all_closed: bool) -> None:
        """Windows that are counted, in order; one publication at a time, so they gather meanwhile.

        ``reads``: more may come; ``all_closed``: no further window closes. Raises TooManyUsers once all
        windows before that one are published.
        """
        if self._publisher.busy or (self._periods is not None and self._periods.awaited):
            return
        if not self._counted:
            if self._gathers(now_ms, reads=reads, all_closed=all_closed):
                return
            self._counted.add(self._complete())
        ready = self._counted.take(self._published_through)
        over = self._over()
        tells = self._periods is not None and self._periods.tells(self._through(ready, over))
        if ready or over or tells or (self._checkpoint_due(now_ms, reads=reads) and self._moved()):
            self._submit(ready, now_ms, over)

    def request_checkpoint(self) -> bool:
        """Commit how far reading has come; True if there was something to commit."""
        if self._publisher.busy or not self._moved():
            return False
        self._submit((), self._committed_ms)
        return True

    def collect(self, now_ms: int) -> Publication | None:
        """A publication that has finished; raises PublishFailed."""
        publication = self._publisher.finished()
        if publication is None:
            return None
        self._committed = {p: at.state for p, at in publication.checkpoints.items()}
        self._committed_ms = now_ms
        self._published_through = publication.through
        if publication.windows:
            self.windows_published += len(publication.windows)
            self.last_published_ms = now_ms
        return publication

    def published(self, publication: Publication) -> Iterable[DropPeriod]:
        """What shards need not keep any more."""
        return () if self._periods is None else self._periods.published(publication.periods)

    @property
    def waiting(self) -> bool:
        """Closed windows are not published yet, or a publication is under way."""
        over = self._periods is not None and self._periods.waiting
        return self._publisher.busy or over or bool(self._closing or self._counted)

    @property
    def committed(self) -> bool:
        """The committed checkpoint is where reading has come to."""
        return not self._moved()

    def _gathers(self, now_ms: int, *, reads: bool, all_closed: bool) -> bool:
        """While catching up windows close so fast that a transaction for each would burden the broker.

        At the end of a bounded run, whatever is still counted goes out with what is.
        """
        if all_closed:
            return any(closing.missing for closing in self._closing.values())
        if self._sequencer.full or not reads:
            return False
        if now_ms - self._submitted_ms >= self._gather_ms:
            return False
        return len(self._closing) * _GATHERED_PART_OF_RING < self._plan.slots

    def _checkpoint_due(self, now_ms: int, *, reads: bool) -> bool:
        ended = self._plan.bounded and not reads and not self._closing
        at_once = self._commit_now or ended or self._sequencer.full
        return at_once or now_ms - self._committed_ms >= _CHECKPOINT_EVERY_MS

    def _over(self) -> tuple[WindowTable, ...]:
        """The periods to publish next, with or behind the windows that were taken."""
        if self._periods is None:
            return ()
        pending = [*self._closing, *self._counted.windows()]
        return self._periods.ready(min(pending, default=None))

    def _state(self, counts: tuple[WindowTable, ...], over: tuple[WindowTable, ...], through: int) -> State:
        """What goes to the state topic with these."""
        if self._periods is None:
            return ()
        until_ms = self._plan.windows.start_ms(through + 1)
        return self._periods.take([count.window for count in counts], over, until_ms)

    def _refusal(self, found: Answer, window: int) -> TooManyUsers | None:
        what = named("window", self._plan.windows.start_ms(window))
        refusal = self._tables.refusal(found, what)
        return refusal if refusal or self._periods is None else self._periods.refusal(window)

    def _submit(
        self, counts: tuple[WindowTable, ...], now_ms: int, over: tuple[WindowTable, ...] = ()
    ) -> None:
        sequencer = self._sequencer
        through = self._through(counts, over)
        told = () if self._periods is None else self._periods.told(over, through, now_ms)
        state = self._state(counts, over, through) if (counts or over) and through is not None else ()
        self._committed_ms = now_ms
        self._submitted_ms = now_ms
        self._commit_now = False
        parts = sequencer.partitions.items()
        # While catching up after a start, what had been read before it still counts as read before.
        read = {number: max(part.position, part.read_before) for number, part in parts}
        checkpoints = {
            number: Checkpoint(state, through, read[number])
            for number, state in sequencer.checkpoint(through).items()
        }
        self._publisher.submit(
            Publication(
                counts, checkpoints, sequencer.take_future(), sequencer.late.take(), state, over, told
            )
        )

    def _through(self, counts: tuple[WindowTable, ...], over: tuple[WindowTable, ...]) -> int | None:
        """The greatest window that is published with these, or before them."""
        # A period may be over without a window at its end: nothing may come for that any more.
        ended = [table.window for table in (*counts[-1:], *over)]
        before = [] if self._published_through is None else [self._published_through]
        return max([*ended, *before], default=None)

    def _complete(self) -> list[WindowTable]:
        """The windows to publish next; raises TooManyUsers once all before that one are published."""
        counted: list[WindowTable] = []
        for window in sorted(self._closing):
            closing = self._closing[window]
            if closing.missing or (self._periods is not None and self._periods.waits(window)):
                break
            found = self._tables.combined(closing.answers)
            if (refusal := self._refusal(found, window)) is not None:
                if not counted:
                    raise refusal
                break
            if self._periods is not None:
                self._periods.counted(window)
            del self._closing[window]
            counted.append(self._tables.table(closing, found))
        return counted

    def _moved(self) -> bool:
        """The checkpoint differs from the committed one, or records are to be reported."""
        if self._sequencer.untold:
            return True
        through = self._published_through
        parts = self._sequencer.partitions.items()
        return any(part.checkpoint(through) != self._committed.get(number) for number, part in parts)
