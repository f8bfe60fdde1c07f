"""Times in many zones, and the periods that they lie in."""

import random
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from streamagg.core.calendars import Calendars
from streamagg.core.zone_clock import DAY_MS, ZoneClock
from streamagg.model.settings import CLOCK_CALENDARS, CalendarSettings, WindowSettings
from streamagg.settings.zones import zone_names

_CALENDARS: Final = (
    *(CalendarSettings(name, length_ms) for name, length_ms in CLOCK_CALENDARS.items()),
    CalendarSettings("15m", 900_000),
    CalendarSettings("10d", 10 * DAY_MS),
)
_ODD: Final = (
    *("UTC", "Europe/Berlin", "Europe/Dublin", "America/New_York", "America/St_Johns", "Asia/Kolkata"),
    *("Australia/Lord_Howe", "Pacific/Apia", "Pacific/Kiritimati", "America/Sao_Paulo", "Asia/Kathmandu"),
    *("Africa/Monrovia", "Antarctica/Troll", "America/Havana", "Pacific/Chatham", "Asia/Pyongyang"),
    *("America/Caracas", "Asia/Amman", "Atlantic/Azores", "Africa/Cairo"),
)
"""Zones whose clocks do what others do not; of these also the times around all changes."""
_OTHERS: Final = 60
_UNTIL_MS: Final = 200 * 365 * DAY_MS


def periods() -> Iterator[dict[str, Any]]:
    """One object for each zone."""
    chance = random.Random(18)
    for name in _ODD:
        clock = ZoneClock(name)
        changes = [since_ms for since_ms, _ in clock.offsets]
        near = [max(0, since + chance.randrange(-DAY_MS, DAY_MS)) for since in changes]
        at = [time for since in changes for time in (since - 1, since) if time >= 0]
        yield _zone(name, clock, [*_times(chance), *near, *at], chance)
    for name in chance.sample(sorted(zone_names() - {*_ODD}), _OTHERS):
        yield _zone(name, ZoneClock(name), _times(chance), chance)


def _times(chance: random.Random) -> list[int]:
    return [
        0,
        *(chance.randrange(_UNTIL_MS) for _ in range(20)),
        253_402_300_799_999 - chance.randrange(10**12),
    ]


def _zone(name: str, clock: ZoneClock, times: list[int], chance: random.Random) -> dict[str, Any]:
    settings = WindowSettings(60_000, chance.choice([0, 30_000]), calendars=_CALENDARS, time_zone=name)
    calendars = Calendars(settings)
    # Else the period of the time before would nearly always be the answer.
    chance.shuffle(times)
    told = msgspec.to_builtins(settings) | {"zone_data": clock.digest()}
    found = [
        (time, [tuple(calendars.period_at(number, time)) for number in range(len(_CALENDARS))])
        for time in times
    ]
    return {"settings": told, "periods": found}
