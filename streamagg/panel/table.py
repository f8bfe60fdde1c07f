"""Windows as a table: start, unique users, records, and a bar of both; and the top groups of one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import orjson
from rich.text import Text

from streamagg.panel.glyphs import Glyphs, cropped, printable
from streamagg.telemetry.snapshot import WindowSample

WIDE: Final = 60
"""From so many columns on, headings are whole words and moments have their date."""
_MOST_BAR: Final = 80
"""Columns: longer bars are no easier to compare."""
_GAP: Final = "  "
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class Row:
    """One window."""

    start_ms: int
    users: int | None
    """None: not known while it is open, or not counted."""
    records: int
    partial: bool = False
    approximate: bool = False
    open: bool = False


def table(
    rows: Sequence[Row], width: int, glyphs: Glyphs, *, dated: bool, named: str = "window", users: bool = True
) -> list[Text]:
    """A heading and a line for each window; the bar shows the unique users as a part of the records.

    ``users``: they are counted.
    """
    wide = width >= WIDE
    moments = [moment(row.start_ms, rows, dated=dated) for row in rows]
    uniques = ["unique users" if wide else "users", *(_users(row, glyphs) for row in rows)]
    records = [f"{row.records:,}" for row in rows]
    columns = [
        _column([f"{named} (UTC)" if wide else named, *moments], "<"),
        _column(uniques if users else ["", *(["open" if row.open else "" for row in rows])], ">"),
        _column(["records", *records], ">"),
    ]
    notes = [" partial" if row.partial else "" for row in rows]
    room = width - sum(len(column[0]) + len(_GAP) for column in columns) - max(map(len, notes), default=0)
    bars = _bars(rows, min(room, _MOST_BAR), glyphs)
    heading = Text(_GAP.join(column[0] for column in columns), "dim")
    legend = f"{glyphs.full} unique users {glyphs.rest} records" if users else f"{glyphs.full} records"
    if len(legend) <= room:
        heading.append(_GAP + legend)
    lines = [heading]
    for row, cells, bar, note in zip(
        rows, zip(*(column[1:] for column in columns), strict=True), bars, notes, strict=True
    ):
        shown, unique, number = cells
        style = "dim" if row.open else "bold green"
        # Blanks go with the text before them: some that show SVG drop those at the beginning of a piece.
        line = Text(shown + _GAP + _indent(unique)).append(unique.strip() + _GAP + _indent(number), style)
        lines.append(line.append(number.strip() + _GAP).append_text(bar).append(note, "dim"))
    return [cropped(line, width, glyphs) for line in lines]


def top_groups(window: WindowSample, most: int, width: int, glyphs: Glyphs) -> list[Text]:
    """A heading and a line for each of the first groups of a window, ``most`` of them."""
    shown = window.top[:most]
    heading = f"top of {window.groups or 0:,} groups, {moment(window.start_ms, dated=False)}"
    names = [Text(heading), *(Text(_named(group.text)) for group in shown)]
    records = _column(["records", *(f"{group.records:,}" for group in shown)], ">")
    numbers = [_GAP + number for number in records]
    if window.unique is not None:
        users = _column(
            ["unique users" if width >= WIDE else "users", *(f"{group.unique:,}" for group in shown)], ">"
        )
        numbers = [_GAP + user + number for user, number in zip(users, numbers, strict=True)]
    room = min(max(name.cell_len for name in names), width - len(numbers[0]))
    lines: list[Text] = []
    for name, cells in zip(names, numbers, strict=True):
        line = cropped(name, room, glyphs)
        style = "bold green" if lines else "dim"
        lines.append(line.append(" " * (room - line.cell_len)).append(cells, style))
    lines[0].stylize("dim")
    return [cropped(line, width, glyphs) for line in lines]


def _named(text: bytes) -> str:
    values: list[str | None] = orjson.loads(text)
    return printable(", ".join("(null)" if value is None else value for value in values))


def moment(time_ms: int, among: Sequence[Row] = (), *, dated: bool) -> str:
    """As much of a time as tells it from the others, in UTC; milliseconds since 1970 beyond the calendar."""
    try:
        at = _EPOCH + timedelta(milliseconds=time_ms)
    except OverflowError:
        return str(time_ms)
    starts = [row.start_ms for row in among] or [time_ms]
    if among and all(start % _DAY_MS == 0 for start in starts):
        return f"{at:%Y-%m-%d}"
    form = "%H:%M" if among and all(start % 60_000 == 0 for start in starts) else "%H:%M:%S"
    millis = f".{at.microsecond // 1_000:03}" if any(start % 1_000 for start in starts) and among else ""
    return at.strftime(("%Y-%m-%d " if dated else "") + form) + millis


def _users(row: Row, glyphs: Glyphs) -> str:
    if row.users is None:
        return "open" if row.open else "-"
    return (glyphs.about if row.approximate else "") + f"{row.users:,}"


def _column(cells: Sequence[str], side: str) -> list[str]:
    width = max(map(len, cells))
    return [f"{cell:{side}{width}}" for cell in cells]


def _indent(cell: str) -> str:
    return " " * (len(cell) - len(cell.strip()))


def _bars(rows: Sequence[Row], width: int, glyphs: Glyphs) -> list[Text]:
    """None where there is no room for one."""
    if width < 4:
        return [Text() for _ in rows]
    most = max((row.records for row in rows), default=0) or 1
    bars = []
    for row in rows:
        through = round(row.records / most * width)
        known = row.records if row.users is None and not row.open else row.users or 0
        filled = min(width, round(known / most * width))
        bars.append(Text.assemble((glyphs.full * filled, "green"), (glyphs.rest * (through - filled), "dim")))
    return bars
