"""Times of questions, as people and programs write them. All are integer milliseconds since 1970."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

END_OF_TIME_MS: Final = 253_402_300_800_000
"""The year 10000."""
_UNITS_MS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)
_NUMBER: Final = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,9})?")
_BACK: Final = re.compile(r"-((?:[0-9]{1,9}(?:ms|s|m|h|d|w))+)")
_PART: Final = re.compile(r"([0-9]+)(ms|s|m|h|d|w)")
_ZONE: Final = re.compile(r"[A-Za-z0-9_+-]+(?:/[A-Za-z0-9_+-]+){0,2}")


@dataclass(frozen=True, slots=True)
class Moment:
    """A time, or how long before another one."""

    ms: int
    relative: bool = False

    def from_end(self, end_ms: int) -> int:
        """The time that it means if it is counted back from ``end_ms``."""
        return max(0, end_ms - self.ms) if self.relative else self.ms


def zone(name: str) -> tzinfo:
    """A time zone of the IANA database; raises ValueError."""
    if name == "UTC":
        return UTC
    try:
        if not _ZONE.fullmatch(name):
            raise ValueError
        return ZoneInfo(name)
    except (ValueError, OSError):
        # zoneinfo's own error of a name that is not there is a KeyError that says the name only.
        raise ValueError("the name of a time zone such as Europe/Berlin") from None
    except KeyError:
        raise ValueError("the name of a time zone such as Europe/Berlin") from None


def moment(text: str, zone: tzinfo = UTC) -> Moment:
    """Seconds since 1970, ISO 8601 (by the clock of ``zone`` where it names none), or ``-7d``.

    Raises ValueError with what would be valid.
    """
    valid = (
        "seconds since 1970, a time in ISO 8601 such as 2026-01-31T12:00:00Z, or a duration back such as -7d"
    )
    if back := _BACK.fullmatch(text):
        span_ms = sum(int(number) * _UNITS_MS[unit] for number, unit in _PART.findall(back[1]))
        if span_ms > END_OF_TIME_MS:
            raise ValueError(valid)
        return Moment(span_ms, relative=True)
    found_ms = int(Decimal(text) * 1_000) if _NUMBER.fullmatch(text) else _iso_ms(text, zone, valid)
    if not 0 <= found_ms < END_OF_TIME_MS:
        raise ValueError(valid)
    return Moment(found_ms)


def _iso_ms(text: str, zone: tzinfo, valid: str) -> int:
    try:
        # A plus sign that was not escaped arrives as a blank.
        read = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
        return ((read if read.tzinfo else read.replace(tzinfo=zone)) - _EPOCH) // _MS
    except (ValueError, OverflowError):
        raise ValueError(valid) from None


def seconds(time_ms: int) -> int | float:
    """As times are published: whole seconds where they can be."""
    return time_ms // 1_000 if time_ms % 1_000 == 0 else time_ms / 1_000


def iso(time_ms: int, zone: tzinfo) -> str:
    """By the clock of a time zone, with its offset."""
    return (_EPOCH + time_ms * _MS).astimezone(zone).isoformat()
