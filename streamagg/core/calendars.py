"""Periods: hours, days, weeks, months and years of a time zone, and such as are all equally long.

A period is a union of windows, so that it can be counted from them::

    windows  |----|----|----|----|----|----|----|----|
    hours    |        22         |        23         |        0
    days     |   28 March                            |   29 March

- A day is from one midnight to the next; from the first, if the clock shows two. It may have 23 or 25 hours,
  begin at 01:00 because the clock skips an hour then, or not exist at all, as 30 December 2011 in Samoa.
- Weeks begin on Mondays; months and years on their first days.
- An hour begins whenever the clock shows a full hour, be it only for the moment at which it is changed. One
  that comes twice is two hours, and one in which the clock is put by half an hour has 30 minutes.
- Periods of a given length are counted from the epoch, shifted as windows are.

A window lies in one period of each calendar, which is that of its start.
"""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Final, NamedTuple

from streamagg.core.windows import Windows
from streamagg.core.zone_clock import DAY_MS, ZoneClock
from streamagg.model.settings import CalendarSettings, WindowSettings

_HOUR_MS: Final = 3_600_000
_CYCLE_MS: Final = 146_097 * DAY_MS
"""400 years, after which dates, weekdays and the rules of clocks come again."""
_FAR_MS: Final = 7_000 * 365 * DAY_MS
"""Dates end with the year 9999, so that times beyond this are looked up 400 years earlier."""


class Period(NamedTuple):
    """``[start, end)``, milliseconds."""

    start_ms: int
    end_ms: int


class Calendars:
    """The calendars of some settings, the shortest periods first; callers count them from 0."""

    def __init__(self, window: WindowSettings) -> None:
        self._windows = Windows(window)
        self._clock = ZoneClock(window.time_zone)
        self._calendars = window.calendars
        self._recent = [Period(0, 0) for _ in window.calendars]
        """By calendar; windows are closed in order, so this is nearly always the one that is asked for."""

    @property
    def names(self) -> tuple[str, ...]:
        """As they are published."""
        return tuple(calendar.name for calendar in self._calendars)

    def period(self, calendar: int, window: int) -> Period:
        """The period of a calendar that a window lies in."""
        return self.period_at(calendar, self._windows.start_ms(window))

    def period_at(self, calendar: int, time_ms: int) -> Period:
        """The period of a calendar that a time lies in."""
        recent = self._recent[calendar]
        if not recent.start_ms <= time_ms < recent.end_ms:
            recent = self._recent[calendar] = self._looked_up(self._calendars[calendar], time_ms)
        return recent

    def last_window(self, period: Period) -> int:
        """The last window of a period: with it the period is over."""
        return self._windows.number(period.end_ms - 1)

    def _looked_up(self, calendar: CalendarSettings, time_ms: int) -> Period:
        if not calendar.by_clock:
            start_ms = time_ms - (time_ms - self._windows.offset_ms) % calendar.length_ms
            return Period(start_ms, start_ms + calendar.length_ms)
        shift_ms = _CYCLE_MS if time_ms >= _FAR_MS else 0
        found = _by_clock(calendar.name, self._clock, time_ms - shift_ms)
        return Period(found.start_ms + shift_ms, found.end_ms + shift_ms)


def _by_clock(name: str, clock: ZoneClock, time_ms: int) -> Period:
    if name == "hour":
        return Period(_hour_began_ms(clock, time_ms), _hour_ends_ms(clock, time_ms))
    first, following = _DATES[name]
    day = first(clock.shows(time_ms).date())
    # A clock that was put back over midnight shows the day before again.
    while clock.begins_ms(following(day)) <= time_ms:
        day = following(day)
    return Period(clock.begins_ms(day), clock.begins_ms(following(day)))


def _hour_began_ms(clock: ZoneClock, time_ms: int) -> int:
    offset_ms = clock.offset_ms(time_ms)
    began_ms = time_ms - (time_ms + offset_ms) % _HOUR_MS
    if clock.offset_ms(began_ms) == offset_ms:
        return began_ms
    changed_ms = clock.changed_ms(began_ms, time_ms)
    if (changed_ms + clock.offset_ms(changed_ms - 1)) % _HOUR_MS == 0:
        return changed_ms
    return _hour_began_ms(clock, changed_ms - 1)


def _hour_ends_ms(clock: ZoneClock, time_ms: int) -> int:
    offset_ms = clock.offset_ms(time_ms)
    ends_ms = time_ms - (time_ms + offset_ms) % _HOUR_MS + _HOUR_MS
    if clock.offset_ms(ends_ms - 1) == offset_ms:
        return ends_ms
    changed_ms = clock.changed_ms(time_ms, ends_ms - 1)
    if (changed_ms + clock.offset_ms(changed_ms)) % _HOUR_MS == 0:
        return changed_ms
    return _hour_ends_ms(clock, changed_ms)


def _day(day: date) -> date:
    return day


def _next_day(day: date) -> date:
    return day + timedelta(1)


def _monday(day: date) -> date:
    return day - timedelta(day.weekday())


def _next_monday(monday: date) -> date:
    return monday + timedelta(7)


def _month(day: date) -> date:
    return day.replace(day=1)


def _next_month(first: date) -> date:
    return (first + timedelta(31)).replace(day=1)


def _year(day: date) -> date:
    return day.replace(month=1, day=1)


def _next_year(first: date) -> date:
    return first.replace(year=first.year + 1)


_DATES: Final[dict[str, tuple[Callable[[date], date], Callable[[date], date]]]] = {
    "day": (_day, _next_day),
    "week": (_monday, _next_monday),
    "month": (_month, _next_month),
    "year": (_year, _next_year),
}
"""The first day of the period of a day, and that of the period after."""
