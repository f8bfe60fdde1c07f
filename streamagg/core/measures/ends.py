"""The first and the last value, by event time; of the same time by partition, and then by offset."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from streamagg.core.measures.by_group import grown, lying, numbers_of, placed
from streamagg.core.measures.contract import Finished, Part, Places
from streamagg.model.columns import Columns, Float64Column, Int64Column
from streamagg.model.results import Value, number_of

Summary = tuple[bytes, bytes, bytes, bytes]
"""By group: event time, partition and offset of its row, int64, and the value, float64, NaN for none."""


@dataclass(frozen=True, slots=True)
class _End:
    best: np.ufunc
    none: int
    """Which any key is better than."""


_LIMITS: Final = np.iinfo(np.int64)
_ENDS: Final = {"first": _End(np.minimum, _LIMITS.max), "last": _End(np.maximum, _LIMITS.min)}
_KEYS: Final = 3


class _Found:
    """The best row of each group: its keys and its value."""

    users = 0

    def __init__(self, places: tuple[int, ...], end: _End) -> None:
        self._places = places
        self._end = end
        self._begin()

    def _begin(self) -> None:
        self._keys: list[Int64Column] = [np.full(1, self._end.none) for _ in range(_KEYS)]
        self._values: Float64Column = np.full(1, np.nan)
        self._groups = 0

    def update(self, columns: Columns, rows: int, places: Places | None, groups: int) -> None:
        value, *keys = (columns[place] for place in self._places)
        self.take(keys, value, placed(places, rows), groups)

    def take(self, keys: Sequence[Int64Column], values: Float64Column, places: Places, groups: int) -> None:
        self._keys = [grown(column, groups, self._end.none) for column in self._keys]
        self._values, self._groups = grown(self._values, groups, np.nan), groups
        rows = np.flatnonzero(~np.isnan(values))
        for number, key in enumerate(keys):
            rows = self._best(number, key[rows], rows, places[rows])
        self._values[places[rows]] = values[rows]

    def _best(self, number: int, key: Int64Column, rows: Places, places: Places) -> Places:
        """The rows that have the best key of their group; the keys behind it begin anew where it changes."""
        column = self._keys[number]
        before = column[places]
        self._end.best.at(column, places, key)
        best = column[places] == key
        changed = places[best & (before != key)]
        for behind in self._keys[number + 1 :]:
            behind[changed] = self._end.none
        found: Places = rows[best]
        return found

    def ungroup(self) -> None:
        keys, values = self._keys, self._values
        self._begin()
        self.take(keys, values, np.zeros(len(values), np.intp), 1)

    def summary(self) -> Summary:
        time, partition, offset = (column[: self._groups].tobytes() for column in self._keys)
        return time, partition, offset, self._values[: self._groups].tobytes()

    @property
    def nbytes(self) -> int:
        return sum(column.nbytes for column in self._keys) + self._values.nbytes


class End:
    """One value of a group, and which row it is from."""

    def __init__(self, name: str, places: tuple[int, int, int, int], which: Literal["first", "last"]) -> None:
        """``places``: of value (float64, NaN: none), event time, partition and offset among the columns."""
        self.name = name
        self._places = places
        self._end = _ENDS[which]

    def initialize(self) -> _Found:
        """No value yet."""
        return _Found(self._places, self._end)

    def combine(self, parts: Sequence[Part], groups: int) -> Summary:
        """The first of the first, the last of the last."""
        whole = self.initialize()
        for (*keys, raw), places in parts:
            values = np.frombuffer(raw)
            columns = [np.frombuffer(key, np.int64) for key in keys]
            whole.take(columns, values, lying(places, len(values)), groups)
        return whole.summary()

    def refusal(self, _: Summary) -> None:
        """There may be any."""

    def finish(self, summary: Summary) -> Finished:
        """The values."""
        values = np.frombuffer(summary[3])
        together = self.combine([(summary, np.zeros(len(values), np.intp))], 1)
        (every,) = np.frombuffer(together[3]).tolist()
        return Finished(Value(number_of(every)), numbers_of(values))
