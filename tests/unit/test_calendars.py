"""Periods by the clock of a time zone, against a search through the instants at which it is changed.

::

    Europe/Berlin, 29 March 2026: a day of 23 hours
    UTC    22:00  23:00  00:00  01:00  02:00
    shows  23:00  00:00  01:00  03:00  04:00
                  [ hour | hour | hour |
                  [ day
"""

import zoneinfo
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamagg.core.calendars import Calendars, Period
from streamagg.core.zone_clock import ZoneClock
from streamagg.model.columns import Int64Column
from streamagg.model.settings import CLOCK_CALENDARS, CalendarSettings, WindowSettings
from streamagg.settings.zones import fits, longest_granularity_ms

QUARTER_MS = 900_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000
SINCE_MS = int(datetime(2008, 1, 1, tzinfo=UTC).timestamp()) * 1_000
UNTIL_MS = int(datetime(2028, 1, 1, tzinfo=UTC).timestamp()) * 1_000
ZONES = sorted(zoneinfo.available_timezones() - {"localtime", "Factory"})


@cache
def unlike(since_ms: int) -> list[str]:
    """Zones of which no two have shown the same time of day every ninth day since."""
    days = range(since_ms, 60 * 365 * DAY_MS, 9 * DAY_MS)
    shown = {tuple(_offset_ms(zoneinfo.ZoneInfo(zone), day) for day in days): zone for zone in ZONES}
    return sorted(shown.values())


WORDS = [*CLOCK_CALENDARS]


def clock_calendars(*names: str) -> tuple[CalendarSettings, ...]:
    return tuple(CalendarSettings(name, CLOCK_CALENDARS[name]) for name in names)


def calendars_of(zone: str, *names: str, granularity_ms: int = QUARTER_MS, offset_ms: int = 0) -> Calendars:
    return Calendars(
        WindowSettings(granularity_ms, offset_ms, calendars=clock_calendars(*names), time_zone=zone)
    )


def ms(written: str) -> int:
    return int(datetime.fromisoformat(written).timestamp()) * 1_000


