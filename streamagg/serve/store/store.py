"""The writer of the store, and readings of it."""

import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import orjson

from streamagg.serve.records import WINDOW, Column, Rows
from streamagg.serve.store.blobs import Blobs, StoreFull
from streamagg.serve.store.file import NAME, open_file
from streamagg.serve.store.groups import Groups
from streamagg.serve.store.layout import (
    ALL_USERS,
    COLUMNS,
    DAY_MS,
    NEVER_MS,
    UNION_LENGTHS_MS,
    Calendar,
    Extent,
    Layout,
    Segment,
)
from streamagg.serve.store.reading import Reading

if TYPE_CHECKING:
    import duckdb

SORTED_ROWS: Final = 245_760
"""A longer tail becomes a segment: looking through two million rows took 40 ms, and these take 5."""
MERGED_ROWS: Final = 2_000_000
"""Segments of a day that have so many together become one: the writer does nothing else for 0.8 s then."""
LEAST_SORTED_ROWS: Final = 122_880
"""A shorter tail never does: DuckDB keeps least and greatest values for so many rows together."""
FREE_BYTES: Final = 64 << 20
"""With less room nothing is written, so that what is there can still be read."""
_LAYOUTS_KEPT: Final = 8
"""A reading that began before a change of the layout has begun before few others."""
Position = tuple[str, str]
"""A place, such as a topic, and a part of it, such as a partition."""
Horizons = dict[str | int, int]
"""Before which time nothing is kept: by the name of a calendar, and by the number of unions."""


@dataclass(frozen=True, slots=True)
class SketchRow:
    """One published sketch."""

    calendar: str
    ts_ms: int
    group: bytes | None
    """Its text in a key; None for all users."""
    sketch: bytes


@dataclass(frozen=True, slots=True)
class Batch:
    """What is stored in one transaction, and where reading goes on behind it."""

    rows: Sequence[Rows] = ()
    sketches: Sequence[SketchRow] = ()
    positions: Mapping[Position, str] = field(default_factory=dict)


