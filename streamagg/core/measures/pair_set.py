"""Exact counting of the distinct users of every group: a set of pairs in sorted columns."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from streamagg.core.measures.contract import Places
from streamagg.core.measures.user_set import Pile, UserSet
from streamagg.model.columns import BoolColumn, Int64Column, UInt32Column, UInt64Column

_LEAST_ROWS: Final = 1 << 16
"""Rows worth a merge, as of ``UserSet``."""
_SPREAD: Final = np.uint64(0x9E3779B97F4A7C15)
"""Odd, so that every place spreads users in another way."""


class PairSet:
    """A set of pairs of a place and a user, and beside it the set of their users.

    A pair is kept as a key and its place, sorted by key, 12 bytes at rest and about 40 in a merge::

        key    uint64 | user ^ (place + 1) * odd    tells pairs apart nearly always, and gives the user back
        place  uint32 | settles it                  two pairs may have one key, by chance or on purpose

    As in ``UserSet``, rows wait in a pile until it has grown to half of the columns. Only users of pairs that
    are new may be new, and are handed to the set of users; no ceiling on these is one on pairs.
    """

    __slots__ = ("_keys", "_pile", "_pile_places", "_places", "users")

    def __init__(self, most: int | None = None, keep: int = 0) -> None:
        """As of the set of users."""
        self.users = UserSet(most, keep)
        """Those of all pairs that are merged."""
        self._keys: UInt64Column = np.empty(0, np.uint64)
        self._places: UInt32Column = np.empty(0, np.uint32)
        self._pile = Pile(np.uint64)
        self._pile_places = Pile(np.uint32)

    def add(self, places: Places, users: UInt64Column) -> None:
        """Add pairs, columns of shape ``(n,)``, in any order, with repetitions."""
        self._pile.add(_keys(places, users))
        self._pile_places.add(places.astype(np.uint32))
        if self._pile.rows >= max(_LEAST_ROWS, len(self._keys) // 2):
            self.merge()

    def merge(self) -> None:
        """Make one set of all that was added."""
        keys, places = _distinct(self._pile.take(), self._pile_places.take())
        keys, places = self._absorb(keys, places)
        self.users.add(_users(keys, places))

    def counts(self, groups: int) -> Int64Column:
        """How many users each place has, shape ``(groups,)``."""
        self.merge()
        return np.bincount(self._places, minlength=groups).astype(np.int64, copy=False)

    def members(self) -> tuple[UInt32Column, UInt64Column]:
        """Places and users of all pairs, shape ``(n,)``, ascending by key."""
        self.merge()
        return self._places, _users(self._keys, self._places)

    @property
    def waiting(self) -> int:
        """Rows that are not merged yet."""
        return self._pile.rows

    @property
    def nbytes(self) -> int:
        """Memory of all, the users included."""
        piles = self._pile.nbytes + self._pile_places.nbytes
        return self._keys.nbytes + self._places.nbytes + piles + self.users.nbytes

    def _absorb(self, keys: UInt64Column, places: UInt32Column) -> tuple[UInt64Column, UInt32Column]:
        """Take pairs, ascending and each once; gives those that are new."""
        if not len(keys):
            return keys, places
        at = np.searchsorted(self._keys, keys)
        absent = self._absent(keys, places, at)
        keys, places, at = keys[absent], places[absent], at[absent]
        at += np.arange(len(at))
        old = np.ones(len(self._keys) + len(at), np.bool_)
        old[at] = False
        self._keys, self._places = _woven(self._keys, keys, old), _woven(self._places, places, old)
        return keys, places

    def _absent(self, keys: UInt64Column, places: UInt32Column, at: Places) -> BoolColumn:
        """Which pairs are not here; ``at``: where the first of their key would be."""
        absent, at = np.ones(len(keys), np.bool_), at.copy()
        asked = np.arange(len(keys))
        while len(asked):
            asked = asked[at[asked] < len(self._keys)]
            asked = asked[self._keys[at[asked]] == keys[asked]]
            same = self._places[at[asked]] == places[asked]
            absent[asked[same]] = False
            asked = asked[~same]
            at[asked] += 1
        return absent


def _keys(places: Places | UInt32Column, users: UInt64Column) -> UInt64Column:
    return users ^ _masks(places)


def _users(keys: UInt64Column, places: UInt32Column) -> UInt64Column:
    return keys ^ _masks(places)


def _masks(places: Places | UInt32Column) -> UInt64Column:
    masks = places.astype(np.uint64)
    masks += np.uint64(1)
    masks *= _SPREAD
    return masks


def _distinct(keys: UInt64Column, places: UInt32Column) -> tuple[UInt64Column, UInt32Column]:
    """Pairs in ascending order of their keys, each once."""
    order = _ascending(keys)
    keys, places = keys[order], places[order]
    same_key = keys[1:] == keys[:-1]
    if (places[1:] != places[:-1])[same_key].any():
        order = np.lexsort((places, keys))
        keys, places = keys[order], places[order]
    fresh = np.ones(len(keys), np.bool_)
    np.not_equal(keys[1:], keys[:-1], out=fresh[1:])
    fresh[1:] |= places[1:] != places[:-1]
    return keys[fresh], places[fresh]


def _ascending(keys: UInt64Column) -> Places:
    """The order of keys: a sort of their high bits with the rows below, in half the time of ``argsort``."""
    bits = np.uint64(max(1, (len(keys) - 1).bit_length()))
    rows = np.arange(len(keys), dtype=np.uint64)
    packed = (keys >> bits << bits) | rows
    packed.sort()
    order = (packed & ((np.uint64(1) << bits) - np.uint64(1))).astype(np.intp)
    sorted_keys = keys[order]
    if (sorted_keys[1:] < sorted_keys[:-1]).any():
        # Keys of equal high bits are next to each other already, so that Timsort has hardly anything to do.
        order = order[np.argsort(sorted_keys, kind="stable")]
    return order


def _woven(old: npt.NDArray[Any], new: npt.NDArray[Any], is_old: BoolColumn) -> npt.NDArray[Any]:
    whole = np.empty(len(is_old), old.dtype)
    whole[is_old], whole[~is_old] = old, new
    return whole
