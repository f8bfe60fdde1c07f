"""What open periods come to so far, as it is told beside what is published.

::

    closed     1   2   3 ╷ 4   5        asked behind 3: shards answer when they have counted 1, 2 and 3
    published  1   2   3 ╵              with these; 4 and 5 wait for the next publication

All open periods are asked at once, when something is about to be published, and that waits for the answers.
So what is told is that of the windows which are published with it or before it, whatever shards count
meanwhile: neither more nor less, and all periods and groups as of one window.

It costs the more the more groups there are, and must not hold up counting. So a rest follows in which nothing
is asked. Windows that are published meanwhile are told of afterwards, also if no other one closes. A session
begins with what the one before has left: it may not have told of its last windows.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from streamagg.core.period_state import Key
from streamagg.core.window_tables import WindowTables
from streamagg.engine.session.asked_period import AskedPeriod
from streamagg.model.messages import AskPeriod, ShardCount
from streamagg.model.results import RunningPeriod, WindowTable

_REST: Final = 20
"""So many times as long as the answers took, and as it takes to write them."""
_RECORD_MS: Final = 0.02
"""Each, in the thread that publishes."""


class RunningPeriods:
    """Of one session."""

    def __init__(self, tables: WindowTables, last: int | None) -> None:
        """``last``: the last window that open periods hold; None: there is none yet."""
        self._tables = tables
        self._last = last
        self._told: int | None = None
        """The last window that was told of."""
        self._asked: dict[Key, AskedPeriod] | None = None
        self._asked_behind, self._asked_ms = 0, 0
        """The last window that had closed by then, and when it was."""
        self._rests_until_ms: float = 0
        self._there: dict[Key, set[bytes]] = {}
        """The groups that may be known of each period that this session has told of."""

    def closed(self, window: int) -> None:
        """It is in the periods from now on."""
        self._last = window

    def due(self, now_ms: int, *, at_once: bool) -> int | None:
        """The last window that is in the periods, if these are to be asked; ``at_once``: without a rest."""
        rests = now_ms < self._rests_until_ms and not at_once
        return self._last if self._asked is None and self.behind and not rests else None

    def ask(self, periods: Iterable[AskedPeriod], window: int, now_ms: int) -> Iterator[AskPeriod]:
        """Questions for all shards; the periods are all that are open, the window is the last one in them."""
        asked = {one.key: one for one in periods}
        if not asked:
            self._told = window
            return
        self._asked, self._asked_behind, self._asked_ms = asked, window, now_ms
        for key in asked:
            yield AskPeriod(*key, running=True)

    def answer(self, count: ShardCount, shard: int) -> None:
        """Take what a shard says of a period."""
        assert count.period is not None
        if self._asked is not None:
            self._asked[count.period].closed.add(count, shard)

    @property
    def behind(self) -> bool:
        """Windows are in the periods that were not told of."""
        return self._last != self._told

    @property
    def awaited(self) -> bool:
        """Shards have to answer."""
        return any(one.closed.missing for one in (self._asked or {}).values())

    def waits(self, window: int) -> bool:
        """It is not to be published before what is asked for has been told."""
        return self._asked is not None and window > self._asked_behind

    def ready(self, through: int | None) -> bool:
        """All that was asked for can be told, now that windows up to one are published."""
        asked = self._asked is not None and not self.awaited
        return asked and through is not None and self._asked_behind <= through

    def so_far(self, through: int | None, now_ms: int) -> tuple[RunningPeriod, ...]:
        """What is told with the windows up to one."""
        if self._asked is None or not self.ready(through):
            return ()
        tables = [(one, self._tables.running(one.name, one.closed)) for one in self._asked.values()]
        told = tuple(self._told_of(one, table, final=False) for one, table in tables if table is not None)
        records = sum(1 + len(one.gone) + _groups(one.table) for one in told)
        self._rests_until_ms = now_ms + _REST * (now_ms - self._asked_ms + records * _RECORD_MS)
        self._told, self._asked = self._asked_behind, None
        return told

    def ended(self, period: AskedPeriod, table: WindowTable) -> RunningPeriod:
        """What is told of a period that is published."""
        if self._asked is not None:
            self._asked.pop(period.key, None)
        told = self._told_of(period, table, final=True)
        del self._there[period.key]
        return told

    def _told_of(self, period: AskedPeriod, table: WindowTable, *, final: bool) -> RunningPeriod:
        there = self._there.get(period.key)
        if there is None:
            # Whatever sessions before have told of was a group of the period.
            there = {text for answer in period.closed.answers for text in answer.groups.texts()}
        here = set() if table.groups is None else set(table.groups.texts)
        self._there[period.key] = here
        return RunningPeriod(table, final, tuple(sorted(there - here)))


def _groups(table: WindowTable) -> int:
    return 0 if table.groups is None else len(table.groups.texts)
