"""How many different values a field has."""

from collections.abc import Sequence

import numpy as np

from streamagg.core.measures.by_group import lying, placed
from streamagg.core.measures.contract import Finished, Part, Places
from streamagg.core.measures.pair_set import PairSet
from streamagg.core.measures.user_set import UserSet, each_once
from streamagg.model.columns import Columns
from streamagg.model.results import Value

Summary = tuple[int, bytes, bytes]
"""How many groups there are; and of every pair of a group and a value the place of the group, uint32, nothing
where records have no groups, and the hash of the value, uint64."""


class _Values:
    """A set of values."""

    users = 0

    def __init__(self, column: int) -> None:
        self._column = column
        self._groups = 0
        self._set = UserSet()

    def update(self, columns: Columns, rows: int, places: Places | None, groups: int) -> None:
        self._groups = groups
        values = columns[self._column]
        self._set.add(values[values != 0])

    def take(self, summary: Summary, places: Places | None, groups: int) -> None:
        self._groups = groups
        self._set.add(np.frombuffer(summary[2], np.uint64))

    def ungroup(self) -> None:
        """There are no groups."""

    def summary(self) -> Summary:
        return self._groups, b"", self._set.members().tobytes()

    @property
    def nbytes(self) -> int:
        return self._set.nbytes


class _Pairs:
    """A set of values for each group."""

    users = 0

    def __init__(self, column: int) -> None:
        self._column = column
        self._groups = 0
        self._set = PairSet()

    def update(self, columns: Columns, rows: int, places: Places | None, groups: int) -> None:
        self._groups = groups
        values = columns[self._column]
        known = values != 0
        self._set.add(placed(places, rows)[known], values[known])

    def take(self, summary: Summary, places: Places | None, groups: int) -> None:
        self._groups = groups
        there = np.frombuffer(summary[1], np.uint32)
        self._set.add(lying(places, summary[0])[there], np.frombuffer(summary[2], np.uint64))

    def ungroup(self) -> None:
        self._groups = 1
        self._set.ungroup()

    def summary(self) -> Summary:
        places, values = self._set.members()
        return self._groups, places.tobytes(), values.tobytes()

    @property
    def nbytes(self) -> int:
        return self._set.nbytes


class Distinct:
    """One value may be in several shards, unlike a user, so that a summary has all of them."""

    def __init__(self, name: str, column: int, *, grouped: bool = False) -> None:
        """``column``: the place of the values' hashes among the columns, uint64, 0 for no value."""
        self.name = name
        self._column = column
        self._grouped = grouped

    def initialize(self) -> _Values | _Pairs:
        """No value yet."""
        return _Pairs(self._column) if self._grouped else _Values(self._column)

    def combine(self, parts: Sequence[Part], groups: int) -> Summary:
        """The union of all."""
        whole = self.initialize()
        for summary, places in parts:
            whole.take(summary, places, groups)
        return whole.summary()

    def refusal(self, _: Summary) -> None:
        """There may be any number."""

    def finish(self, summary: Summary) -> Finished:
        """How many each group has; and how many all have together, where one value may be in several."""
        groups, there, values = summary
        if not self._grouped:
            return Finished(Value(len(values) // 8), [])
        every = each_once(np.frombuffer(values, np.uint64).copy())
        counts = np.bincount(np.frombuffer(there, np.uint32), minlength=groups).tolist()
        return Finished(Value(len(every)), counts)
