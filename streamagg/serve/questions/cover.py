"""Which sketches make up a range: the longest that fit, so that they are few::

    range        [                                                        )
    days                      |------------------------|
    hours          |---|---|---|                        |---|---|
    windows      ||                                              ||||

A range is the windows that begin in it. Where no period begins, nobody was there; before the first window
that is kept and behind the freshest one that is not known, and the cover is not complete.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from streamagg.serve.questions.asked import Span
from streamagg.serve.records import PARTIAL, WINDOW
from streamagg.serve.store.layout import ALL_USERS, UNION_LENGTHS_MS, Calendar
from streamagg.serve.store.reading import Reading


class Tile(NamedTuple):
    """One window or period, or one union that the store has made."""

    calendar: int
    """Its number in the table of sketches."""
    ts_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Cover:
    """Tiles of a range, none of which lies in another."""

    tiles: list[Tile]
    complete: bool
    """They hold every window of the range, as far as there can be any."""
    partial: bool
    """Reading began inside one of the windows."""

    def by_calendar(self) -> dict[int, list[int]]:
        """Starts of the tiles of each kind."""
        found: dict[int, list[int]] = {}
        for tile in self.tiles:
            found.setdefault(tile.calendar, []).append(tile.ts_ms)
        return found


class _Kind(NamedTuple):
    """Tiles of about one length; without a calendar unions of the store."""

    number: int
    length_ms: int
    calendar: Calendar | None


def cover(reading: Reading, span: Span, *, sketched: bool) -> Cover:
    """Of tiles that have a sketch, or of published ones whether they have or not."""
    gaps, tiles = [span], list[Tile]()
    for kind in _kinds(reading, sketched):
        left: list[Span] = []
        for gap in gaps:
            found = _fitting(reading, kind, gap, sketched)
            tiles += found
            left += _between(gap, found)
        gaps = left
    windows, known = reading.layout.calendars.get(WINDOW), reading.extents.get(WINDOW)
    if windows is None or known is None:
        return Cover(tiles, False, False)
    # Those of windows are no gaps: nobody was there.
    missing = span.to_ms > known.end_ms or any(
        gap.from_ms < known.oldest_ms or (sketched and _has_windows(reading, windows, gap)) for gap in gaps
    )
    return Cover(sorted(tiles, key=lambda tile: tile.ts_ms), not missing, _is_partial(reading, windows, span))


def _kinds(reading: Reading, sketched: bool) -> list[_Kind]:
    """The longest first, windows last."""
    kinds = [
        _Kind(calendar.number, reading.longest_ms(name), calendar)
        for name, calendar in reading.layout.calendars.items()
        if name != WINDOW
    ]
    if sketched:
        kinds += [_Kind(number, length_ms, None) for number, length_ms in UNION_LENGTHS_MS.items()]
    kinds.sort(key=lambda kind: -kind.length_ms)
    windows = reading.layout.calendars.get(WINDOW)
    return kinds if windows is None else [*kinds, _Kind(windows.number, 0, windows)]


def _fitting(reading: Reading, kind: _Kind, gap: Span, sketched: bool) -> list[Tile]:
    """Tiles of one kind that lie in a range, in order."""
    sketches = (
        f"SELECT ts FROM sketches WHERE calendar = {kind.number} AND grp = {ALL_USERS}"
        f" AND ts >= {gap.from_ms} AND ts < {gap.to_ms}"
    )
    if kind.calendar is None:
        last_ms = gap.to_ms - kind.length_ms
        rows = reading.rows(f"{sketches} AND ts <= {last_ms} ORDER BY ts")
        return [Tile(kind.number, ts, ts + kind.length_ms) for (ts,) in rows]
    where = f"grp = {ALL_USERS}"
    if kind.calendar.name != WINDOW:
        # A period in which reading began may hold less than its windows.
        where += f" AND ts + span <= {gap.to_ms} AND flags & {PARTIAL} = 0"
    source = reading.source(kind.calendar, gap.from_ms, gap.to_ms, "ts, span", where)
    having = f" WHERE ts IN ({sketches})" if sketched else ""
    rows = reading.rows(f"SELECT ts, ts + span FROM {source}{having} ORDER BY ts")
    return [*_apart(Tile(kind.number, ts, end) for ts, end in rows)]


def _apart(tiles: Iterator[Tile]) -> Iterator[Tile]:
    """Without such as begin inside another one, as after a change of the time zone."""
    end_ms = 0
    for tile in tiles:
        if tile.ts_ms >= end_ms:
            yield tile
            end_ms = tile.end_ms


def _between(gap: Span, tiles: Sequence[Tile]) -> Iterator[Span]:
    """What tiles leave of a range."""
    at_ms = gap.from_ms
    for tile in tiles:
        if tile.ts_ms > at_ms:
            yield Span(at_ms, tile.ts_ms)
        at_ms = tile.end_ms
    if at_ms < gap.to_ms:
        yield Span(at_ms, gap.to_ms)


def _has_windows(reading: Reading, windows: Calendar, gap: Span) -> bool:
    source = reading.source(windows, gap.from_ms, gap.to_ms, "ts", f"grp = {ALL_USERS}")
    return bool(reading.rows(f"SELECT 1 FROM {source} LIMIT 1"))


def _is_partial(reading: Reading, windows: Calendar, span: Span) -> bool:
    partial = f"grp = {ALL_USERS} AND flags & {PARTIAL} <> 0"
    source = reading.source(windows, span.from_ms, span.to_ms, "ts", partial)
    return bool(reading.rows(f"SELECT 1 FROM {source} LIMIT 1"))
