"""The groups of a window: the place that each has, and the text that names it.

A group travels as the hash of its text. Rows bring the texts along (``model.groups``), so that nothing has to
be remembered of groups beyond the window. Places are given as groups come, and mean nothing outside of the
table.
"""

from collections.abc import Iterable

import numpy as np

from streamagg.core.measures.contract import Places
from streamagg.errors import StreamaggError
from streamagg.model.columns import UInt64Column
from streamagg.model.groups import GroupTexts, joined, named


class GroupTable:
    """Groups, each once."""

    def __init__(self) -> None:
        self._ids: UInt64Column = np.empty(0, np.uint64)
        """Ascending; the two below are in the same order."""
        self._places: Places = np.empty(0, np.intp)
        self._checks: UInt64Column = np.empty(0, np.uint64)
        self._by_place: list[GroupTexts] = []
        """Behind each other: all groups in the order of their places."""

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def nbytes(self) -> int:
        """Memory of all that is held."""
        each = self._ids.nbytes + self._places.nbytes + self._checks.nbytes
        return each + sum(table.nbytes for table in self._by_place)

    def places(self, ids: UInt64Column, tables: Iterable[GroupTexts]) -> Places:
        """The place of each group, shape ``(n,)``; one that is new gets the next.

        New groups are named by the tables. Raises StreamaggError if two groups have one hash, and ValueError
        if one has no name.
        """
        at = self._find(ids)
        known = self._ids[at] == ids if len(self) else np.zeros(len(ids), np.bool_)
        if not known.all():
            self._add(ids[~known], tables)
            at = self._find(ids)
        for table in tables:
            self._check(table)
        return self._places[at]

    def texts(self) -> GroupTexts:
        """All groups, by place."""
        if len(self._by_place) > 1:
            self._by_place = [joined(self._by_place)]
        return self._by_place[0] if self._by_place else GroupTexts()

    def _find(self, ids: UInt64Column) -> Places:
        at = np.searchsorted(self._ids, ids)
        at[at == len(self)] = 0
        return at

    def _add(self, ids: UInt64Column, tables: Iterable[GroupTexts]) -> None:
        """Groups that are not there, perhaps several times."""
        ids = np.sort(ids)
        ids = ids[np.concatenate(([True], ids[1:] != ids[:-1]))]
        fresh = named(tables, ids)
        if len(fresh) < len(ids):
            raise ValueError("a group has no name")
        first = len(self)
        self._by_place.append(fresh)
        whole = np.concatenate([self._ids, fresh.id_column])
        order = np.argsort(whole, kind="stable")
        self._ids = whole[order]
        self._places = np.concatenate([self._places, np.arange(first, first + len(fresh))])[order]
        self._checks = np.concatenate([self._checks, fresh.check_column])[order]

    def _check(self, table: GroupTexts) -> None:
        at = self._find(table.id_column)
        same = (self._ids[at] != table.id_column) | (self._checks[at] == table.check_column)
        if not same.all():
            raise _collision(table.texts()[int(np.argmin(same))])


def _collision(text: bytes) -> StreamaggError:
    """Two groups have one hash, this one and another: by chance once in a billion windows of 100,000."""
    return StreamaggError(
        f"The group {text.decode()} has the same hash as another one, so that they cannot be told apart: give"
        " a --hash-seed-file, and start anew with --from earliest."
    )
