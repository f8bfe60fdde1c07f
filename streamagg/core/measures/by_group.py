"""Columns of one value for each group, which grow with the groups."""

from typing import Any

import numpy as np
import numpy.typing as npt

from streamagg.core.measures.contract import Places
from streamagg.model.columns import Float64Column
from streamagg.model.results import WHOLE_BELOW, Number


def grown(column: npt.NDArray[Any], groups: int, fill: float) -> npt.NDArray[Any]:
    """A column with room for so many groups: itself, or one twice as long; new groups have ``fill``."""
    if groups <= len(column):
        return column
    larger = np.full((max(groups, 2 * len(column)), *column.shape[1:]), fill, column.dtype)
    larger[: len(column)] = column
    return larger


def placed(places: Places | None, rows: int) -> Places:
    """The group of each row, shape ``(rows,)``, also where it was not said."""
    return np.zeros(rows, np.intp) if places is None else places


def numbers_of(values: Float64Column) -> list[Number]:
    """``number_of`` each of them, shape ``(n,)``."""
    found: list[Number] = values.tolist()
    whole = np.flatnonzero((np.abs(values) < WHOLE_BELOW) & (values == np.floor(values)))
    for at, number in zip(whole.tolist(), values[whole].astype(np.int64).tolist(), strict=True):
        found[at] = number
    for at in np.flatnonzero(~np.isfinite(values)).tolist():
        found[at] = None
    return found


def lying(places: Places | None, groups: int) -> Places:
    """Where so many groups of a part lie in the whole, also where it was not said."""
    return np.arange(groups, dtype=np.intp) if places is None else places[:groups]
