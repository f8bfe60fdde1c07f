"""How many different users a window has: exactly, or above a ceiling about; of its groups always exactly."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from streamagg.core.measures.by_group import placed
from streamagg.core.measures.contract import Finished, Part, Places
from streamagg.core.measures.counts import Tally
from streamagg.core.measures.pair_set import PairSet
from streamagg.core.measures.sketch import KEPT_USERS, estimate, merged
from streamagg.core.measures.smallest_users import Smallest, smallest
from streamagg.core.measures.user_set import UserSet
from streamagg.model.columns import Columns, UInt32Column, UInt64Column
from streamagg.model.results import USERS, Value
from streamagg.model.settings import NO_CEILING, CeilingSettings

Summary = tuple[int | None, bytes, bytes]
"""How many, None for more than the ceiling; where a sketch may be asked for, the smallest of their hashes,
uint64, ascending; and how many each group has, int64, nothing where records have no groups."""

_NO_USERS: Final = np.empty(0, np.uint64)
_NO_PAIRS: Final = np.empty(0, np.uint32), _NO_USERS


class CountedUsers:
    """A set of users."""

    __slots__ = ("_column", "_keep", "_set")

    def __init__(self, column: int, most: int | None, keep: int) -> None:
        self._column = column
        self._keep = keep
        self._set = UserSet(most, keep)

    def update(self, columns: Columns, rows: int, places: Places | None, groups: int) -> None:
        """Take rows; there is one group."""
        self._set.add(columns[self._column])

    def ungroup(self) -> None:
        """There are no groups."""

    def summary(self) -> Summary:
        """As ``Summary`` says."""
        return self._set.count(), self._set.smallest(self._keep).tobytes(), b""

    def members(self) -> UInt64Column:
        """The users, ascending; above the ceiling the smallest of them."""
        return self._set.members()

    def smallest(self) -> Smallest:
        """For sketches."""
        return smallest(self.members(), *_NO_PAIRS)

    @property
    def users(self) -> int:
        """As the contract says."""
        return self._set.rows

    @property
    def nbytes(self) -> int:
        """As the contract says."""
        return self._set.nbytes


class CountedPairs:
    """A set of users for each group, and one of all."""

    __slots__ = ("_column", "_groups", "_keep", "_set")

    def __init__(self, column: int, most: int | None, keep: int) -> None:
        self._column = column
        self._keep = keep
        self._groups = 0
        self._set = PairSet(most, keep)

    def update(self, columns: Columns, rows: int, places: Places | None, groups: int) -> None:
        """Take rows."""
        self._groups = groups
        self._set.add(placed(places, rows), columns[self._column])

    def ungroup(self) -> None:
        """As the contract says."""
        self._groups = 1
        self._set.ungroup()

    def summary(self) -> Summary:
        """As ``Summary`` says."""
        counts = self._set.counts(self._groups).tobytes()
        return self._set.users.count(), self._set.users.smallest(self._keep).tobytes(), counts

    def members(self) -> UInt64Column:
        """The users, ascending; above the ceiling the smallest of them."""
        self._set.merge()
        return self._set.users.members()

    def pairs(self) -> tuple[UInt32Column, UInt64Column]:
        """Places and users, each pair once; ``PairSet.fresh`` takes them."""
        return self._set.members()

    def smallest(self) -> Smallest:
        """For sketches."""
        return smallest(self.members(), *self.pairs())

    @property
    def users(self) -> int:
        """As the contract says."""
        return self._set.waiting + self._set.users.rows

    @property
    def nbytes(self) -> int:
        """As the contract says."""
        return self._set.nbytes


class Uniques:
    """No user is in two shards, so counts add up; what is above the ceiling depends on the sum alone."""

    name = USERS

    def __init__(self, column: int, ceiling: CeilingSettings = NO_CEILING, *, grouped: bool = False) -> None:
        """``column``: the place of the users' hashes among the columns, which are uint64."""
        self._column = column
        self._grouped = grouped
        self.most = ceiling.max_users
        self._stops = ceiling.above == "stop"
        self.keep = 0 if self._stops else KEPT_USERS
        """So many of the smallest hashes are in a summary."""

    def initialize(self) -> CountedUsers | CountedPairs:
        """Nobody yet."""
        kind = CountedPairs if self._grouped else CountedUsers
        return kind(self._column, self.most, self.keep)

    def combine(self, parts: Sequence[Part], groups: int) -> Summary:
        """The users of all; also those of groups that share a place have to be different."""
        counts = [summary[0] for summary, _ in parts]
        known = [count for count in counts if count is not None]
        smallest = merged([_NO_USERS, *(np.frombuffer(summary[1], np.uint64) for summary, _ in parts)])
        unique = sum(known) if len(known) == len(counts) else None
        return unique, smallest.tobytes(), self._by_group(parts, groups)

    def refusal(self, summary: Summary) -> str | None:
        """More than the ceiling, unless an estimate will do."""
        if self.most is None or not self._stops or not self._above(summary[0]):
            return None
        return too_many(self.most)

    def finish(self, summary: Summary) -> Finished:
        """Their number, or an estimate if it is above the ceiling."""
        return Finished(self._all(summary), np.frombuffer(summary[2], np.int64).tolist())

    def _all(self, summary: Summary) -> Value:
        unique = summary[0]
        if unique is not None and not self._above(unique):
            return Value(unique)
        about = estimate(np.frombuffer(summary[1], np.uint64))
        return Value(about.unique, about.error)

    def _by_group(self, parts: Sequence[Part], groups: int) -> bytes:
        if not self._grouped:
            return b""
        tally = Tally()
        for (_, _, counts), places in parts:
            tally.add_part(counts, places, groups)
        return tally.column.tobytes()

    def _above(self, unique: int | None) -> bool:
        return self.most is not None and (unique is None or unique > self.most)


def too_many(most: int) -> str:
    """What is wrong with a window or period that has more users, for a person."""
    return (
        f"has more than {most:,} unique users, so neither it nor a later one is published."
        " Run again with a higher --max-users, or with --above-max-users approximate."
    )
