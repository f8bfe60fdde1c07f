"""How many different users a window has: exactly, or above a ceiling about."""

import numpy as np

from streamagg.core.measures.sketch import KEPT_USERS, estimate, merged
from streamagg.core.measures.user_set import UserSet
from streamagg.model.columns import Columns
from streamagg.model.results import USERS, Value
from streamagg.model.settings import NO_CEILING, CeilingSettings

Summary = tuple[int | None, bytes]
"""How many, None for more than the ceiling; and, where a sketch may be asked for, the smallest of their
hashes, uint64, ascending."""


class _Counted:
    """A set of users."""

    __slots__ = ("_column", "_keep", "_set")

    def __init__(self, column: int, most: int | None, keep: int) -> None:
        self._column = column
        self._keep = keep
        self._set = UserSet(most, keep)

    def update(self, columns: Columns, _: int) -> None:
        self._set.add(columns[self._column])

    def summary(self) -> Summary:
        return self._set.count(), self._set.smallest(self._keep).tobytes()

    @property
    def users(self) -> int:
        return self._set.rows

    @property
    def nbytes(self) -> int:
        return self._set.nbytes


class Uniques:
    """No user is in two shards, so counts add up; what is above the ceiling depends on the sum alone."""

    name = USERS

    def __init__(self, column: int, ceiling: CeilingSettings = NO_CEILING) -> None:
        """``column``: the place of the users' hashes among the columns, which are uint64."""
        self._column = column
        self._most = ceiling.max_users
        self._stops = ceiling.above == "stop"
        self.keep = 0 if self._stops else KEPT_USERS
        """So many of the smallest hashes are in a summary."""

    def initialize(self) -> _Counted:
        """Nobody yet."""
        return _Counted(self._column, self._most, self.keep)

    def combine(self, one: Summary, other: Summary) -> Summary:
        """The users of both."""
        unique = None if one[0] is None or other[0] is None else one[0] + other[0]
        if not one[1] or not other[1]:
            return unique, one[1] or other[1]
        smallest = merged(np.frombuffer(one[1], np.uint64), np.frombuffer(other[1], np.uint64))
        return unique, smallest.tobytes()

    def refusal(self, summary: Summary) -> str | None:
        """More than the ceiling, unless an estimate will do."""
        if not self._stops or not self._above(summary[0]):
            return None
        return (
            f"has more than {self._most:,} unique users, so neither it nor a later one is published."
            " Run again with a higher --max-users, or with --above-max-users approximate."
        )

    def finish(self, summary: Summary) -> Value:
        """Their number, or an estimate if it is above the ceiling."""
        unique = summary[0]
        if unique is not None and not self._above(unique):
            return Value(unique)
        about = estimate(np.frombuffer(summary[1], np.uint64))
        return Value(about.unique, about.error)

    def _above(self, unique: int | None) -> bool:
        return self._most is not None and (unique is None or unique > self._most)
