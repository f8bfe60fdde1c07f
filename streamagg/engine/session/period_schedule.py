"""When periods of calendars go out: once, with the window that ends them or behind it.

::

    a window closes ──▶ open ── its last window closes ──▶ asked ── all shards have answered ──▶ published

The watermark ends a period as it ends a window. One whose last windows nobody hit goes out without them, and
the checkpoint says that nothing may come for these any more.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

from streamagg.core.calendars import Calendars, Period
from streamagg.core.closed_window import ClosedWindow
from streamagg.core.period_state import Key, PeriodState, Record
from streamagg.core.window_tables import WindowTables, named
from streamagg.core.windows import Windows
from streamagg.engine.session.asked_period import AskedPeriod
from streamagg.engine.session.running_periods import RunningPeriods
from streamagg.errors import TooManyUsers
from streamagg.model.messages import AskPeriod, DropPeriod, ShardCount
from streamagg.model.periods import Gained
from streamagg.model.results import PeriodName, RunningPeriod, WindowTable


class PeriodSchedule:
    """The periods of one session."""

    def __init__(
        self,
        calendars: Calendars,
        windows: Windows,
        state: PeriodState,
        tables: WindowTables,
        shards: int,
        running: RunningPeriods | None,
    ) -> None:
        """``running``: None where nobody wants to know what open periods come to so far."""
        self._calendars = calendars
        self._windows = windows
        self._state = state
        self._tables = tables
        self._shards = shards
        self._users = dict(state.users)
        """Of each open period, also what is not published yet."""
        self._open: dict[Key, Period] = {key: calendars.period_at(*key) for key in self._users}
        self._asked: dict[Key, AskedPeriod] = {}
        self._running = running
        self._gained: dict[int, list[Gained]] = {}
        """By window that is not published."""
        self._through = None if state.through_ms is None else windows.number(state.through_ms) - 1

    def closed(self, window: int) -> None:
        """A window has closed that has records."""
        if self._through is not None and window <= self._through:
            return  # The state holds it already, or holds no more what it belongs to.
        for calendar in range(len(self._calendars.names)):
            period = self._calendars.period(calendar, window)
            self._open.setdefault((calendar, period.start_ms), period)
        if self._running is not None:
            self._running.closed(window)

    def ask(self, closed_through: int | None, partial_through: int | None) -> Iterator[tuple[AskPeriod, int]]:
        """Questions about the periods that are over now that all windows up to one are closed.

        With the last window of each.
        """
        if closed_through is None:
            return
        for key, period in list(self._open.items()):
            last = self._calendars.last_window(period)
            if last <= closed_through:
                del self._open[key]
                self._asked[key] = self._asked_now(key[0], period, last, partial_through)
                yield AskPeriod(*key), last

    def ask_running(self, partial_through: int | None, now_ms: int, *, at_once: bool) -> Iterator[AskPeriod]:
        """Questions about the periods that are open, if it is time; ``at_once``: see ``RunningPeriods``."""
        if self._running is None:
            return
        window = self._running.due(now_ms, at_once=at_once)
        if window is not None:
            asked = (self._asked_now(key[0], one, window, partial_through) for key, one in self._open.items())
            yield from self._running.ask(asked, window, now_ms)

    def _asked_now(
        self, calendar: int, period: Period, last: int, partial_through: int | None
    ) -> AskedPeriod:
        """``last``: the last window that is in it."""
        first = self._windows.number(period.start_ms)
        partial = partial_through is not None and first <= partial_through
        name = PeriodName(self._calendars.names[calendar], period.start_ms, period.end_ms)
        return AskedPeriod(calendar, name, ClosedWindow(last, partial, set(range(self._shards))))

    def answer(self, count: ShardCount, shard: int) -> None:
        """Take what a shard says of a period, or what a window has added to it."""
        if count.running and self._running is not None:
            self._running.answer(count, shard)
        elif count.period is not None:
            self._asked[count.period].closed.add(count, shard)
        elif count.gained:
            self._gained.setdefault(count.window, []).extend(count.gained)

    def refusal(self, window: int) -> TooManyUsers | None:
        """Why the run stops before a window that is complete: it would make a period too large."""
        for one in self._gained.get(window, ()):
            users = self._users.get((one.calendar, one.start_ms), 0) + self._new_users(window, one)
            what = named(self._calendars.names[one.calendar], one.start_ms)
            if (refusal := self._tables.refusal_of_period(users, one.groups, what)) is not None:
                return refusal
        return None

    def counted(self, window: int) -> None:
        """A window is complete, and not refused."""
        for one in self._gained.get(window, ()):
            key = one.calendar, one.start_ms
            self._users[key] = self._users.get(key, 0) + one.users

    def _new_users(self, window: int, period: Gained) -> int:
        """Of all shards."""
        same = (one for one in self._gained[window] if one.calendar == period.calendar)
        return sum(one.users for one in same)

    @property
    def open(self) -> dict[str, int]:
        """How many periods are not published yet, by calendar."""
        found = Counter(calendar for calendar, _ in (*self._open, *self._asked))
        return {name: found[number] for number, name in enumerate(self._calendars.names)}

    @property
    def awaited(self) -> bool:
        """Shards have to answer: nothing is published meanwhile, so that it goes out with its last window."""
        running = self._running is not None and self._running.awaited
        return running or any(asked.closed.missing for asked in self._asked.values())

    def waits(self, window: int) -> bool:
        """It is counted, and not to be published yet."""
        return self._running is not None and self._running.waits(window)

    @property
    def waiting(self) -> bool:
        """Periods that are over are not published yet, or what others come to so far is not told."""
        behind = self._running is not None and self._running.behind
        return behind or bool(self._asked)

    def ready(self, pending: int | None) -> tuple[WindowTable, ...]:
        """Periods to publish, in order; raises TooManyUsers.

        ``pending``: the first window that is closed and not published, if there is any.
        """
        over = [one for one in self._asked.values() if pending is None or one.closed.window < pending]
        over.sort(key=lambda one: (one.name.end_ms, one.calendar))
        return tuple([self._tables.period(one.name, one.closed) for one in over])

    def tells(self, through: int | None) -> bool:
        """What open periods come to so far can be told with windows up to one."""
        return self._running is not None and self._running.ready(through)

    def told(
        self, periods: Iterable[WindowTable], through: int | None, now_ms: int
    ) -> tuple[RunningPeriod, ...]:
        """What is told with these periods and windows up to one, before these are taken."""
        if self._running is None:
            return ()
        ended = [self._running.ended(self._asked[self._key(table)], table) for table in periods]
        return (*ended, *self._running.so_far(through, now_ms))

    def take(
        self, windows: Iterable[int], periods: Iterable[WindowTable], until_ms: int
    ) -> tuple[Record, ...]:
        """What goes to the state topic with these windows and periods; ``until_ms``: see ``PeriodState``."""
        for window in windows:
            self._state.take(self._gained.pop(window, ()))
        ended = [self._asked.pop(self._key(table)) for table in periods]
        over = [(one.calendar, Period(one.name.start_ms, one.name.end_ms)) for one in ended]
        return self._state.records(over, until_ms)

    def published(self, periods: Iterable[WindowTable]) -> Iterator[DropPeriod]:
        """What shards need not keep any more."""
        return (DropPeriod(*self._key(table)) for table in periods)

    def _key(self, table: WindowTable) -> Key:
        """Of a period."""
        assert table.period is not None
        return self._calendars.names.index(table.period.calendar), table.period.start_ms
