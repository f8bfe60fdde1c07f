"""Exact counting of distinct 64-bit users in sorted columns."""

from typing import Final

import numpy as np

from streamagg.records import UInt64Column

_LEAST_ROWS: Final = 1 << 16
"""Rows worth a merge, however few users there are."""


class Uniques:
    """A set of uint64, kept as one sorted column and a pile of unsorted rows.

    The pile is sorted and merged when it has grown to half the size of the column, so a row costs
    O(log n) amortised, and a user 8 bytes at rest and at most 24 in a merge. A sort of uint64 takes
    10 to 20 ns a row here; a Python set takes 75 to 180 ns and over 60 bytes a user.
    """

    __slots__ = ("_pile", "_pile_rows", "_sorted")

    def __init__(self) -> None:
        self._sorted: UInt64Column = np.empty(0, np.uint64)
        self._pile: list[UInt64Column] = []
        self._pile_rows = 0

    def add(self, users: UInt64Column) -> None:
        """Add users, shape ``(n,)``, in any order, with repetitions."""
        # A copy: a few rows that are a view would keep the memory of their whole block.
        self._pile.append(users.copy())
        self._pile_rows += len(users)
        if self._pile_rows >= max(_LEAST_ROWS, len(self._sorted) // 2):
            self._merge()

    def count(self) -> int:
        """How many distinct users were added."""
        self._merge()
        return len(self._sorted)

    def _merge(self) -> None:
        if not self._pile:
            return
        rows = np.concatenate([self._sorted, *self._pile])
        self._pile, self._pile_rows = [], 0
        self._sorted = np.empty(0, np.uint64)
        rows.sort()
        fresh = np.empty(len(rows), np.bool_)
        fresh[:1] = True
        np.not_equal(rows[1:], rows[:-1], out=fresh[1:])
        self._sorted = rows[fresh]