def written(zone: str, calendar: str, moment: str) -> tuple[str, float]:
    """When the period of a moment begins by the clock of the zone, and how many hours it has."""
    found = calendars_of(zone, calendar).period(0, ms(moment) // QUARTER_MS)
    began = datetime.fromtimestamp(found.start_ms / 1_000, zoneinfo.ZoneInfo(zone))
    return began.isoformat(timespec="minutes"), (found.end_ms - found.start_ms) / HOUR_MS


class Enumerated:
    """What the clock of a zone shows at every quarter of an hour of 20 years."""

    def __init__(self, zone: str) -> None:
        info = zoneinfo.ZoneInfo(zone)
        self.quarters: Int64Column = np.arange(SINCE_MS, UNTIL_MS, QUARTER_MS, dtype=np.int64)
        days = range(SINCE_MS, UNTIL_MS + 1, DAY_MS)
        offsets = [_offset_ms(info, day) for day in days]
        self.changes = [
            _changed_ms(info, days[day], days[day + 1]) for day in np.flatnonzero(np.diff(offsets)).tolist()
        ]
        regime = np.searchsorted(self.changes, self.quarters, "right")
        begun = [SINCE_MS, *self.changes]
        self.shown = self.quarters + np.array([_offset_ms(info, at) for at in begun])[regime]
        furthest = np.maximum.accumulate(self.shown // DAY_MS)
        self._turned = np.flatnonzero(np.diff(furthest)) + 1
        self._dates = furthest[self._turned - 1], furthest[self._turned]

    def starts(self, word: str) -> list[int]:
        """When periods begin: the clock shows a date that is further than all before, or a full hour."""
        if word == "hour":
            full = (self.shown[1:] % HOUR_MS == 0) | ((self.shown[:-1] + QUARTER_MS) % HOUR_MS == 0)
            found: list[int] = self.quarters[1:][full].tolist()
        else:
            before, after = (_number(word, dates) for dates in self._dates)
            found = self.quarters[self._turned[before != after]].tolist()
        return found


def _number(word: str, dates: Int64Column) -> Int64Column:
    """Of days, the Mondays before them, or the months or years that they are in."""
    if word == "day":
        return dates
    if word == "week":
        return (dates + 3) // 7
    return dates.astype("datetime64[D]").astype(f"datetime64[{word[0].upper()}]").astype(np.int64)


def _offset_ms(info: zoneinfo.ZoneInfo, time_ms: int) -> int:
    offset = datetime.fromtimestamp(time_ms / 1_000, info).utcoffset()
    assert offset is not None
    return offset // timedelta(milliseconds=1)


def _changed_ms(info: zoneinfo.ZoneInfo, before_ms: int, after_ms: int) -> int:
    """The minute at which the clock is changed."""
    offset_ms = _offset_ms(info, before_ms)
    while after_ms - before_ms > 60_000:
        middle_ms = (before_ms + after_ms) // 2 // 60_000 * 60_000
        if _offset_ms(info, middle_ms) == offset_ms:
            before_ms = middle_ms
        else:
            after_ms = middle_ms
    return after_ms


def walked(calendars: Calendars, since_ms: int, until_ms: int) -> Iterator[int]:
    """The starts of all periods that begin after one moment and before another, each from the last one."""
    end_ms = calendars.period(0, since_ms // QUARTER_MS).end_ms
    while end_ms < until_ms:
        period = calendars.period(0, end_ms // QUARTER_MS)
        assert period.start_ms == end_ms
        yield period.start_ms
        end_ms = period.end_ms


def compare(zone: str, whole: tuple[str, ...]) -> None:
    """Some periods of 20 years; days and hours for a few days around every change of the clock."""
    truth = Enumerated(zone)
    for word in whole:
        assert [*walked(calendars_of(zone, word), SINCE_MS, UNTIL_MS)] == truth.starts(word), word
    for word, reach_ms in (("day", 4 * DAY_MS), ("hour", DAY_MS)):
        starts = np.array(truth.starts(word))
        for changed_ms in [ms("2024-02-28T12:00Z"), *truth.changes]:
            since_ms, until_ms = ((changed_ms + way * reach_ms) // QUARTER_MS * QUARTER_MS for way in (-1, 1))
            expected = starts[(starts > since_ms) & (starts < until_ms)].tolist()
            assert [*walked(calendars_of(zone, word), since_ms, until_ms)] == expected, word


@pytest.mark.parametrize(
    "zone",
    [
        "America/New_York",
        "America/St_Johns",  # changed its clock at one minute past midnight
        "America/Sao_Paulo",  # and over midnight
        "Asia/Kathmandu",  # is 5:45 ahead
        "Asia/Pyongyang",  # was half an hour behind for three years
        "Australia/Lord_Howe",  # by half an hour
        "Europe/Berlin",
        "Pacific/Apia",  # has no 30 December 2011
        "Pacific/Chatham",
        "Pacific/Fakaofo",
        "UTC",
    ],
)
def test_periods_are_those_of_a_search_through_the_instants(zone: str) -> None:
    compare(zone, ("day", "week", "month", "year"))


@pytest.mark.slow
@pytest.mark.parametrize("share", range(10))
def test_so_they_are_in_all_zones(share: int) -> None:
    """One of those whose clocks are changed at the same times."""
    assert len(ZONES) > 400
    assert len(unlike(SINCE_MS)) > 140
    assert len(unlike(0)) > 290
    for zone in unlike(SINCE_MS)[share::10]:
        compare(zone, ("week", "month", "year"))
    for zone in unlike(0)[share::10]:
        compare_offsets(zone)


@pytest.mark.parametrize(
    ("zone", "calendar", "moment", "began", "hours"),
    [
        ("Europe/Berlin", "day", "2026-03-29T12:00Z", "2026-03-29T00:00+01:00", 23),
        ("Europe/Berlin", "day", "2026-10-25T12:00Z", "2026-10-25T00:00+02:00", 25),
        ("Europe/Berlin", "hour", "2026-10-25T00:30Z", "2026-10-25T02:00+02:00", 1),
        ("Europe/Berlin", "hour", "2026-10-25T01:30Z", "2026-10-25T02:00+01:00", 1),
        ("Europe/Berlin", "hour", "2026-03-29T01:30Z", "2026-03-29T03:00+02:00", 1),
        ("Asia/Kathmandu", "hour", "2026-01-01T00:00Z", "2026-01-01T05:00+05:45", 1),
        ("Australia/Lord_Howe", "hour", "2026-04-04T15:15Z", "2026-04-05T01:30+10:30", 0.5),
        ("Australia/Lord_Howe", "hour", "2026-10-03T15:45Z", "2026-10-04T02:30+11:00", 0.5),
        ("America/St_Johns", "hour", "2010-11-07T03:15Z", "2010-11-07T00:00-02:30", 1),
        ("America/St_Johns", "day", "2010-11-07T03:15Z", "2010-11-07T00:00-02:30", 25),
        ("America/Sao_Paulo", "day", "2018-11-04T12:00Z", "2018-11-04T01:00-02:00", 23),
        ("Pacific/Apia", "day", "2011-12-30T09:59Z", "2011-12-29T00:00-10:00", 24),
        ("Pacific/Apia", "day", "2011-12-30T10:00Z", "2011-12-31T00:00+14:00", 24),
        ("Pacific/Apia", "week", "2011-12-30T09:59Z", "2011-12-26T00:00-10:00", 6 * 24),
        ("UTC", "week", "2026-12-31T00:00Z", "2026-12-28T00:00+00:00", 7 * 24),
        ("UTC", "week", "2027-01-03T23:59Z", "2026-12-28T00:00+00:00", 7 * 24),
        ("UTC", "week", "2027-01-04T00:00Z", "2027-01-04T00:00+00:00", 7 * 24),
        ("UTC", "month", "2028-02-29T23:59Z", "2028-02-01T00:00+00:00", 29 * 24),
        ("Europe/Berlin", "month", "2026-03-01T00:00Z", "2026-03-01T00:00+01:00", 31 * 24 - 1),
        ("Europe/Berlin", "year", "2026-12-31T23:00Z", "2027-01-01T00:00+01:00", 365 * 24),
        ("UTC", "day", "1970-01-01T00:00Z", "1970-01-01T00:00+00:00", 24),
        ("America/New_York", "year", "1970-01-01T00:00Z", "1969-01-01T00:00-05:00", 365 * 24),
    ],
)
def test_periods_begin_when_the_clock_says_so(
    zone: str, calendar: str, moment: str, began: str, hours: float
) -> None:
    assert written(zone, calendar, moment) == (began, hours)


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Pacific/Kiritimati", "America/New_York"])
def test_the_end_of_all_dates_is_a_period_as_any(zone: str) -> None:
    """Some write the last second of the year 9999 for never; Python has no date after it."""
    calendars = calendars_of(zone, *WORDS)
    for calendar in range(len(WORDS)):
        for time_ms in (253_402_300_799_999, 253_402_300_800_000 - 86_400_000):
            period = calendars.period(calendar, time_ms // QUARTER_MS)
            assert period.start_ms <= time_ms < period.end_ms
    year = calendars.period(WORDS.index("year"), 253_402_128_000_000 // QUARTER_MS)
    assert year.end_ms - year.start_ms == 365 * DAY_MS


@given(
    st.sampled_from(ZONES),
    st.lists(st.integers(SINCE_MS // QUARTER_MS, UNTIL_MS // QUARTER_MS), min_size=1, max_size=20),
    st.sampled_from([60_000, 300_000, QUARTER_MS]),
)
def test_a_window_lies_in_one_period_of_each_calendar_and_hours_in_days(
    zone: str, quarters: list[int], granularity_ms: int
) -> None:
    """In whatever order they are asked for; periods consist of whole windows."""
    calendars = calendars_of(zone, *WORDS, granularity_ms=granularity_ms)
    for quarter in quarters:
        window = quarter * QUARTER_MS // granularity_ms
        periods = [calendars.period(calendar, window) for calendar in range(len(WORDS))]
        for calendar, period in enumerate(periods):
            first, last = period.start_ms // granularity_ms, calendars.last_window(period)
            assert first <= window <= last
            assert (first * granularity_ms, (last + 1) * granularity_ms) == period
            assert [calendars.period(calendar, edge) for edge in (first, last)] == [period, period]
            assert calendars.period(calendar, last + 1).start_ms == period.end_ms
            assert calendars.period(calendar, first - 1).end_ms == period.start_ms
        hour, day, week, month, year = periods
        for inner, outer in ((hour, day), (day, week), (day, month), (month, year)):
            assert outer.start_ms <= inner.start_ms < inner.end_ms <= outer.end_ms


@given(st.integers(1, 50), st.integers(2, 50), st.integers(0, 10**6), st.integers(0, 10**9))
def test_periods_of_one_length_are_shifted_as_windows_are(
    granularity_ms: int, windows: int, offset: int, window: int
) -> None:
    length_ms, offset_ms = granularity_ms * windows, offset % granularity_ms
    settings = WindowSettings(granularity_ms, offset_ms, calendars=(CalendarSettings("x", length_ms),))
    calendars = Calendars(settings)
    period, start_ms = calendars.period(0, window), window * granularity_ms + offset_ms
    assert (period.start_ms - offset_ms) % length_ms == 0
    assert period == Period(period.start_ms, period.start_ms + length_ms)
    assert period.start_ms <= start_ms < period.end_ms
    assert calendars.last_window(period) == (period.end_ms - offset_ms) // granularity_ms - 1
    assert calendars.names == ("x",)


def compare_offsets(zone: str) -> None:
    """Its offsets are those of a search day by day, and a quarter of an hour fits them since 1980."""
    info, clock = zoneinfo.ZoneInfo(zone), ZoneClock(zone)
    days = np.array([_offset_ms(info, day) for day in range(0, 60 * 365 * DAY_MS, DAY_MS)])
    known = [since_ms for since_ms, _ in clock.offsets if 0 < since_ms < 60 * 365 * DAY_MS]
    assert np.count_nonzero(np.diff(days)) == len(known), zone
    for calendar in clock_calendars(*WORDS):
        assert fits(calendar, clock, QUARTER_MS, 0), zone
        assert longest_granularity_ms(calendar, clock) % QUARTER_MS == 0, zone


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Africa/Monrovia", "Africa/Casablanca", "Asia/Gaza"])
def test_a_quarter_of_an_hour_fits_every_zone(zone: str) -> None:
    compare_offsets(zone)


@pytest.mark.parametrize(
    ("zone", "calendar", "granularity_ms", "offset_ms", "fitting"),
    [
        ("Asia/Kolkata", "day", HOUR_MS, 0, False),
        ("Asia/Kolkata", "day", HOUR_MS, HOUR_MS // 2, True),
        ("Asia/Kolkata", "day", HOUR_MS // 2, 0, True),
        ("Europe/Berlin", "day", HOUR_MS, 0, True),
        ("Europe/Berlin", "day", 2 * HOUR_MS, 0, False),  # summer
        ("Europe/Berlin", "month", HOUR_MS, 1, False),
        ("UTC", "month", DAY_MS, 0, True),
        ("UTC", "month", 7 * DAY_MS, 0, False),
        ("UTC", "week", 2 * DAY_MS, 0, False),
        ("UTC", "week", 3 * DAY_MS + DAY_MS // 2, 0, False),  # the epoch was a Thursday
        ("UTC", "week", 3 * DAY_MS + DAY_MS // 2, DAY_MS // 2, True),
        ("UTC", "hour", 7 * 60_000, 0, False),
        ("Australia/Lord_Howe", "hour", HOUR_MS, 0, False),
        ("Australia/Lord_Howe", "hour", HOUR_MS // 2, 0, True),
        ("Asia/Pyongyang", "hour", HOUR_MS, 0, False),  # though it would be right today
    ],
)
def test_what_begins_inside_a_window_does_not_fit(
    zone: str, calendar: str, granularity_ms: int, offset_ms: int, fitting: bool
) -> None:
    (settings,) = clock_calendars(calendar)
    assert fits(settings, ZoneClock(zone), granularity_ms, offset_ms) is fitting


def test_a_digest_is_of_what_the_clock_does_and_not_of_its_name() -> None:
    digests = {zone: ZoneClock(zone).digest() for zone in ("Europe/Berlin", "Europe/Lisbon")}
    assert digests["Europe/Berlin"] != digests["Europe/Lisbon"]
    assert ZoneClock("Etc/UTC").digest() == ZoneClock("UTC").digest()
