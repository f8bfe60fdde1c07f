"""One moment of the store, for the questions that are asked in it."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from streamagg.serve.records import Column
from streamagg.serve.store.blobs import Blobs, Place
from streamagg.serve.store.groups import Groups
from streamagg.serve.store.layout import Calendar, Extent, Layout

if TYPE_CHECKING:
    import duckdb


class GivenUp(Exception):
    """Nobody waits for the answer any more."""


class Reading:
    """One transaction; each query raises GivenUp once that is wanted."""

    def __init__(
        self,
        cursor: "duckdb.DuckDBPyConnection",
        layout: Layout,
        groups: Groups,
        extents: Mapping[str, Extent],
        blobs: Blobs,
    ) -> None:
        self._cursor = cursor
        self.layout = layout
        self.groups = groups
        self.extents = extents
        self._blobs = blobs
        self.segments_read = 0
        """Segments that have times of what was asked for; no others are read."""
        self.given_up = False
        """Of many short queries an interruption would end one at most."""

    def longest_ms(self, calendar: str) -> int:
        """Length of its longest window or period."""
        extent = self.extents.get(calendar)
        return 0 if extent is None else extent.longest_ms

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        self._go_on()
        return self._cursor.execute(sql).fetchall()

    def rows_of(self, times_ms: Sequence[int], sql: str) -> list[tuple[Any, ...]]:
        """All rows of a query that says ``SEMI JOIN starts USING (ts)``, and means these times by it.

        Written into the query, the starts of a month take ten times as long as their rows.
        """
        self._go_on()
        starts = {"ts": np.array(times_ms, np.int64)}  # noqa: F841 (DuckDB finds it by its name)
        return self._cursor.execute(sql).fetchall()

    def arrays(self, sql: str) -> dict[str, Column]:
        """The columns of a query; masked where there are nulls."""
        self._go_on()
        return self._cursor.execute(sql).fetchnumpy()

    def sketches(self, where: str) -> list[bytes]:
        """Those whose rows fit; SQL. Raises FileNotFoundError where they have been deleted since."""
        rows = self.rows(f"SELECT calendar, ts, start, size FROM sketches WHERE {where}")
        return self._blobs.read(Place(*row) for row in rows)

    def _go_on(self) -> None:
        if self.given_up:
            raise GivenUp

    def source(self, calendar: Calendar, from_ms: int, to_ms: int, columns: str, where: str = "true") -> str:
        """SQL of the rows that begin in the range."""
        within = f"ts >= {from_ms} AND ts < {to_ms} AND {where}"
        touched = calendar.touched(from_ms, to_ms)
        self.segments_read += len(touched)
        parts = []
        if touched:
            numbers = [segment.number for segment in touched]
            # Others between them have none of these times.
            segments = f"segment BETWEEN {min(numbers)} AND {max(numbers)}"
            parts.append(f"SELECT {columns} FROM {calendar.sorted_table} WHERE {segments} AND {within}")
        if not touched or calendar.tail_from_ms < to_ms:
            # One table alone is asked twice as fast as two: DuckDB knows which values there can be.
            parts.append(f"SELECT {columns} FROM {calendar.tail_table} WHERE {within}")
        return f"({' UNION ALL '.join(parts)})"
