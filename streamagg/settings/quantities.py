"""Durations, moments and sizes as people write them.

Every parser takes what a flag, a variable or a TOML value can hold and raises ``ValueError``
with a text that says what would be valid, fit for "… must be <text>".
"""

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

LONGEST_MS: Final = 3_650 * 86_400_000
"""Ten years: longer durations are typing errors, and their sums would leave 64 bits."""
END_OF_TIME_MS: Final = 253_402_300_800_000
"""The year 10000."""

_UNIT_MS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_UNIT_BYTES: Final = {
    "": 1,
    "b": 1,
    "kb": 1_000,
    "mb": 1_000_000,
    "gb": 1_000_000_000,
    "kib": 1 << 10,
    "mib": 1 << 20,
    "gib": 1 << 30,
}
_NUMBER: Final = r"[0-9]{1,15}(?:\.[0-9]{1,15})?"
_DURATION: Final = re.compile(rf"(-?)(?:({_NUMBER})|((?:{_NUMBER}(?:ms|s|m|h|d))+))")
_PART: Final = re.compile(rf"({_NUMBER})(ms|s|m|h|d)")
_SIZE: Final = re.compile(rf"({_NUMBER}) ?([A-Za-z]{{0,3}})")


def duration_ms(value: object) -> int:
    """Milliseconds of ``500ms``, ``60s``, ``1m30s``, ``2h``, ``7d``, or of a bare number of seconds."""
    valid = "a duration such as 500ms, 60s, 1m30s or 2h, in whole milliseconds and up to ten years"
    match = _DURATION.fullmatch(str(value).strip())
    if match is None:
        raise ValueError(valid)
    sign, seconds, parts = match.groups()
    if seconds is not None:
        total = Decimal(seconds) * 1_000
    else:
        total = sum((Decimal(number) * _UNIT_MS[unit] for number, unit in _PART.findall(parts)), Decimal(0))
    if total != int(total) or total > LONGEST_MS:
        raise ValueError(valid)
    return -int(total) if sign else int(total)


def duration_text(duration_ms: int) -> str:
    """The shortest way to write a duration: ``65s``, ``1500ms``, ``2h``."""
    for unit in ("d", "h", "m", "s"):
        if duration_ms >= 2 * _UNIT_MS[unit] and duration_ms % _UNIT_MS[unit] == 0:
            return f"{duration_ms // _UNIT_MS[unit]}{unit}"
    return f"{duration_ms}ms"


def duration_parts(duration_ms: int) -> str:
    """A duration by its units, as it may also be given: ``1m44s``, ``1h``, ``2.5s``; ``0s`` for none."""
    text, left = "", Decimal(duration_ms)
    for unit in ("d", "h", "m"):
        number, left = divmod(left, _UNIT_MS[unit])
        text += f"{number}{unit}" if number else ""
    return f"{text}{left / 1_000}s" if left or not text else text


def moment_ms(value: object) -> int:
    """Milliseconds since the epoch of epoch seconds or of ISO 8601; without a zone it is UTC."""
    valid = "a time in ISO 8601 such as 2026-01-31T12:00:00Z, or in seconds since 1970"
    text = str(value).strip()
    if re.fullmatch(_NUMBER, text):
        found_ms = int(Decimal(text) * 1_000)
    else:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise ValueError(valid) from None
        zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        since = zoned - datetime(1970, 1, 1, tzinfo=UTC)
        found_ms = since.days * 86_400_000 + since.seconds * 1_000 + since.microseconds // 1_000
    if not 0 <= found_ms < END_OF_TIME_MS:
        raise ValueError(valid)
    return found_ms


def size_bytes(value: object) -> int:
    """Bytes of ``1MiB``, ``512 KiB``, ``2MB``, or of a bare number of bytes."""
    valid = "a size such as 1048576, 512KiB or 2MB"
    match = _SIZE.fullmatch(str(value).strip())
    if match is None or match[2].lower() not in _UNIT_BYTES:
        raise ValueError(valid)
    total = Decimal(match[1]) * _UNIT_BYTES[match[2].lower()]
    if total != int(total):
        raise ValueError(valid)
    return int(total)
