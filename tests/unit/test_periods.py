"""Periods found by looking at clocks: days of odd lengths and hours that come twice."""

from datetime import UTC, datetime

import pytest

from streamagg.model.settings import CLOCK_CALENDARS, CalendarSettings, WindowSettings
from streamagg.tools.periods import Period, Periods


def moment_ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * 1_000


def period(calendar: str, time: str, zone: str = "Europe/Berlin") -> tuple[str, str]:
    """Start and end, as clocks in Greenwich show them."""
    settings = CalendarSettings(calendar, CLOCK_CALENDARS[calendar])
    window = WindowSettings(granularity_ms=900_000, calendars=(settings,), time_zone=zone)
    (found,) = Periods(window).of(moment_ms(time))
    start, end = (datetime.fromtimestamp(ms / 1_000, UTC) for ms in (found.start_ms, found.end_ms))
    return f"{start:%Y-%m-%d %H:%M}", f"{end:%Y-%m-%d %H:%M}"


@pytest.mark.parametrize(
    ("time", "day"),
    [
        ("2026-11-29T12:00+01:00", ("2026-11-28 23:00", "2026-11-29 23:00")),
        ("2026-03-29T12:00+02:00", ("2026-03-28 23:00", "2026-03-29 22:00")),
        ("2026-10-25T12:00+01:00", ("2026-10-24 22:00", "2026-10-25 23:00")),
    ],
)
def test_days_have_23_to_25_hours(time: str, day: tuple[str, str]) -> None:
    assert period("day", time) == day


def test_longer_periods_begin_with_a_day() -> None:
    assert period("week", "2026-01-01T12:00+01:00") == ("2025-12-28 23:00", "2026-01-04 23:00")
    assert period("month", "2026-03-31T23:59+02:00") == ("2026-02-28 23:00", "2026-03-31 22:00")
    assert period("year", "2026-12-31T23:59+01:00") == ("2025-12-31 23:00", "2026-12-31 23:00")


def test_an_hour_may_come_twice_or_be_short() -> None:
    assert period("hour", "2026-10-25T00:30+00:00") == ("2026-10-25 00:00", "2026-10-25 01:00")
    assert period("hour", "2026-10-25T01:30+00:00") == ("2026-10-25 01:00", "2026-10-25 02:00")
    # Half an hour is shown again there, from 01:30 on.
    lord_howe = "Australia/Lord_Howe"
    assert period("hour", "2026-04-04T15:00+00:00", lord_howe) == ("2026-04-04 15:00", "2026-04-04 15:30")
    assert period("hour", "2026-07-01T00:00+00:00", "Asia/Kolkata") == (
        "2026-06-30 23:30",
        "2026-07-01 00:30",
    )


def test_a_day_that_does_not_exist_is_left_out() -> None:
    assert period("day", "2011-12-30T09:59+00:00", "Pacific/Apia") == ("2011-12-29 10:00", "2011-12-30 10:00")
    assert period("day", "2011-12-30T10:00+00:00", "Pacific/Apia") == ("2011-12-30 10:00", "2011-12-31 10:00")


def test_a_midnight_that_comes_twice_is_the_first() -> None:
    # Havana: at 01:00 it is 00:00 again.
    assert period("day", "2026-11-01T05:30+00:00", "America/Havana")[0] == "2026-11-01 04:00"
    # Azores, until 1992 and from 2026: at 01:00 it is 00:00; St. John's until 2011: at 00:01 it is 23:01.
    assert period("day", "2010-11-07T02:45+00:00", "America/St_Johns") == (
        "2010-11-07 02:30",
        "2010-11-08 03:30",
    )


def test_times_behind_the_last_year_have_periods() -> None:
    window = WindowSettings(calendars=(CalendarSettings("day", 86_400_000),), time_zone="Europe/Berlin")
    (last,) = Periods(window).of(253_402_300_740_000)
    assert (last.end_ms - last.start_ms, last.end_ms > 253_402_300_800_000) == (86_400_000, True)


def test_durations_are_counted_from_the_epoch_and_the_offset() -> None:
    calendars = (CalendarSettings("15m", 900_000), CalendarSettings("1h 30m", 5_400_000))
    window = WindowSettings(calendars=calendars, offset_ms=20_000)
    assert Periods(window).of(1_820_000) == [
        Period("15m", 1_820_000, 2_720_000),
        Period("1h 30m", 20_000, 5_420_000),
    ]
