"""Sketches of minutes, hours and days that nobody published: unions of those of windows, so that a question
about a month reads a few dozen sketches and not 43,200.

They are made of windows that begin in a UTC minute, hour or day, once all of these are there, and stand in
the table of sketches under calendars with numbers below 0. What comes for a time behind which unions were
made deletes these.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Final, NamedTuple

from streamagg.serve import theta
from streamagg.serve.records import WINDOW
from streamagg.serve.store.blobs import Place
from streamagg.serve.store.layout import ALL_USERS, UNION_LENGTHS_MS
from streamagg.serve.store.store import Store


class Level(NamedTuple):
    """Sketches of one length."""

    calendar: int
    """Their number in the table."""
    length_ms: int


LEVELS: Final = tuple(Level(*item) for item in UNION_LENGTHS_MS.items())
_FEWEST_WINDOWS: Final = 6
"""Unions of fewer save nothing."""


def levels(granularity_ms: int) -> list[Level]:
    """Those that are made of windows of this length, the shortest first."""
    return [level for level in LEVELS if level.length_ms >= _FEWEST_WINDOWS * granularity_ms]


def unite(store: Store) -> bool:
    """Make one that is missing; False if none is."""
    extent = store.extents.get(WINDOW)
    if extent is None or not store.has_sketches:
        return False
    windows = store.layout.calendars[WINDOW].number
    finer = Level(windows, extent.end_ms - extent.freshest_ms)
    for level in levels(finer.length_ms):
        stale = [at_ms for calendar, at_ms in store.stale if calendar == level.calendar]
        until_ms = store.united.get(level.calendar, _floor(extent.oldest_ms, level))
        at_ms = min(stale, default=until_ms)
        if at_ms + level.length_ms <= extent.end_ms:
            _make(store, level, finer, at_ms, until_ms)
            return True
        finer = level
    return False


def _make(store: Store, level: Level, finer: Level, at_ms: int, until_ms: int) -> None:
    """The union of one interval, or nothing where a sketch is missing; then go on to the next one."""
    ask = store.connection.execute
    end_ms = at_ms + level.length_ms
    times = [ts for (ts,) in ask(_starts(store, at_ms, end_ms)).fetchall()]
    wanted = len(times) if finer.calendar > 0 else len({ts // finer.length_ms for ts in times})
    found = ask(
        "SELECT grp, calendar, ts, start, size FROM sketches"
        " WHERE calendar = ? AND ts >= ? AND ts < ? ORDER BY grp",
        [finer.calendar, at_ms, end_ms],
    ).fetchall()
    sketches = store.blobs.read(Place(*place) for _, *place in found)
    rows = [(row[0], sketch) for row, sketch in zip(found, sketches, strict=True)]
    whole = wanted and sum(1 for grp, _ in rows if grp == ALL_USERS) == wanted
    with store.transaction():
        ask("DELETE FROM sketches WHERE calendar = ? AND ts = ?", [level.calendar, at_ms])
        ask("DELETE FROM stale WHERE calendar = ? AND ts = ?", [level.calendar, at_ms])
        if whole:
            store.write_sketches([(level.calendar, grp, at_ms, sketch) for grp, sketch in _unions(rows)])
        if at_ms == until_ms:
            until_ms = _next(store, level, end_ms)
            store.set_united(level.calendar, until_ms)
    store.stale.discard((level.calendar, at_ms))
    store.united[level.calendar] = until_ms


def _next(store: Store, level: Level, from_ms: int) -> int:
    """The first interval from there on in which a window begins."""
    (ts,) = store.connection.execute(
        f"SELECT min(ts) FROM ({_starts(store, from_ms, 1 << 62)})"
    ).fetchone() or (None,)
    return from_ms if ts is None else max(from_ms, _floor(ts, level))


def _starts(store: Store, from_ms: int, to_ms: int) -> str:
    """SQL of the starts of windows in a range."""
    calendar = store.layout.calendars[WINDOW]
    tables = (calendar.sorted_table, calendar.tail_table)
    within = f"grp = {ALL_USERS} AND ts >= {from_ms} AND ts < {to_ms}"
    return " UNION ALL ".join(f"SELECT ts FROM {table} WHERE {within}" for table in tables)


def _unions(rows: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    for grp, members in groupby(rows, lambda row: row[0]):
        yield grp, theta.written(theta.union([theta.read(sketch) for _, sketch in members]))


def _floor(time_ms: int, level: Level) -> int:
    return time_ms // level.length_ms * level.length_ms
