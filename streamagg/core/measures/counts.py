"""How many records a window has, and how many values of a field."""

from collections.abc import Sequence

import numpy as np

from streamagg.core.measures.by_group import grown, lying
from streamagg.core.measures.contract import Finished, Part, Places
from streamagg.model.columns import Columns, Int64Column
from streamagg.model.results import RECORDS, Value


class Tally:
    """How many of something each group has."""

    __slots__ = ("_column", "_groups")

    def __init__(self) -> None:
        self._column: Int64Column = np.zeros(1, np.int64)
        self._groups = 0

    def add(self, count: int, places: Places | None, groups: int) -> None:
        """So many more, each in the group of its place, shape ``(count,)``; None: all in group 0."""
        self._column, self._groups = grown(self._column, groups, 0), groups
        if places is None:
            self._column[0] += count
        else:
            np.add.at(self._column, places, 1)

    def add_part(self, part: bytes, places: Places | None, groups: int) -> None:
        """What another one has counted."""
        self._column, self._groups = grown(self._column, groups, 0), groups
        counts = np.frombuffer(part, np.int64)
        np.add.at(self._column, lying(places, len(counts)), counts)

    def ungroup(self) -> None:
        """Count all as one group."""
        self._column, self._groups = np.array([self.column.sum()]), 1

    @property
    def column(self) -> Int64Column:
        """By group, shape ``(groups,)``; a view."""
        return self._column[: self._groups]

    @property
    def nbytes(self) -> int:
        """Memory."""
        return self._column.nbytes


class _CountedRecords:
    """Rows, whatever is in them."""

    users = 0

    def __init__(self) -> None:
        self._tally = Tally()

    def update(self, _: Columns, rows: int, places: Places | None, groups: int) -> None:
        self._tally.add(rows, places, groups)

    def ungroup(self) -> None:
        self._tally.ungroup()

    def summary(self) -> bytes:
        return self._tally.column.tobytes()

    @property
    def nbytes(self) -> int:
        return self._tally.nbytes


class _CountedValues(_CountedRecords):
    """Rows that have a value."""

    def __init__(self, column: int) -> None:
        super().__init__()
        self._column = column

    def update(self, columns: Columns, rows: int, places: Places | None, groups: int) -> None:
        known = ~np.isnan(columns[self._column])
        count = int(np.count_nonzero(known))
        self._tally.add(count, None if places is None else places[known], groups)


class _Counting:
    """Counts add up; a summary is a column of them, int64."""

    def combine(self, parts: Sequence[Part], groups: int) -> bytes:
        """Their sums."""
        tally = Tally()
        for summary, places in parts:
            tally.add_part(summary, places, groups)
        return tally.column.tobytes()

    def refusal(self, _: bytes) -> None:
        """There may be any number."""

    def finish(self, summary: bytes) -> Finished:
        """As they are."""
        counts = np.frombuffer(summary, np.int64).tolist()
        return Finished(Value(sum(counts)), counts)


class Records(_Counting):
    """Every row is one."""

    name = RECORDS

    def initialize(self) -> _CountedRecords:
        """None yet."""
        return _CountedRecords()


class Count(_Counting):
    """Every row with a value is one."""

    def __init__(self, name: str, column: int) -> None:
        """``column``: the place of the numbers among the columns, float64, NaN for no value."""
        self.name = name
        self._column = column

    def initialize(self) -> _CountedValues:
        """None yet."""
        return _CountedValues(self._column)
