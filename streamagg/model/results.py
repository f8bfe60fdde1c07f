"""What a closed window holds: a table of groups and measures."""

import math
from collections.abc import Mapping
from typing import Final, cast

import msgspec

Number = int | float | None
"""As it is published: a whole number below 2**63 in size as an int, any other as a double; None: no value."""

USERS: Final = "users"
RECORDS: Final = "records"


WHOLE_BELOW: Final = 2.0**63


def number_of(value: float) -> Number:
    """A double as it is published; NaN is no value, and so is what no JSON number can be."""
    if -WHOLE_BELOW < value < WHOLE_BELOW and value.is_integer():
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


class Groups(msgspec.Struct, frozen=True):
    """The groups of a window that are published, in the order in which they are."""

    found: int | None
    """How many there are, also those that are left out; None: too many, so that none is published."""
    texts: list[bytes]
    """See ``model.groups``; shape ``(n,)``, like each of the columns."""
    columns: Mapping[str, list[Number]]
    """By the name of the measure."""


class PeriodName(msgspec.Struct, frozen=True):
    """Which period of which calendar."""

    calendar: str
    start_ms: int
    end_ms: int


class Sketches(msgspec.Struct, frozen=True):
    """Of the users, as they are published (see ``core.measures.theta``)."""

    all: bytes
    """Of all groups together."""
    groups: list[bytes]
    """In the order of ``Groups.texts``."""


class WindowTable(msgspec.Struct, frozen=True):
    """A closed window over all shards, or a period that is over."""

    window: int
    partial: bool
    row: Row
    """All records together."""
    groups: Groups | None = None
    """None: records have no groups."""
    period: PeriodName | None = None
    """None: it is a window; else ``window`` is its last one."""
    sketches: Sketches | None = None
    """None: they are not wanted."""

    @property
    def users(self) -> Value | None:
        """Unique users of all groups together; None: they are not counted."""
        return self.row.get(USERS)

    @property
    def records(self) -> int:
        """Records of all groups together."""
        return self.row[RECORDS].count


class RunningPeriod(msgspec.Struct, frozen=True):
    """What a period comes to, for whoever does not wait for its end."""

    table: WindowTable
    """``window`` is the last one that is in it."""
    final: bool
    """No window of it follows."""
    gone: tuple[bytes, ...] = ()
    """Groups that were told of before, and are not any more."""
