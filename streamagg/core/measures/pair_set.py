"""Exact counting of the distinct users of every group: a set of pairs in sorted columns."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from streamagg.core.measures.contract import Places
from streamagg.core.measures.user_set import Pile, UserSet, each_once
from streamagg.model.columns import BoolColumn, Int64Column, UInt32Column, UInt64Column

_LEAST_ROWS: Final = 1 << 17
"""Rows worth a merge, however few pairs there are: 1.5 MiB. With 200,000 in a window a row costs 190 ns with
65,536, 130 with this and 96 with 262,144, for twice the memory of each open window."""
_SPREAD: Final = np.uint64(0x9E3779B97F4A7C15)
"""Odd, so that every place spreads users in another way."""


class _Run(NamedTuple):
    """Pairs, each once, ascending by key; shape ``(n,)``."""

    keys: UInt64Column
    places: UInt32Column

    def __len__(self) -> int:
        return len(self.keys)

    def users(self) -> UInt64Column:
        """Of each pair."""
        return _spread(self.keys, self.places)

    def absent(self, keys: UInt64Column, places: UInt32Column) -> BoolColumn:
        """Which of other pairs are not here, shape ``(m,)``."""
        absent = np.ones(len(keys), np.bool_)
        at = np.searchsorted(self.keys, keys)
        asked = np.flatnonzero(np.take(self.keys, at, mode="clip") == keys) if len(self) else at[:0]
        while len(asked):
            same = self.places[at[asked]] == places[asked]
            absent[asked[same]] = False
            # One key, another place: it may be the next pair.
            asked = asked[~same]
            at[asked] += 1
            asked = asked[at[asked] < len(self)]
            asked = asked[self.keys[at[asked]] == keys[asked]]
        return absent


_NOBODY: Final = _Run(np.empty(0, np.uint64), np.empty(0, np.uint32))


class PairSet:
    """A set of pairs of a place and a user, and beside it the set of their users.

    A pair is kept as a key and its place, sorted by key, 12 bytes at rest and about 45 in a merge::

        key    uint64 | user ^ (place + 1) * odd    tells pairs apart nearly always, and gives the user back
        place  uint32 | settles it                  two pairs may have one key, by chance or on purpose

    As in ``UserSet``, rows wait in a pile until it has grown to half of all, and what is new of another set
    is gathered in runs, each less than half as long as the one before. Only users of pairs that are new may
    be new, and are handed to the set of users. Where that has given up no more pairs are kept, either; a
    ceiling above which it estimates is none on pairs.
    """

    __slots__ = ("_pile", "_pile_places", "_runs", "users")

    def __init__(self, most: int | None = None, keep: int = 0) -> None:
        """As of the set of users."""
        self.users = UserSet(most, keep)
        """Those of all pairs that are merged."""
        self._runs = [_NOBODY]
        """No pair is in two of them."""
        self._pile = Pile(np.uint64)
        self._pile_places = Pile(np.uint32)

    def add(self, places: Places, users: UInt64Column) -> None:
        """Add pairs, columns of shape ``(n,)``, in any order, with repetitions."""
        if self.users.given_up:
            return
        self._pile.add(_spread(users, places))
        self._pile_places.add(places.astype(np.uint32))
        if self._pile.rows >= max(_LEAST_ROWS, len(self._runs[0]) // 2):
            self.merge()

    def fresh(self, places: Places, users: UInt64Column) -> tuple[Places, UInt64Column]:
        """Add pairs, each once, in any order; places and users of those that were not here yet."""
        if self._pile.rows:
            self.merge()
        if self.users.given_up:
            return places[:0], users[:0]
        keys, small = _spread(users, places), places.astype(np.uint32)
        order = _ascending(keys, 0)
        for run in self._runs:
            order = order[run.absent(keys[order], small[order])]
        self.users.fresh(each_once(users[order]))
        self._gather(_Run(keys[order], small[order]))
        return places[order], users[order]

    def merge(self) -> None:
        """Make one run of all that was added; users of new pairs go to the set of users."""
        if not self._pile.rows and len(self._runs) == 1:
            return
        pile = _Run(self._pile.take(), self._pile_places.take())
        old = sum(map(len, self._runs))
        rows, run = _distinct((*self._runs, pile))
        self._runs = [run]
        if len(pile):
            new = rows >= old
            self.users.add(_spread(run.keys[new], run.places[new]))

    def ungroup(self) -> None:
        """Take all places for place 0."""
        _, users = self.members()
        self._runs = [_NOBODY]
        self.add(np.zeros(len(users), np.intp), users)
        self.merge()

    def counts(self, groups: int) -> Int64Column:
        """How many users each place has, shape ``(groups,)``."""
        if self._pile.rows:
            self.merge()
        return sum(
            (np.bincount(run.places, minlength=groups) for run in self._runs), np.zeros(groups, np.int64)
        )

    def members(self) -> tuple[UInt32Column, UInt64Column]:
        """Places and users of all pairs, shape ``(n,)``, ascending by key."""
        self.merge()
        return self._runs[0].places, self._runs[0].users()

    @property
    def waiting(self) -> int:
        """Rows that are not merged yet."""
        return self._pile.rows

    @property
    def nbytes(self) -> int:
        """Memory of all, the users included."""
        runs = sum(run.keys.nbytes + run.places.nbytes for run in self._runs)
        return runs + self._pile.nbytes + self._pile_places.nbytes + self.users.nbytes

    def _gather(self, run: _Run) -> None:
        while len(self._runs) and len(self._runs[-1]) <= 2 * len(run):
            _, run = _distinct((self._runs.pop(), run))
        self._runs.append(run)


def _spread(column: UInt64Column, places: Places | UInt32Column) -> UInt64Column:
    """Users as keys, or keys as users."""
    masks = places.astype(np.uint64)
    masks += np.uint64(1)
    masks *= _SPREAD
    masks ^= column
    return masks


def _distinct(runs: Sequence[_Run]) -> tuple[Places, _Run]:
    """The pairs of all in the order of their keys, each once; and which row of them each was, the first one.

    Only the first one has to be ascending.
    """
    keys, places = (np.concatenate(columns) for columns in zip(*runs, strict=True))
    order = _ascending(keys, len(runs[0]))
    sorted_keys, sorted_places = keys[order], places[order]
    other_key, other_place = _changes(sorted_keys), _changes(sorted_places)
    if (other_place > other_key).any():
        order = np.lexsort((places, keys))
        sorted_keys, sorted_places = keys[order], places[order]
        other_key, other_place = _changes(sorted_keys), _changes(sorted_places)
    first = np.flatnonzero(other_key | other_place)
    return order[first], _Run(sorted_keys[first], sorted_places[first])


def _changes(column: npt.NDArray[Any]) -> BoolColumn:
    """Where a column differs from the row before."""
    changes = np.ones(len(column), np.bool_)
    np.not_equal(column[1:], column[:-1], out=changes[1:])
    return changes


def _ascending(keys: UInt64Column, ascending: int) -> Places:
    """The order of keys, of equal ones as they come; so many at the beginning are in order already.

    The high bits of keys, and the number of the row below them, are sorted in half the time of ``argsort``.
    """
    bits = np.uint64(len(keys).bit_length())
    packed = keys >> bits << bits
    packed |= np.arange(len(keys), dtype=np.uint64)
    packed[ascending:].sort()
    packed.sort(kind="stable")  # Timsort: two sorted runs, so this is one merge.
    packed &= (np.uint64(1) << bits) - np.uint64(1)
    order = packed.view(np.intp)
    found = keys[order]
    if (found[1:] < found[:-1]).any():
        # Where high bits are equal; hardly anything is left to do for Timsort.
        order = order[np.argsort(found, kind="stable")]
    return order
