"""The groups of a window: the place that each has, and the text that names it.

A group travels as the hash of its text. Rows bring the texts along (``model.groups``), so that nothing has to
be remembered of groups beyond the window. Places are given as groups come, and mean nothing outside of the
table.
"""

from collections.abc import Iterable
from typing import Final

import numpy as np

from streamagg.core.measures.contract import Places
from streamagg.errors import StreamaggError
from streamagg.model.columns import UInt32Column, UInt64Column
from streamagg.model.groups import GroupTexts, joined, named

_MANY: Final = 1 << 10
"""Groups from which on it is worth while to guess a place before it is searched for: of 10,000 groups, a row
takes 17 ns so, and 105 by search."""


class GroupTable:
    """Groups, each once."""

    def __init__(self) -> None:
        self._ids: UInt64Column = np.empty(0, np.uint64)
        self._checks: UInt64Column = np.empty(0, np.uint64)
        self._ascending: UInt64Column = np.empty(0, np.uint64)
        self._places: Places = np.empty(0, np.intp)
        """Of the ids that ascend; all other columns are by place."""
        self._guesses: UInt32Column = np.empty(0, np.uint32)
        """By the first bits of an id: the place of one group that begins with them. Nearly every group is
        alone with its bits."""
        self._shift = np.uint64(0)
        self._by_place: list[GroupTexts] = []
        """Behind each other: all groups in the order of their places."""

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def nbytes(self) -> int:
        """Memory of all that is held."""
        columns = self._ids, self._checks, self._ascending, self._places, self._guesses
        return sum(column.nbytes for column in columns) + sum(table.nbytes for table in self._by_place)

    def places(self, ids: UInt64Column, tables: Iterable[GroupTexts]) -> Places:
        """The place of each group, shape ``(n,)``; one that is new gets the next.

        New groups are named by the tables. Raises StreamaggError if two groups have one hash, and ValueError
        if one has no name.
        """
        if not len(ids):
            return np.empty(0, np.intp)
        if not len(self):
            self._add(ids, tables)
        places = self._find(ids)
        known = self._ids[places] == ids
        if not known.all():
            self._add(ids[~known], tables)
            places = self._find(ids)
        for table in tables:
            self._check(table)
        return places

    def texts(self) -> GroupTexts:
        """All groups, by place."""
        if len(self._by_place) > 1:
            self._by_place = [joined(self._by_place)]
        return self._by_place[0] if self._by_place else GroupTexts()

    def _find(self, ids: UInt64Column) -> Places:
        """The place of each group, and any place of one that is not there."""
        if len(self) < _MANY:
            return self._searched(ids)
        places: Places = self._guesses[ids >> self._shift].astype(np.intp)
        wrong = np.flatnonzero(self._ids[places] != ids)
        places[wrong] = self._searched(ids[wrong])
        return places

    def _searched(self, ids: UInt64Column) -> Places:
        at = np.searchsorted(self._ascending, ids)
        at[at == len(self)] = 0
        found: Places = self._places[at]
        return found

    def _add(self, ids: UInt64Column, tables: Iterable[GroupTexts]) -> None:
        """Groups that are not there, perhaps several times."""
        ids = np.sort(ids)
        ids = ids[np.concatenate(([True], ids[1:] != ids[:-1]))]
        fresh = named(tables, ids)
        if len(fresh) < len(ids):
            raise ValueError("a group has no name")
        before = len(self)
        at = np.searchsorted(self._ascending, ids)
        self._ascending = np.insert(self._ascending, at, ids)
        self._places = np.insert(self._places, at, np.arange(before, before + len(ids)))
        self._by_place.append(fresh)
        self._ids = np.concatenate([self._ids, ids])
        self._checks = np.concatenate([self._checks, fresh.check_column])
        if len(self) >= _MANY:
            self._guess(before)

    def _guess(self, first: int) -> None:
        """Take groups in, from this place on; all of them where the column has become too short."""
        bits = (2 * len(self)).bit_length()
        if len(self._guesses) != 1 << bits:
            first, self._shift = 0, np.uint64(64 - bits)
            self._guesses = np.zeros(1 << bits, np.uint32)
        self._guesses[self._ids[first:] >> self._shift] = np.arange(first, len(self), dtype=np.uint32)

    def _check(self, table: GroupTexts) -> None:
        ids = table.id_column
        places = self._find(ids)
        same = (self._ids[places] != ids) | (self._checks[places] == table.check_column)
        if not same.all():
            raise _collision(table.texts()[int(np.argmin(same))])


def _collision(text: bytes) -> StreamaggError:
    """Two groups have one hash, this one and another: by chance once in a billion windows of 100,000."""
    return StreamaggError(
        f"The group {text.decode()} has the same hash as another one, so that they cannot be told apart: give"
        " a --hash-seed-file, and start anew with --from earliest."
    )
