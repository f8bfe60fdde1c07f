"""Results as columns, and as Parquet."""

from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

import orjson

from streamagg.core.windows import Windows
from streamagg.errors import SettingsError
from streamagg.model.results import RECORDS, USERS, Number, WindowTable
from streamagg.sinks.directory.manifest import Columns, ColumnType

if TYPE_CHECKING:
    import pyarrow  # type: ignore[import-untyped] # it has no stubs

_COMPRESSION: Final = "zstd"
_BATCH: Final = 100_000
"""Records in memory while files are merged; also what a row group has there at least."""


def require_pyarrow() -> None:
    """Raises SettingsError if it is not installed."""
    if find_spec("pyarrow") is None:
        raise SettingsError(
            "An output directory needs the package pyarrow: install it with pip install 'streamagg[parquet]'."
        )


class Rows:
    """Gathers windows and periods as the rows of a Parquet file."""

    def __init__(self, windows: Windows, columns: Columns) -> None:
        self._windows = windows
        self._columns = columns
        self._rows: dict[str, list[Any]] = {name: [] for name in schema(columns).names}
        self.count = 0

    def add(self, table: WindowTable) -> None:
        """The row of all its records, then those of its groups, in the order in which they are published."""
        groups = table.groups
        texts = [] if groups is None else groups.texts
        columns = {} if groups is None else groups.columns
        names: list[list[str | None]] = orjson.loads(b"[%b]" % b",".join(texts))
        self._fill(table, 1 + len(texts))
        absent = [None] * len(texts)
        for column, values in self._numbers():
            of_all = table.row.get(column)
            values += (None if of_all is None else of_all.number, *columns.get(column, absent))
        for place, name in enumerate(column.name for column in self._columns if column.of == "group"):
            self._rows[name] += (None, *(values[place] for values in names))
        self.count += 1 + len(texts)

    def _numbers(self) -> Iterator[tuple[str, list[Number]]]:
        yield USERS, self._rows["cnt"]
        yield RECORDS, self._rows["records"]
        for column in self._columns:
            if column.of == "measure":
                yield column.field, self._rows[column.name]

    def _fill(self, table: WindowTable, count: int) -> None:
        """What all its rows have, and what only the first one has."""
        windows, period, groups, users = self._windows, table.period, table.groups, table.users
        start_ms = windows.start_ms(table.window) if period is None else period.start_ms
        end_ms = windows.start_ms(table.window + 1) if period is None else period.end_ms
        kind = "window" if period is None else "period"
        of_group = "group" if period is None else "period_group"
        error = None if users is None else users.error
        dropped = groups is not None and groups.found is None
        same: dict[str, object] = {
            "calendar": None if period is None else period.calendar,
            "ts": start_ms,
            "end": end_ms,
            "granularity_ms": windows.granularity_ms,
            "partial": table.partial,
        }
        for name, value in same.items():
            self._rows[name] += [value] * count
        first: dict[str, tuple[object, object]] = {
            "kind": (kind, of_group),
            "approximate": (error is not None, False),
            "error": (error, None),
            "groups": (None if groups is None else groups.found, None),
            "groups_dropped": (dropped, False),
        }
        for name, (of_all, other) in first.items():
            self._rows[name] += (of_all, *[other] * (count - 1))

    def parquet(self) -> bytes:
        """All of them as one file."""
        import pyarrow  # it takes a third of a second to load

        form = schema(self._columns)
        arrays = [pyarrow.array(self._column(field), field.type) for field in form]
        return _written([pyarrow.Table.from_arrays(arrays, schema=form)], form)

    def _column(self, field: "pyarrow.Field") -> list[Any]:
        values = self._rows[field.name]
        # Whole numbers above 2**53 are refused as integers, though each of them was a double.
        return _doubles(values) if field.type == "double" else values


def _doubles(values: Sequence[Number]) -> list[float | None]:
    return [None if value is None else float(value) for value in values]


def schema(columns: Columns) -> "pyarrow.Schema":
    """Of the Parquet files."""
    import pyarrow

    text, moment = pyarrow.string(), pyarrow.timestamp("ms", tz="UTC")
    types: dict[ColumnType, Any] = {"text": text, "integer": pyarrow.int64(), "double": pyarrow.float64()}
    of_group = [(column.name, types[column.type]) for column in columns if column.of == "group"]
    of_measure = [(column.name, types[column.type]) for column in columns if column.of == "measure"]
    return pyarrow.schema(
        [
            ("kind", text),
            ("calendar", text),
            ("ts", moment),
            ("end", moment),
            ("granularity_ms", pyarrow.int64()),
            *of_group,
            ("cnt", pyarrow.int64()),
            ("records", pyarrow.int64()),
            *of_measure,
            ("partial", pyarrow.bool_()),
            ("approximate", pyarrow.bool_()),
            ("error", pyarrow.float64()),
            ("groups", pyarrow.int64()),
            ("groups_dropped", pyarrow.bool_()),
        ]
    )


def merged(files: Iterable[bytes], columns: Columns) -> bytes:
    """The rows of some Parquet files as one."""
    return _written(_in_batches(files), schema(columns))


def _in_batches(files: Iterable[bytes]) -> Iterator["pyarrow.Table"]:
    import pyarrow
    from pyarrow import parquet

    waiting: list[pyarrow.Table] = []
    for content in files:
        # Small ones for the most part: handing them to threads takes longer than reading them.
        waiting.append(parquet.ParquetFile(pyarrow.BufferReader(content)).read(use_threads=False))
        if sum(table.num_rows for table in waiting) >= _BATCH:
            yield pyarrow.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pyarrow.concat_tables(waiting)


def _written(tables: Iterable["pyarrow.Table"], form: "pyarrow.Schema") -> bytes:
    import pyarrow
    from pyarrow import parquet

    into = pyarrow.BufferOutputStream()
    with parquet.ParquetWriter(into, form, compression=_COMPRESSION) as writer:
        for table in tables:
            writer.write_table(table)
    content: bytes = into.getvalue().to_pybytes()
    return content
