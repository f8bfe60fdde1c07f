"""What a closed window holds: a small table of groups and measures."""

import math
from collections.abc import Mapping
from typing import Final, cast

import msgspec

Number = int | float | None
"""As it is published: a whole number below 2**63 in size as an int, any other as a double; None: no value."""

Group = tuple[str | None, ...]
"""What the records of a group have in common."""
ALL: Final[Group] = ()
"""All records of a window: the row that every table has, and its first."""
USERS: Final = "users"
RECORDS: Final = "records"


_WHOLE_BELOW: Final = 2.0**63


def number_of(value: float) -> Number:
    """A double as it is published; NaN is no value, and so is what no JSON number can be."""
    if -_WHOLE_BELOW < value < _WHOLE_BELOW and value.is_integer():
        return int(value)
    return value if math.isfinite(value) else None


class Value(msgspec.Struct, frozen=True, gc=False):
    """What a measure comes to."""

    number: Number
    error: float | None = None
    """Greatest relative error if that is an estimate; None: exact."""

    @property
    def count(self) -> int:
        """The number where it is one of things that are counted, which there always is."""
        return cast(int, self.number)


Row = Mapping[str, Value]
"""By the name of the measure."""


class WindowTable(msgspec.Struct, frozen=True):
    """A closed window over all shards: a row for each group, a value for each measure."""

    window: int
    partial: bool
    rows: Mapping[Group, Row]

    @property
    def users(self) -> Value:
        """Unique users of all groups together."""
        return self.rows[ALL][USERS]

    @property
    def records(self) -> int:
        """Records of all groups together."""
        return self.rows[ALL][RECORDS].count
