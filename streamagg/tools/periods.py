"""Which periods of the calendars a window lies in, found by looking at clocks."""

from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from streamagg.model.settings import CalendarSettings, WindowSettings

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MS: Final = timedelta(milliseconds=1)
INSTANT: Final = timedelta(microseconds=1)
CLOCK_STEP: Final = timedelta(seconds=30)
"""Since 1970 every clock has shown its full hours at a multiple of this."""
MORE_THAN_ONE: Final = {"day": 3, "week": 10, "month": 35, "year": 370}
"""Days that hold a whole period and some more."""
YEARS_400: Final = timedelta(days=146_097)
"""Then weekdays and clocks come again."""
YEAR_9000: Final = datetime(9000, 1, 1, tzinfo=UTC)
"""Dates end soon after it."""


class Period(NamedTuple):
    """``[start, end)`` in milliseconds since the epoch."""

    calendar: str
    start_ms: int
    end_ms: int


class Periods:
    """Those of some settings."""

    def __init__(self, window: WindowSettings) -> None:
        self._calendars = window.calendars
        self._offset_ms = window.offset_ms
        self._zone = UTC if window.time_zone == "UTC" else ZoneInfo(window.time_zone)
        self._known: dict[int, list[Period]] = {}
        self._latest: dict[str, Period] = {}

    def of(self, window_ms: int) -> list[Period]:
        """The period of each calendar that the window with this start lies in."""
        if window_ms not in self._known:
            found = [self._period(calendar, window_ms) for calendar in self._calendars]
            self._known[window_ms] = found
            self._latest = {period.calendar: period for period in found}
        return self._known[window_ms]

    def _period(self, calendar: CalendarSettings, window_ms: int) -> Period:
        latest = self._latest.get(calendar.name)
        if latest is not None and latest.start_ms <= window_ms < latest.end_ms:
            return latest
        return self._looked_up(calendar, window_ms)

    def _looked_up(self, calendar: CalendarSettings, window_ms: int) -> Period:
        if not calendar.by_clock:
            start_ms = window_ms - (window_ms - self._offset_ms) % calendar.length_ms
            return Period(calendar.name, start_ms, start_ms + calendar.length_ms)
        time = EPOCH + window_ms * MS
        shift = YEARS_400 if time > YEAR_9000 else timedelta()
        find = _hour if calendar.name == "hour" else _days
        start, end = find(calendar.name, time - shift, self._zone)
        return Period(calendar.name, *((moment - EPOCH + shift) // MS for moment in (start, end)))


def _days(calendar: str, time: datetime, zone: tzinfo) -> tuple[datetime, datetime]:
    """A period of whole days: of all that begin near by the last before, and the first behind."""
    shown = time.astimezone(zone).date()
    days = MORE_THAN_ONE[calendar]
    near = (_first_day(calendar, shown + timedelta(number)) for number in range(-days, days + 1))
    starts = {datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC) for day in set(near)}
    return max(start for start in starts if start <= time), min(start for start in starts if start > time)


def _first_day(calendar: str, day: date) -> date:
    if calendar == "week":
        return day - timedelta(day.weekday())
    if calendar == "month":
        return day.replace(day=1)
    return day.replace(month=1, day=1) if calendar == "year" else day


def _hour(_: str, time: datetime, zone: tzinfo) -> tuple[datetime, datetime]:
    """From one moment at which the clock shows a full hour to the next."""
    start = time - (time - EPOCH) % CLOCK_STEP
    while not _shows_full_hour(start, zone):
        start -= CLOCK_STEP
    end = start + CLOCK_STEP
    while not _shows_full_hour(end, zone):
        end += CLOCK_STEP
    return start, end


def _shows_full_hour(moment: datetime, zone: tzinfo) -> bool:
    """At this moment, or just before, if the clock is changed then."""
    after = moment.astimezone(zone)
    before = (moment - INSTANT).astimezone(zone).replace(tzinfo=None) + INSTANT
    return not (after.minute or after.second) or not (before.minute or before.second)
