"""From a time as producers write it to integer milliseconds since the epoch, rounding down.

Every unit has two forms of the same rule: ``Unit`` for whole columns of well-behaved values, and
``parse_time`` for one value as text. A number with a fraction or an exponent is what every reader of
JSON makes of it, the nearest double; what is rounded down is the shortest decimal text of that double.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from msgspec import Meta

from streamagg.model.columns import Int64Column
from streamagg.model.settings import TimeUnit

YEAR_10000_MS: Final = 253_402_300_800_000
"""The first millisecond with a year of five digits: ISO 8601 cannot write it, and Python has no date for
it."""

_POWER_OF_TEN: Final[dict[TimeUnit, int]] = {"s": 3, "ms": 0, "us": -3, "ns": -6}
"""What turns a number of the unit into milliseconds."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)

_NUMBER: Final = re.compile(r"(?P<integer>-?(?:0|[1-9][0-9]*))(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_HOUR: Final = r"(?:[01][0-9]|2[0-3])"
_SECOND: Final = r"[0-5][0-9](?:[.,][0-9]+)?"
# Narrower than datetime.fromisoformat, which takes more, and not the same in every version of Python:
# 24:00, weeks, any separator, offsets with seconds.
_ISO8601: Final = re.compile(
    r"[0-9]{4}(?:-[0-9]{2}-[0-9]{2}|[0-9]{4})"
    rf"(?:[T ]{_HOUR}(?::[0-5][0-9](?::{_SECOND})?|[0-5][0-9](?:{_SECOND})?)?"
    rf"(?:Z|[+-]{_HOUR}(?::?[0-5][0-9])?)?)?"
)


class Iso8601(int):
    """Milliseconds since the epoch, made from ISO 8601 text."""

    __slots__ = ()


class Unit(NamedTuple):
    """How well-behaved times are read and become a column."""

    json_type: Any
    """What msgspec may accept: nothing that ``to_ms`` would get wrong."""
    smallest: int | str
    """A value of that type."""
    dtype: type[np.int64] | type[np.float64]
    to_ms: Callable[[npt.NDArray[Any]], Int64Column]


def parse_time(text: str, unit: TimeUnit) -> int:
    """Milliseconds since the epoch of a number in JSON's grammar, or of ISO 8601 text.

    Raises ValueError if it is neither, before 1970, or after the year 9999.
    """
    return parse_iso8601(text) if unit == "iso8601" else _parse_number(text, _POWER_OF_TEN[unit])


def parse_iso8601(text: str) -> int:
    """Milliseconds since the epoch; without an offset the text is UTC. Raises ValueError."""
    if not _ISO8601.fullmatch(text):
        raise ValueError("not ISO 8601")
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        time = time.replace(tzinfo=UTC)
    return _in_range((time - _EPOCH) // _MILLISECOND)


def _parse_number(text: str, power_of_ten: int) -> int:
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise ValueError("not a number")
    # Decimal takes integers of any length, which int() does not.
    number = Decimal(text) if match["integer"] == text else Decimal(repr(float(text)))
    if not 0 <= number < Decimal(YEAR_10000_MS).scaleb(-power_of_ten):
        raise ValueError("out of range")
    return int(number.scaleb(power_of_ten))


def _in_range(time_ms: int) -> int:
    if not 0 <= time_ms < YEAR_10000_MS:
        raise ValueError("out of range")
    return time_ms


def seconds_to_ms(seconds: npt.NDArray[np.float64]) -> Int64Column:
    """Milliseconds of non-negative doubles, by their shortest decimal text; any shape.

    The nearest millisecond is right or one too high. It is too high exactly when dividing it by 1000,
    which rounds correctly, gives more than the double.
    """
    nearest = np.rint(seconds * 1000.0)
    return (nearest - (nearest / 1000.0 > seconds)).astype(np.int64)


def _integer_below(limit: int, fraction: str = "") -> Any:
    """A JSON integer in ``[0, limit)``, or a string of one that is in range by its first digit and length.

    ``fraction`` is the pattern of what may follow the digits in the string.
    """
    first, more = int(str(limit)[0]), len(str(limit)) - 1
    digits = rf"0|[1-9][0-9]{{0,{more - 1}}}|[1-{first - 1}][0-9]{{{more}}}"
    text = Annotated[str, Meta(pattern=rf"\A(?:{digits}){fraction}\Z")]
    return Annotated[int, Meta(ge=0, le=limit - 1)] | text


def _number_below(limit: int) -> Any:
    """The same, or a JSON number with a fraction or an exponent, or a string of one with a fraction."""
    return _integer_below(limit, r"(?:\.[0-9]+)?") | Annotated[float, Meta(ge=0, lt=float(limit))]


UNITS: Final[dict[TimeUnit, Unit]] = {
    # numpy reads the strings as Python does. Up to the year 10000 every integer of the first two is
    # exact as a double; of the next two it is not, so that they take integers only.
    "s": Unit(_number_below(YEAR_10000_MS // 1000), 0, np.float64, seconds_to_ms),
    "ms": Unit(_number_below(YEAR_10000_MS), 0, np.float64, lambda ms: np.floor(ms).astype(np.int64)),
    "us": Unit(_integer_below(YEAR_10000_MS * 1000), 0, np.int64, lambda us: us // 1000),
    "ns": Unit(_integer_below(2**63), 0, np.int64, lambda ns: ns // 1_000_000),
    "iso8601": Unit(Iso8601, "1970-01-01", np.int64, lambda ms: ms),
}
