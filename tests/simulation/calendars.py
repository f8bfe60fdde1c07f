"""Calendars of a scenario: of given lengths, or by a clock that is changed within the data."""

import random
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from streamagg.model.settings import CalendarSettings, WindowSettings

EPOCH_MS: Final = 1_000_000
QUARTER_MS: Final = 900_000
_HOUR: Final = CalendarSettings("hour", 3_600_000)
_DAY: Final = CalendarSettings("day", 86_400_000)
_CHANGES: Final = (
    ("Europe/Berlin", "2026-03-29T01:00Z"),
    ("Europe/Berlin", "2026-10-25T01:00Z"),
    ("Australia/Lord_Howe", "2026-04-04T15:00Z"),
    ("America/Sao_Paulo", "2018-11-04T03:00Z"),
)
"""A clock, and when it is changed: by an hour, by half of one, over midnight."""


@dataclass(frozen=True, slots=True)
class Dates:
    """Windows with calendars, and when the data begin."""

    window: WindowSettings
    begin_ms: int


def dated(window: WindowSettings, chance: random.Random) -> Dates:
    """A quarter of all have calendars."""
    luck = chance.random()
    if luck >= 0.25:
        return Dates(window, EPOCH_MS)
    if luck >= 0.12:
        return Dates(replace(window, calendars=_lengths(window.granularity_ms, chance)), EPOCH_MS)
    granularity = chance.choice((QUARTER_MS, 2 * QUARTER_MS))
    zone, change = chance.choice(_CHANGES)
    times = granularity // window.granularity_ms
    by_clock = chance.choice(((_HOUR,), (_DAY,), (_HOUR, _DAY)))
    more = _lengths(granularity, chance)[:1] if chance.random() < 0.5 else ()
    scaled = replace(
        window,
        granularity_ms=granularity,
        offset_ms=0,
        max_lag_ms=window.max_lag_ms * times,
        max_jump_ms=window.max_jump_ms * times,
        calendars=tuple(sorted((*by_clock, *more), key=lambda calendar: calendar.length_ms)),
        time_zone=zone,
    )
    changed_ms = int(datetime.fromisoformat(change).timestamp()) * 1_000
    return Dates(scaled, changed_ms - chance.randrange(30) * granularity)


def _lengths(granularity_ms: int, chance: random.Random) -> tuple[CalendarSettings, ...]:
    """Not all of them in one period of the next."""
    times = chance.choice(((3,), (2, 7), (3, 10, 15)))
    return tuple(CalendarSettings(f"{each}x", each * granularity_ms) for each in times)
