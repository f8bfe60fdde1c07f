"""Columns that the rows of streamagg travel in: numpy arrays of one dimension, and which of them a row has.

Every row has an event time, an offset and, where it was looked up, whether it is live. What else it carries
is described by a schema: clock and sequencer select and order it, and know neither names nor types in it.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from streamagg.model.settings import DecodeSettings, MeasureSettings

Float64Column = npt.NDArray[np.float64]
Int64Column = npt.NDArray[np.int64]
UInt64Column = npt.NDArray[np.uint64]
UInt32Column = npt.NDArray[np.uint32]
BoolColumn = npt.NDArray[np.bool_]

Columns = tuple[npt.NDArray[Any], ...]
"""What some rows carry: the columns of a schema, in its order, all of the same shape ``(n,)``."""


class Schema:
    """Names and types of the columns; to add one here is enough for clock, sequencer and checkpoint.

    Between processes columns are raw bytes, one after the other. A row that is kept by itself is packed::

        user, uint64 | …          the values of one row, in the order of the columns, little-endian, unpadded
    """

    def __init__(self, **dtypes: npt.DTypeLike) -> None:
        self._packed = np.dtype(list(dtypes.items()))
        self._dtypes = tuple(np.dtype(dtype) for dtype in dtypes.values())
        self.names = tuple(dtypes)
        self.width: Final = self._packed.itemsize
        """Bytes of a row."""

    def place(self, name: str) -> int:
        """Which of the columns has this name."""
        return self.names.index(name)

    def view(self, columns: Iterable[bytes]) -> Columns:
        """Raw bytes as columns; nothing is copied."""
        return tuple([np.frombuffer(raw, dtype) for raw, dtype in zip(columns, self._dtypes, strict=True)])

    def empty(self, rows: int) -> Columns:
        """Columns of so many rows to be filled; they hold anything."""
        return tuple([np.empty(rows, dtype) for dtype in self._dtypes])

    def none(self) -> Columns:
        """Columns without rows."""
        return self.empty(0)

    def pack(self, columns: Columns) -> memoryview:
        """Rows one after the other; a single column as it lies there."""
        if len(columns) == 1:
            return columns[0].view(np.uint8).data
        rows = np.empty(len(columns[0]) if columns else 0, self._packed)
        for name, column in zip(self.names, columns, strict=True):
            rows[name] = column
        return memoryview(rows.tobytes())

    def unpack(self, rows: bytes) -> Columns:
        """What ``pack`` has packed."""
        if len(self.names) < 2:
            return self.view([rows] * len(self.names))
        packed = np.frombuffer(rows, self._packed)
        return tuple([packed[name].copy() for name in self.names])


USER_COLUMN: Final = "user"
GROUP_COLUMN: Final = "group"
EVENT_TIME_COLUMN: Final = "event_time_ms"
PARTITION_COLUMN: Final = "partition"
OFFSET_COLUMN: Final = "offset"


def number_column(path: str) -> str:
    """The column of the numbers in a field."""
    return f"number:{path}"


def hash_column(path: str) -> str:
    """The column of what is in a field, as hashes."""
    return f"hash:{path}"


def column_of(measure: MeasureSettings) -> str:
    """The column that a measure takes."""
    return (hash_column if measure.op == "uniques" else number_column)(measure.path)


def by_measure(measures: Iterable[MeasureSettings], by_column: Mapping[str, int]) -> dict[str, int]:
    """Numbers under the names of the measures that take these columns."""
    columns = {measure.name: column_of(measure) for measure in measures}
    return {name: by_column[column] for name, column in columns.items() if column in by_column}


def schema_of(decode: DecodeSettings) -> Schema:
    """What is decoded of a record beside its time, by the settings::

        user         |  uint64   |  xxh3 of the user id, unless no users are counted
        group        |  uint64   |  xxh3 of the group's text, if there are groups (model.groups)
        number:PATH  |  float64  |  value of a field, NaN: none
        hash:PATH    |  uint64   |  xxh3 of the value of a field, 0: none

    The last two once for each field that measures of this kind take, in the order of their first use.
    """
    return Schema(**_decoded(decode))


def delivered_schema_of(decode: DecodeSettings) -> Schema:
    """What is delivered to aggregators: that, and for measures that ask which row is the first or the last::

    event_time_ms  |  int64  |  milliseconds since the epoch
    partition      |  int64
    offset         |  int64  |  in the partition
    """
    dtypes = _decoded(decode)
    if wants_positions(decode):
        dtypes |= dict.fromkeys((EVENT_TIME_COLUMN, PARTITION_COLUMN, OFFSET_COLUMN), np.int64)
    return Schema(**dtypes)


def wants_positions(decode: DecodeSettings) -> bool:
    """A measure asks which row is the first or the last."""
    return any(measure.op in ("first", "last") for measure in decode.measures)


def with_positions(
    columns: Columns, event_time_ms: Int64Column, partition: int, offset: Int64Column
) -> Columns:
    """What is delivered of rows of one partition where a measure asks for it; shape ``(n,)``."""
    return (*columns, event_time_ms, np.full(len(offset), partition, np.int64), offset)


def _decoded(decode: DecodeSettings) -> dict[str, npt.DTypeLike]:
    dtypes: dict[str, npt.DTypeLike] = {}
    if decode.user_field is not None:
        dtypes[USER_COLUMN] = np.uint64
    if decode.group_by:
        dtypes[GROUP_COLUMN] = np.uint64
    for measure in decode.measures:
        dtypes[column_of(measure)] = np.uint64 if measure.op == "uniques" else np.float64
    return dtypes


ROWS: Final = schema_of(DecodeSettings())
"""Of the plain case: a user."""
USER: Final = ROWS.place(USER_COLUMN)
NO_COLUMNS: Final = Schema()
"""For clocks that nobody asks for more than times."""


def selected(columns: Columns, rows: Any) -> Columns:
    """Some of the rows: a slice, a mask or places."""
    if len(columns) == 1:
        # A third of the time: where records are sparse, this is called once for every few of them.
        return (columns[0][rows],)
    return tuple([column[rows] for column in columns])
