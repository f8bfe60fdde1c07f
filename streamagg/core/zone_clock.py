"""How the clock of a time zone goes: what it shows, and when it is changed.

Times and offsets from UTC are integer milliseconds.
"""

import hashlib
from bisect import bisect_left
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import cached_property
from typing import Final
from zoneinfo import ZoneInfo

DAY_MS: Final = 86_400_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)
_STEP_MS: Final = 3 * DAY_MS
"""No zone has had an offset for less than six days since 1970."""
_END_MS: Final = 130 * 365 * DAY_MS
"""About the year 2100; later on clocks are changed every year by the same rules."""


class ZoneClock:
    """The clock on the wall in a time zone: UTC, or a name that ``zoneinfo`` has data of."""

    def __init__(self, name: str) -> None:
        self._zone: tzinfo = UTC if name == "UTC" else ZoneInfo(name)

    def shows(self, time_ms: int) -> datetime:
        """What it shows, to the millisecond."""
        return (_EPOCH + time_ms * _MS).astimezone(self._zone)

    def offset_ms(self, time_ms: int) -> int:
        """How far it is ahead of UTC."""
        offset = self.shows(time_ms).utcoffset()
        return 0 if offset is None else offset // _MS

    def begins_ms(self, day: date) -> int:
        """When it reaches a date; a day that it skips has no length, and begins with the next one.

        That is the first of two midnights; and where the clock skips midnight, it does so at that moment, in
        every zone since 1970. Python looks at the offset before, in both cases (PEP 495, ``fold=0``).
        """
        return (datetime(day.year, day.month, day.day, tzinfo=self._zone) - _EPOCH) // _MS

    def changed_ms(self, before_ms: int, after_ms: int) -> int:
        """When its offset became what it is at ``after_ms``, if it was another one at ``before_ms``."""
        offset_ms = self.offset_ms(after_ms)
        times_ms = range(before_ms, after_ms)
        return times_ms[0] + bisect_left(times_ms, True, key=lambda time: self.offset_ms(time) == offset_ms)

    @cached_property
    def offsets(self) -> tuple[tuple[int, int], ...]:
        """Those that it has from 1970 to about 2100, one after the other: since when, and the offset."""
        found = [(0, self.offset_ms(0))]
        for time_ms in range(_STEP_MS, _END_MS, _STEP_MS):
            offset_ms = self.offset_ms(time_ms)
            if offset_ms != found[-1][1]:
                found.append((self.changed_ms(time_ms - _STEP_MS, time_ms), offset_ms))
        return tuple(found)

    def digest(self) -> str:
        """Twelve hexadecimal digits that are others where the clock goes otherwise.

        Not the version of the zone data: that says nothing of what has changed, and most of the time
        nothing has in this zone.
        """
        return hashlib.sha256(repr(self.offsets).encode()).hexdigest()[:12]