class Store:
    """One thread writes; any may ask for readings and look at ``layout`` and ``extents``."""

    def __init__(self, directory: Path) -> None:
        """Raises SettingsError if the store cannot be opened."""
        self.directory = directory
        self.groups = Groups()
        self.extents: dict[str, Extent] = {}
        self.connection = open_file(directory)
        self.blobs = Blobs(directory)
        self._tails: dict[str, Segment] = {}
        self._unsaved: dict[int, bytes] = {}
        self._forgotten: dict[int, int] = {}
        self._lock = threading.Lock()
        self._load()

    def close(self) -> None:
        """Bring what is in the write-ahead log into the file, and let it go."""
        self.connection.close()

    @property
    def layout(self) -> Layout:
        """The last one."""
        return self._layout

    @property
    def size_bytes(self) -> int:
        """Of its files."""
        return self.blobs.size_bytes + sum(map(_size, self.directory.glob(f"{NAME}*")))

    @property
    def has_sketches(self) -> bool:
        """Whether any came."""
        return self._freshest_sketch_ms >= 0

    def positions(self) -> dict[Position, str]:
        """Up to where each part has been read."""
        rows = self.connection.execute("SELECT place, part, position FROM positions").fetchall()
        return {(place, part): position for place, part, position in rows}

    def cursor(self) -> "duckdb.DuckDBPyConnection":
        """A connection for the readings of one thread."""
        return self.connection.cursor()

    @contextmanager
    def reading(self, cursor: "duckdb.DuckDBPyConnection") -> Iterator[Reading]:
        """One moment of the store."""
        cursor.execute("BEGIN TRANSACTION READ ONLY")
        try:
            (version,) = cursor.execute("SELECT layout FROM about").fetchone() or (0,)
            with self._lock:
                layout = self._layouts[version]
            yield Reading(cursor, layout, self.groups, dict(self.extents), self.blobs)
        finally:
            cursor.execute("ROLLBACK")

    def append(self, batch: Batch) -> None:
        """Store a batch: all of it, or nothing where an error is raised.

        A row takes the place of one with the same calendar, group and time. Raises StoreFull.
        """
        self._check_room()
        self._make_tables(batch)
        for rows in batch.rows:
            self._reach(rows.calendar, int(rows.columns["ts"].min()))
        with self.transaction():
            tails = {rows.calendar: self._insert(rows) for rows in batch.rows}
            if batch.sketches:
                self._insert_sketches(batch.sketches)
            self._save_groups()
            self._save_positions(batch.positions)
            stale = self._delete_unions(batch)
        self.stale |= stale
        self._unsaved.clear()
        for rows in batch.rows:
            self._tails[rows.calendar] = tails[rows.calendar]
            self._extend(rows)

    def sort(self) -> bool:
        """Make a segment of a tail that is long, or of more than a day, or of short segments; False if there
        is none to be made."""
        for name, tail in self._tails.items():
            days = tail.most_ms // DAY_MS - tail.least_ms // DAY_MS
            if tail.rows >= SORTED_ROWS or (days and tail.rows >= LEAST_SORTED_ROWS):
                self._sort(self._layout.calendars[name], tail)
                return True
        for calendar in self._layout.calendars.values():
            if short := short_segments(calendar):
                self._merge(calendar, short)
                return True
        return False

    def forget(self, horizons: Horizons) -> None:
        """Delete what begins before these times."""
        for name, before_ms in horizons.items():
            if isinstance(name, int):
                self._forget_unions(name, before_ms)
            elif (extent := self.extents.get(name)) is not None and extent.oldest_ms < before_ms:
                self._forget(self._layout.calendars[name], before_ms)

    # Loading

    def _load(self) -> None:
        ask = self.connection.execute
        (version,) = ask("SELECT layout FROM about").fetchone() or (0,)
        segments: dict[int, list[Segment]] = {}
        for calendar, *segment in ask("SELECT * FROM segments ORDER BY number").fetchall():
            segments.setdefault(calendar, []).append(Segment(*segment))
        rows = ask("SELECT number, name, measures FROM calendars ORDER BY number").fetchall()
        calendars = {
            name: Calendar(number, name, tuple(orjson.loads(measures)), tuple(segments.get(number, ())))
            for number, name, measures in rows
        }
        self._layout = Layout(version, calendars)
        self._layouts = {version: self._layout}
        self.groups.load(ask("SELECT text, names FROM groups ORDER BY number").fetchall())
        self._freshest_sketch_ms = (ask("SELECT max(ts) FROM sketches").fetchone() or (None,))[0] or -1
        self.united: dict[int, int] = dict(ask("SELECT calendar, until FROM united").fetchall())
        """Up to where unions have been made, by the number that they have instead of a calendar's."""
        self.stale: set[tuple[int, int]] = set(ask("SELECT calendar, ts FROM stale").fetchall())
        """Number and time of those before that have to be made again."""
        for calendar in calendars.values():
            self._look(calendar)

    def _look(self, calendar: Calendar) -> None:
        """Find its tail and its extent."""
        ask = self.connection.execute
        found = ask(f"SELECT min(ts), max(ts), count(*) FROM {calendar.tail_table}").fetchone()
        assert found is not None
        self._tails.pop(calendar.name, None)
        if found[2]:
            self._tails[calendar.name] = Segment(0, *found)
            self._reach(calendar.name, found[0])
        extent = ask(
            "SELECT min(ts), max(ts), max(ts + span), max(span) FROM ("
            f"SELECT ts, span FROM {calendar.sorted_table} WHERE grp = {ALL_USERS} UNION ALL"
            f" SELECT ts, span FROM {calendar.tail_table} WHERE grp = {ALL_USERS})"
        ).fetchone()
        self.extents.pop(calendar.name, None)
        if extent is not None and extent[0] is not None:
            self.extents[calendar.name] = Extent(*extent)

    def _reach(self, name: str, from_ms: int) -> None:
        """Rows of the tail may begin there: known before they are there, as readings may see them at once."""
        calendar = self._layout.calendars[name]
        if from_ms < calendar.tail_from_ms:
            layout = self._layout.changed(replace(calendar, tail_from_ms=from_ms))
            with self._lock:
                self._layout = self._layouts[layout.version] = layout

    # Changing

    def _check_room(self) -> None:
        if shutil.disk_usage(self.directory).free < FREE_BYTES:
            raise StoreFull(f"There is no room left for the store {self.directory}.")

    @contextmanager
    def transaction(self, layout: Layout | None = None) -> Iterator[None]:
        """All or nothing; readings that begin behind it have the layout, if one is given."""
        ask = self.connection.execute
        if layout is not None:
            with self._lock:
                self._layouts[layout.version] = layout
                self._layouts.pop(layout.version - _LAYOUTS_KEPT, None)
        ask("BEGIN")
        try:
            yield
            if layout is not None:
                ask("UPDATE about SET layout = ?", [layout.version])
            ask("COMMIT")
        except BaseException:
            self._roll_back()
            raise
        if layout is not None:
            self._layout = layout

    def _roll_back(self) -> None:
        import duckdb

        try:
            self.connection.execute("ROLLBACK")
        except duckdb.Error:
            # A commit that failed has rolled back.
            return

    def _make_tables(self, batch: Batch) -> None:
        """For calendars and measures that come for the first time."""
        wanted = {sketch.calendar: () for sketch in batch.sketches} | {
            rows.calendar: tuple(rows.measures) for rows in batch.rows
        }
        for name, measures in wanted.items():
            calendar = self._layout.calendars.get(name)
            new = [] if calendar is None else [one for one in measures if one not in calendar.measures]
            if calendar is None:
                self._make_calendar(name, measures)
            elif new:
                self._add_measures(calendar, new)

    def _make_calendar(self, name: str, measures: Sequence[str]) -> None:
        calendar = replace(self._layout.new_calendar(name), measures=tuple(measures))
        columns = [f"{column} {kind}" for column, kind in COLUMNS.items()]
        columns += [f"{calendar.column(measure)} DOUBLE" for measure in measures]
        with self.transaction(self._layout.next(calendar)):
            ask = self.connection.execute
            ask(f"CREATE TABLE {calendar.tail_table} ({', '.join(columns)})")
            ask(f"CREATE TABLE {calendar.sorted_table} (segment INTEGER, {', '.join(columns)})")
            ask("INSERT INTO calendars VALUES (?, ?, ?)", [calendar.number, name, _json(measures)])

    def _add_measures(self, calendar: Calendar, names: Sequence[str]) -> None:
        more = replace(calendar, measures=(*calendar.measures, *names))
        with self.transaction(self._layout.next(more)):
            for table in (calendar.tail_table, calendar.sorted_table):
                for name in names:
                    self.connection.execute(f"ALTER TABLE {table} ADD COLUMN {more.column(name)} DOUBLE")
            self.connection.execute(
                "UPDATE calendars SET measures = ? WHERE number = ?", [_json(more.measures), more.number]
            )

    def _insert(self, rows: Rows) -> Segment:
        """The tail with them."""
        calendar = self._layout.calendars[rows.calendar]
        columns = {"grp": self._numbers(rows), **rows.columns}
        columns |= {calendar.column(name): column for name, column in rows.measures.items()}
        columns = _last_of_each(columns)
        self._delete_known(calendar, columns)
        names = [*COLUMNS, *map(calendar.column, rows.measures)]
        self.connection.execute(
            f"INSERT INTO {calendar.tail_table} ({', '.join(names)}) SELECT {', '.join(names)} FROM columns"
        )
        times = columns["ts"]
        tail = self._tails.get(rows.calendar)
        least, most = int(times.min()), int(times.max())
        if tail is None:
            return Segment(0, least, most, len(times))
        return Segment(0, min(least, tail.least_ms), max(most, tail.most_ms), tail.rows + len(times))

    def _delete_known(self, calendar: Calendar, columns: Mapping[str, Column]) -> None:
        """Rows in whose place others come."""
        least, most = int(columns["ts"].min()), int(columns["ts"].max())
        tables = [calendar.sorted_table] if calendar.touched(least, most + 1) else []
        tail = self._tails.get(calendar.name)
        if tail is not None and tail.touches(least, most + 1):
            tables.append(calendar.tail_table)
        keys = {name: columns[name] for name in ("grp", "ts")}  # noqa: F841 (DuckDB finds it by its name)
        for table in tables:
            self.connection.execute(
                f"DELETE FROM {table} USING keys WHERE {table}.ts BETWEEN {least} AND {most}"
                f" AND {table}.ts = keys.ts AND {table}.grp = keys.grp"
            )

    def _numbers(self, rows: Rows) -> Column:
        """Of the groups; new ones get theirs."""
        names_of = zip(rows.groups, rows.names, strict=True)
        return np.array([self._number(text, names or ()) for text, names in names_of], np.int32)

    def _number(self, text: bytes | None, names: tuple[str, ...] = ()) -> int:
        number = self.groups.number(text)
        if number is not None and (text is None or not names or self.groups[number].names == names):
            return number
        assert text is not None
        number = self.groups.add(text, names)
        self._unsaved[number] = text
        return number

    def _save_groups(self) -> None:
        ask = self.connection.execute
        for number, text in self._unsaved.items():
            ask("DELETE FROM groups WHERE number = ?", [number])
            ask(
                "INSERT INTO groups VALUES (?, ?, ?)",
                [number, text.decode(), _json(self.groups[number].names)],
            )

    def _delete_unions(self, batch: Batch) -> set[tuple[int, int]]:
        """Those that would be others with it; they are made again."""
        times = [rows.columns["ts"] for rows in batch.rows if rows.calendar == WINDOW]
        times += [np.array([one.ts_ms for one in batch.sketches if one.calendar == WINDOW], np.int64)]
        every = np.unique(np.concatenate(times))
        stale = set()
        for calendar, until_ms in self.united.items():
            length_ms = UNION_LENGTHS_MS[calendar]
            stale |= {
                (calendar, time) for time in (every[every < until_ms] // length_ms * length_ms).tolist()
            }
        for key in stale - self.stale:
            self.connection.execute("DELETE FROM sketches WHERE calendar = ? AND ts = ?", key)
            self.connection.execute("INSERT INTO stale VALUES (?, ?)", key)
        return stale

    def set_united(self, calendar: int, until_ms: int) -> None:
        """Up to where there are unions of a length; in a transaction."""
        self.connection.execute("DELETE FROM united WHERE calendar = ?", [calendar])
        self.connection.execute("INSERT INTO united VALUES (?, ?)", [calendar, until_ms])

    def _save_positions(self, positions: Mapping[Position, str]) -> None:
        for (place, part), position in positions.items():
            self.connection.execute("DELETE FROM positions WHERE place = ? AND part = ?", [place, part])
            self.connection.execute("INSERT INTO positions VALUES (?, ?, ?)", [place, part, position])

    def _insert_sketches(self, sketches: Sequence[SketchRow]) -> None:
        calendars = [self._layout.calendars[one.calendar].number for one in sketches]
        groups = [self._number(one.group) for one in sketches]
        keys: dict[str, Column] = {
            "calendar": np.array(calendars, np.int32),
            "grp": np.array(groups, np.int32),
            "ts": np.array([one.ts_ms for one in sketches], np.int64),
        }
        least, most = int(keys["ts"].min()), int(keys["ts"].max())
        if least <= self._freshest_sketch_ms:
            self.connection.execute(
                f"DELETE FROM sketches USING keys WHERE sketches.ts BETWEEN {least} AND {most}"
                " AND sketches.ts = keys.ts AND sketches.grp = keys.grp AND sketches.calendar = keys.calendar"
            )
        self._freshest_sketch_ms = max(self._freshest_sketch_ms, most)
        keyed = zip(calendars, groups, sketches, strict=True)
        # Of one that comes twice the last.
        last = {(calendar, group, one.ts_ms): one.sketch for calendar, group, one in keyed}
        self.write_sketches([(*key, sketch) for key, sketch in last.items()])

    def write_sketches(self, sketches: Sequence[tuple[int, int, int, bytes]]) -> None:
        """Calendar, group, start and bytes of each; in a transaction. Raises StoreFull."""
        places = self.blobs.append([(calendar, ts_ms, sketch) for calendar, _, ts_ms, sketch in sketches])
        columns = {  # noqa: F841 (DuckDB finds it by its name)
            "calendar": np.array([calendar for calendar, *_ in sketches], np.int32),
            "grp": np.array([group for _, group, *_ in sketches], np.int32),
            "ts": np.array([place.ts_ms for place in places], np.int64),
            "start": np.array([place.start for place in places], np.int64),
            "size": np.array([place.size for place in places], np.int32),
        }
        self.connection.execute("INSERT INTO sketches SELECT calendar, grp, ts, start, size FROM columns")

    def _extend(self, rows: Rows) -> None:
        """The extent of a calendar by what was stored of all users."""
        of_all = np.array([text is None for text in rows.groups])
        if not of_all.any():
            return
        times = rows.columns["ts"][of_all]
        ends = times + rows.columns["span"][of_all]
        found = Extent(int(times.min()), int(times.max()), int(ends.max()), int((ends - times).max()))
        known = self.extents.get(rows.calendar, found)
        self.extents[rows.calendar] = Extent(
            min(known.oldest_ms, found.oldest_ms),
            max(known.freshest_ms, found.freshest_ms),
            max(known.end_ms, found.end_ms),
            max(known.longest_ms, found.longest_ms),
        )

    def _sort(self, calendar: Calendar, tail: Segment) -> None:
        ask = self.connection.execute
        number = 1 + max((segment.number for segment in calendar.segments), default=0)
        segment = replace(tail, number=number)
        changed = replace(calendar, segments=(*calendar.segments, segment), tail_from_ms=NEVER_MS)
        with self.transaction(self._layout.next(changed)):
            ask(
                f"INSERT INTO {calendar.sorted_table} (segment, {calendar.columns}) SELECT {number},"
                f" {calendar.columns} FROM {calendar.tail_table} ORDER BY grp, ts"
            )
            ask(f"DELETE FROM {calendar.tail_table}")
            self._save_segment(calendar, segment)
        self._tails.pop(calendar.name, None)

    def _merge(self, calendar: Calendar, short: Sequence[Segment]) -> None:
        """Make one segment of several."""
        ask = self.connection.execute
        number = 1 + max(segment.number for segment in calendar.segments)
        merged = Segment(
            number,
            min(segment.least_ms for segment in short),
            max(segment.most_ms for segment in short),
            sum(segment.rows for segment in short),
        )
        kept = tuple(segment for segment in calendar.segments if segment not in short)
        numbers = ", ".join(str(segment.number) for segment in short)
        with self.transaction(self._layout.next(replace(calendar, segments=(*kept, merged)))):
            ask(
                f"INSERT INTO {calendar.sorted_table} (segment, {calendar.columns}) SELECT {number},"
                f" {calendar.columns} FROM {calendar.sorted_table} WHERE segment IN ({numbers})"
                " ORDER BY grp, ts"
            )
            ask(f"DELETE FROM {calendar.sorted_table} WHERE segment IN ({numbers})")
            ask(f"DELETE FROM segments WHERE calendar = ? AND number IN ({numbers})", [calendar.number])
            self._save_segment(calendar, merged)

    def _save_segment(self, calendar: Calendar, segment: Segment) -> None:
        self.connection.execute(
            "INSERT INTO segments VALUES (?, ?, ?, ?, ?)",
            [calendar.number, segment.number, segment.least_ms, segment.most_ms, segment.rows],
        )

    def _forget_unions(self, number: int, before_ms: int) -> None:
        """Once for each time."""
        if self._forgotten.get(number) != before_ms:
            with self.transaction():
                for table in ("sketches", "stale"):
                    self.connection.execute(
                        f"DELETE FROM {table} WHERE calendar = ? AND ts < ?", [number, before_ms]
                    )
            self.stale = {(one, ts) for one, ts in self.stale if one != number or ts >= before_ms}
            self._forgotten[number] = before_ms
            self.blobs.remove(number, before_ms)

    def _forget(self, calendar: Calendar, before_ms: int) -> None:
        ask = self.connection.execute
        kept = tuple(segment for segment in calendar.segments if segment.most_ms >= before_ms)
        with self.transaction(self._layout.next(replace(calendar, segments=kept))):
            for table in (calendar.sorted_table, calendar.tail_table):
                ask(f"DELETE FROM {table} WHERE ts < ?", [before_ms])
            ask("DELETE FROM sketches WHERE calendar = ? AND ts < ?", [calendar.number, before_ms])
            ask("DELETE FROM segments WHERE calendar = ? AND most < ?", [calendar.number, before_ms])
        self.blobs.remove(calendar.number, before_ms)
        self._look(calendar)


def short_segments(calendar: Calendar) -> list[Segment]:
    """Those of a day that are to become one; empty if there are none such."""
    by_day: dict[int, list[Segment]] = {}
    for segment in calendar.segments:
        if segment.rows < MERGED_ROWS:
            by_day.setdefault(segment.least_ms // DAY_MS, []).append(segment)
    long = (found for found in by_day.values() if sum(segment.rows for segment in found) >= MERGED_ROWS)
    return next(long, [])


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except FileNotFoundError:
        # What DuckDB writes for a moment.
        return 0


def _last_of_each(columns: dict[str, Column]) -> dict[str, Column]:
    """Of rows with the same calendar, group and time the last one, in their order."""
    keys = [columns[name] for name in ("calendar", "grp", "ts") if name in columns]
    order = np.lexsort(keys)
    ordered = [key[order] for key in keys]
    again = np.all([key[1:] == key[:-1] for key in ordered], axis=0)
    if not again.any():
        return columns
    last = np.sort(order[np.append(~again, True)])
    return {name: column[last] for name, column in columns.items()}


def _json(names: Sequence[str]) -> str:
    return orjson.dumps(list(names)).decode()
