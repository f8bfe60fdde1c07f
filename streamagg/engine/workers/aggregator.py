"""Counts the users of one shard: rows of windows in, counts of closed windows out."""

from collections.abc import Iterator
from time import perf_counter

from streamagg.core.calendars import Calendars
from streamagg.core.closed_window import Answer
from streamagg.core.open_window import Rules
from streamagg.core.periods import Periods
from streamagg.core.ring import Ring
from streamagg.model.columns import delivered_schema_of, selected
from streamagg.model.measured import StageTimes
from streamagg.model.messages import (
    AggregatorSetup,
    AskPeriod,
    CloseWindow,
    DropPeriod,
    FreeWindow,
    Heartbeat,
    Reset,
    RestorePeriod,
    ShardCount,
    ToAggregator,
    WindowRows,
)
from streamagg.model.periods import Gained


class Aggregator:
    """One shard's ring of windows."""

    def __init__(self, setup: AggregatorSetup) -> None:
        self._setup = setup
        self._schema = delivered_schema_of(setup.decode)
        self._rules = Rules(setup.decode, setup.ceiling, sketches=setup.sketches)
        self._calendars = Calendars(setup.window)
        self._begin(0)
        self.times = StageTimes()

    def users(self) -> dict[int, int]:
        """Users held, by window (see ``State.users``)."""
        return self._ring.users()

    def groups(self) -> dict[int, int]:
        """Groups held, by window."""
        return self._ring.groups()

    @property
    def held_bytes(self) -> int:
        """Memory of all that windows and periods hold."""
        return self._ring.nbytes + self._periods.nbytes

    def heartbeat(self, cpu_s: float, rss_bytes: int) -> Heartbeat:
        """What it has done and holds, in a process that uses so much."""
        return Heartbeat(
            cpu_s,
            rss_bytes,
            self.times,
            users=self.users(),
            groups=self.groups(),
            held_bytes=self.held_bytes,
        )

    def handle(self, message: ToAggregator) -> Iterator[ShardCount]:
        """Take one message; yields the count when it closes a window, or asks for a period."""
        match message:
            case WindowRows():
                self._add(message)
            case CloseWindow(window):
                yield self._close(window)
            case AskPeriod(calendar, start_ms, running):
                found = self._periods.answer(calendar, start_ms, running=running)
                yield self._count(0, found, [], (calendar, start_ms), running=running)
            case DropPeriod(calendar, start_ms):
                self._periods.drop(calendar, start_ms)
            case RestorePeriod(gained, through, shards, shard):
                self._periods.restore(gained, through, shards, shard)
            case FreeWindow(window):
                self._ring.free(window)
            case Reset(epoch):
                self._begin(epoch)

    def _add(self, rows: WindowRows) -> None:
        began = perf_counter()
        columns, start = self._schema.view(rows.columns), 0
        for window, count in zip(rows.windows, rows.counts, strict=True):
            self._ring.add(window, selected(columns, slice(start, start + count)), count, rows.groups)
            start += count
        self.times.took("add", perf_counter() - began)

    def _close(self, number: int) -> ShardCount:
        window = self._ring.window(number)
        found = window.answer()
        gained: list[Gained] = []
        if self._calendars.names and not window.empty:
            gained = self._periods.absorb(number, window.gains(found), found)
        return self._count(number, found, gained)

    def _count(
        self,
        number: int,
        found: Answer,
        gained: list[Gained],
        period: tuple[int, int] | None = None,
        *,
        running: bool = False,
    ) -> ShardCount:
        return ShardCount(
            self._epoch,
            number,
            list(found.summaries),
            found.groups,
            found.dropped,
            gained,
            period,
            found.smallest,
            running,
        )

    def _begin(self, epoch: int) -> None:
        """With nothing."""
        self._epoch = epoch
        self._ring = Ring(self._setup.slots, self._rules)
        setup = self._setup
        self._periods = Periods(
            self._calendars, setup.decode, setup.ceiling, sketches=setup.sketches, running=setup.running
        )
