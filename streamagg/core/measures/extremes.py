"""The least and the greatest value."""

from collections.abc import Sequence
from typing import Final, Literal

import numpy as np

from streamagg.core.measures.by_group import grown, lying, numbers_of, placed
from streamagg.core.measures.contract import Finished, Part, Places
from streamagg.model.columns import Columns, Float64Column
from streamagg.model.results import Value, number_of

# Of a value and NaN they take the value.
_FUNCTIONS: Final = {"min": np.fmin, "max": np.fmax}


class _Extreme:
    """Of each group, NaN for no value."""

    users = 0

    def __init__(self, column: int, function: np.ufunc) -> None:
        self._column = column
        self._function = function
        self._values: Float64Column = np.full(1, np.nan)
        self._groups = 0

    def update(self, columns: Columns, rows: int, places: Places | None, groups: int) -> None:
        self.take(columns[self._column], placed(places, rows), groups)

    def take(self, values: Float64Column, places: Places, groups: int) -> None:
        self._values, self._groups = grown(self._values, groups, np.nan), groups
        self._function.at(self._values, places, values)

    def ungroup(self) -> None:
        self._values, self._groups = self._function.reduce(self._values, keepdims=True), 1

    def summary(self) -> bytes:
        return self._values[: self._groups].tobytes()

    @property
    def nbytes(self) -> int:
        return self._values.nbytes


class Extreme:
    """A summary is the column of the least or greatest values, float64, NaN for none."""

    def __init__(self, name: str, column: int, which: Literal["min", "max"]) -> None:
        """``column``: the place of the numbers among the columns, float64, NaN for no value."""
        self.name = name
        self._column = column
        self._function = _FUNCTIONS[which]

    def initialize(self) -> _Extreme:
        """No value yet."""
        return _Extreme(self._column, self._function)

    def combine(self, parts: Sequence[Part], groups: int) -> bytes:
        """The extremes of the extremes."""
        whole = self.initialize()
        for summary, places in parts:
            values = np.frombuffer(summary)
            whole.take(values, lying(places, len(values)), groups)
        return whole.summary()

    def refusal(self, _: bytes) -> None:
        """There may be any."""

    def finish(self, summary: bytes) -> Finished:
        """Which of 0.0 and -0.0 it was depends on their order, and is not told."""
        values = np.frombuffer(summary)
        every = self._function.reduce(values, initial=np.nan)
        return Finished(Value(number_of(float(every))), numbers_of(values))
