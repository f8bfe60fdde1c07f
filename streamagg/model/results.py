"""What a closed window holds: a small table of groups and measures."""

from collections.abc import Mapping
from typing import Final

import msgspec

Group = tuple[str | None, ...]
"""What the records of a group have in common."""
ALL: Final[Group] = ()
"""All records of a window: the row that every table has, and its first."""
USERS: Final = "users"
RECORDS: Final = "records"


class Value(msgspec.Struct, frozen=True, gc=False):
    """What a measure comes to."""

    number: int
    error: float | None = None
    """Greatest relative error if that is an estimate; None: exact."""


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
        return self.rows[ALL][RECORDS].number
