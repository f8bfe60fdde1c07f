"""Periods of files that are finished: all of them are over at the end, and one shard has everything."""

from collections.abc import Iterator

from streamagg.core.calendars import Calendars, Period
from streamagg.core.closed_window import Answer, ClosedWindow
from streamagg.core.open_window import OpenWindow
from streamagg.core.periods import Periods
from streamagg.core.window_tables import WindowTables
from streamagg.model.results import PeriodName, WindowTable
from streamagg.model.settings import CeilingSettings, DecodeSettings, WindowSettings


class FinishedPeriods:
    """Takes windows in order."""

    def __init__(
        self, window: WindowSettings, decode: DecodeSettings, ceiling: CeilingSettings, tables: WindowTables
    ) -> None:
        self._calendars = Calendars(window)
        self._periods = Periods(self._calendars, decode, ceiling)
        self._tables = tables
        self._open: dict[tuple[int, int], Period] = {}

    def absorb(self, window: OpenWindow, answer: Answer) -> None:
        """A window that has records, and what it comes to."""
        if not self._calendars.names:
            return
        self._periods.absorb(window.number, window.gains(answer), answer)
        for calendar in range(len(self._calendars.names)):
            period = self._calendars.period(calendar, window.number)
            self._open.setdefault((calendar, period.start_ms), period)

    def ended(self, before: int | None) -> Iterator[WindowTable]:
        """Those that are over before a window, or all that are left; raises TooManyUsers."""
        over = [(calendar, period) for (calendar, _), period in self._open.items()]
        if before is not None:
            over = [one for one in over if self._calendars.last_window(one[1]) < before]
        for calendar, period in sorted(over, key=lambda one: (one[1].end_ms, one[0])):
            del self._open[calendar, period.start_ms]
            yield self._table(calendar, period)
            self._periods.drop(calendar, period.start_ms)

    def _table(self, calendar: int, period: Period) -> WindowTable:
        last, answer = self._calendars.last_window(period), self._periods.answer(calendar, period.start_ms)
        name = PeriodName(self._calendars.names[calendar], period.start_ms, period.end_ms)
        return self._tables.period(name, ClosedWindow(last, False, answers=[answer]))
