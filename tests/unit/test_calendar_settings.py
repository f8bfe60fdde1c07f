"""Calendars and time zones as they are written, and what is told of those that cannot be."""

from collections.abc import Mapping

import pytest

from streamagg.errors import SettingsError
from streamagg.model.settings import CLOCK_CALENDARS, CalendarSettings, WindowSettings
from streamagg.settings import parsers
from streamagg.settings.resolve import Resolver

QUARTER = CalendarSettings("15m", 900_000)


def window(**flags: object) -> WindowSettings:
    return Resolver(flags, {}).window()


def refused(flags: Mapping[str, object]) -> str:
    with pytest.raises(SettingsError) as caught:
        Resolver(flags, {}).window()
    return str(caught.value)


def test_calendars_are_put_in_order_and_the_clock_is_part_of_the_settings() -> None:
    found = window(calendar=["month", "900s", "day", "hour"], time_zone="Europe/Berlin")
    assert [calendar.name for calendar in found.calendars] == ["15m", "hour", "day", "month"]
    assert found.calendars[0] == QUARTER
    assert found.time_zone == "Europe/Berlin"
    assert len(found.zone_data) == 12
    assert found == window(calendar=["hour", "day", "15m", "month"], time_zone="Europe/Berlin")


def test_utc_needs_no_data_of_zones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoneinfo.available_timezones", set)
    found = window(calendar=["day"])
    assert (found.time_zone, found.zone_data) == ("UTC", "")
    assert window() == WindowSettings()
    assert refused({"calendar": ["day"], "time_zone": "Asia/Tokyo"}) == (
        "time_zone = 'Asia/Tokyo' (flag --time-zone) must be UTC, since there are no data of other time zones"
        " here: pip install tzdata."
    )


@pytest.mark.parametrize(
    ("written", "name"),
    [("15m", "15m"), ("1h", "1h"), (5400, "1h30m"), ("90m", "1h30m"), ("36h", "1d12h"), ("500ms", "0.5s")],
)
def test_a_length_is_always_written_in_the_same_way(written: object, name: str) -> None:
    found = parsers.calendar(written)
    assert isinstance(found, CalendarSettings)
    assert found.name == name
    assert not found.by_clock
    assert parsers.calendar(found.name) == found


@pytest.mark.parametrize("word", CLOCK_CALENDARS)
def test_a_word_is_a_calendar_by_the_clock(word: str) -> None:
    found = parsers.calendar(word)
    assert isinstance(found, CalendarSettings)
    assert found.by_clock
    assert found.name == word


@pytest.mark.parametrize("written", ["days", "", "0s", "-1h", "Day", "12y"])
def test_another_word_is_no_calendar(written: str) -> None:
    assert refused({"calendar": [written]}) == (
        f"calendar = {[written]!r} (flag --calendar) must be one of hour, day, week, month, year, or a"
        " duration such as 15m."
    )


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("europe/berlin", "Europe/Berlin"),
        ("Berlin", "Europe/Berlin"),
        ("Europe/Brelin", "Europe/Berlin"),
        ("America/New York", "America/New_York"),
        ("utc", "UTC"),
    ],
)
def test_a_zone_is_guessed(written: str, meant: str) -> None:
    assert refused({"calendar": ["day"], "time_zone": written}) == (
        f"time_zone = {written!r} (flag --time-zone) must be the name of a time zone such as Europe/Berlin"
        f" (did you mean {meant}?)."
    )


@pytest.mark.parametrize(
    "written", ["localtime", "Factory", "right/UTC", "../etc/passwd", "/etc/localtime", "+01:00", ""]
)
def test_what_is_no_zone_everywhere_is_none(written: str) -> None:
    problem = refused({"calendar": ["day"], "time_zone": written})
    assert problem.startswith(f"time_zone = {written!r} (flag --time-zone) must be the name of a time zone")


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (
            {"calendar": ["day", "hour", "day"]},
            "calendar = day (flag --calendar) is given twice: once will do.",
        ),
        ({"calendar": ["1h", "60m"]}, "calendar = 1h (flag --calendar) is given twice: once will do."),
        (
            {"calendar": ["90s"]},
            "calendar = 1m30s (flag --calendar) must be a multiple of granularity = 60s (the default).",
        ),
        (
            {"calendar": ["day", "1m"]},
            "calendar = 1m (flag --calendar) must be longer than granularity = 60s (the default).",
        ),
        (
            {"calendar": ["hour"], "granularity": "1h"},
            "calendar = hour (flag --calendar) must be longer than granularity = 1h (flag --granularity).",
        ),
        (
            {"calendar": ["day"], "granularity": "1h", "time_zone": "Asia/Kolkata"},
            "calendar = day (flag --calendar) begins inside a window of granularity = 1h (flag --granularity)"
            " in the time zone Asia/Kolkata: give a granularity that divides 30m, and no window_offset.",
        ),
        (
            {"calendar": ["day"], "window_offset": "7s"},
            "calendar = day (flag --calendar) begins inside a window of granularity = 60s (the default) in"
            " the time zone UTC: give a granularity that divides 1d, and no window_offset.",
        ),
        (
            {"calendar": ["1h"], "time_zone": "Asia/Tokyo"},
            "time_zone = Asia/Tokyo (flag --time-zone) has a meaning only for hours, days, weeks, months or"
            " years: add one of them, such as --calendar day, or leave it out.",
        ),
    ],
)
def test_mistakes_are_told_in_a_sentence(flags: Mapping[str, object], problem: str) -> None:
    assert refused(flags) == problem


def test_a_granularity_that_fits_through_its_offset_is_taken() -> None:
    found = window(calendar=["day"], granularity="1h", window_offset="30m", time_zone="Asia/Kolkata")
    assert found.offset_ms == 1_800_000
