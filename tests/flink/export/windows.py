"""Rows of windows and periods, and the records that are published of them."""

import math
import random
from collections.abc import Iterator
from typing import Any, Final

import msgspec
import numpy as np

from streamagg.core.closed_window import ClosedWindow
from streamagg.core.late_references import LateReferences
from streamagg.core.open_window import OpenWindow, Rules
from streamagg.core.window_tables import WindowTables
from streamagg.core.windows import Windows
from streamagg.model.columns import (
    EVENT_TIME_COLUMN,
    GROUP_COLUMN,
    OFFSET_COLUMN,
    PARTITION_COLUMN,
    USER_COLUMN,
    delivered_schema_of,
    schema_of,
)
from streamagg.model.groups import group_id, group_text, texts_of
from streamagg.model.results import PeriodName
from streamagg.model.settings import CeilingSettings, DecodeSettings, MeasureSettings, WindowSettings
from streamagg.sinks.json_records import render, render_late

_WINDOWS: Final = 1_500
_OPS: Final = ("count", "sum", "avg", "min", "max", "first", "last")
_NAMES: Final = ("country", "page.section", "é", 'a"b', "x")
_TEXTS: Final = (None, None, "DE", "", "Köln", 'a"b\\c', "\x00\x1f\x7f\t\n", "1.5", "😀", "null", "true")

Row = dict[str, Any]


def windows() -> Iterator[dict[str, Any]]:
    """One object for each window or period."""
    return map(_window, range(_WINDOWS))


def late() -> Iterator[dict[str, Any]]:
    """One object for each reference to a late record."""
    chance = random.Random(18)
    for _ in range(200):
        window = _window_settings(chance)
        partition, offset = chance.randrange(100), chance.randrange(10**12)
        time_ms, clock_ms = chance.randrange(10**12), chance.randrange(10**13)
        early = chance.random() < 0.5
        offsets, times, clocks = (np.array([number]) for number in (offset, time_ms, clock_ms))
        reference = LateReferences(partition, offsets, times, clocks, early)
        yield {
            "window": msgspec.to_builtins(window),
            "row": [partition, offset, time_ms],
            "clock_ms": clock_ms,
            "closed_early": early,
            "expect": _texts(render_late('visits"é', Windows(window), reference)),
        }


def _window(seed: int) -> dict[str, Any]:
    chance = random.Random(seed)
    decode, window, ceiling = _decode_settings(chance), _window_settings(chance), _ceiling(chance)
    number, partial = chance.randrange(-1, 10**8), chance.random() < 0.3
    rows = [_row(chance, decode) for _ in range(chance.choice([1, 3, 20, 100]))]
    tables = WindowTables(decode, ceiling)
    found = tables.combined([_opened(decode, ceiling, rows).answer()])
    period = None
    if chance.random() < 0.3:
        start_ms = chance.randrange(10**12)
        period = PeriodName(chance.choice(["day", "15m"]), start_ms, start_ms + chance.choice([3_600_000, 1]))
    table = tables.table(ClosedWindow(number, partial), found, period)
    return {
        "decode": msgspec.to_builtins(decode),
        "window": msgspec.to_builtins(window),
        "ceiling": msgspec.to_builtins(ceiling),
        "number": number,
        "partial": partial,
        "period": None if period is None else msgspec.to_builtins(period),
        "rows": [_told(row, decode) for row in rows],
        "expect": _texts(render(Windows(window), table, decode.group_by)),
    }


def _texts(records: Iterator[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    return [(key.decode(), value.decode()) for key, value in records]


def _decode_settings(chance: random.Random) -> DecodeSettings:
    paths = chance.sample(["bytes", "ms", "p"], 2)
    measures = [MeasureSettings(f"{op}_{path}", op, path) for path in paths for op in _OPS]
    measures.append(MeasureSettings("items", "uniques", "item"))
    return DecodeSettings(
        user_field=chance.choice(["uid", "uid", None]),
        group_by=tuple(chance.sample(_NAMES, chance.choice([0, 1, 1, 2, 4]))),
        measures=tuple(chance.sample(measures, chance.choice([0, 2, len(measures)]))),
    )


def _window_settings(chance: random.Random) -> WindowSettings:
    return WindowSettings(chance.choice([60_000, 60_000, 250, 1_001]), chance.choice([0, 0, 123, 30_000]))


def _ceiling(chance: random.Random) -> CeilingSettings:
    return CeilingSettings(
        max_groups=chance.choice([100, 3]), above_groups="totals", top=chance.choice([None, None, 1, 3])
    )


def _row(chance: random.Random, decode: DecodeSettings) -> Row:
    texts = chance.choice([_TEXTS, _TEXTS[1:3]])
    row: Row = {
        PARTITION_COLUMN: chance.randrange(4),
        OFFSET_COLUMN: chance.randrange(50),
        EVENT_TIME_COLUMN: chance.randrange(5),
        USER_COLUMN: chance.choice([0, 1, 2**63, chance.randrange(2**64)]),
        GROUP_COLUMN: group_text(chance.choice(texts) for _ in decode.group_by),
    }
    # Of one place in the log there is one record.
    key = f"{row[EVENT_TIME_COLUMN]} {row[PARTITION_COLUMN]} {row[OFFSET_COLUMN]}"
    same = random.Random(key)
    for name in _value_names(decode):
        row[name] = same.randrange(1, 6) if name.startswith("hash:") else number(same)
        if same.random() < 0.2:
            row[name] = 0 if name.startswith("hash:") else math.nan
    return row


def number(chance: random.Random) -> float:
    """One of any size, or one whose sums are hard."""
    sign = chance.choice([1, -1])
    match chance.randrange(8):
        case 0 | 1:
            return float(sign * chance.randrange(100))
        case 2:
            return sign * chance.randrange(10_000) / 100
        case 3:
            return sign * 2.0 ** chance.choice([31, 32, 52, 53, 63, 64, 100, -1, -1_022, -1_074])
        case 4:
            return sign * chance.random() * 10.0 ** chance.randrange(-323, 308)
        case 5:
            return sign * chance.choice([1e308, 1.7976931348623157e308, 5e-324, 0.1, 0.3, 1e16, 1e23])
        case _:
            return sign * float(chance.randrange(2**63))


def _value_names(decode: DecodeSettings) -> list[str]:
    return [name for name in schema_of(decode).names if name not in (USER_COLUMN, GROUP_COLUMN)]


def _opened(decode: DecodeSettings, ceiling: CeilingSettings, rows: list[Row]) -> OpenWindow:
    schema = delivered_schema_of(decode)
    columns = schema.empty(len(rows))
    for name, column in zip(schema.names, columns, strict=True):
        column[:] = [group_id(row[name]) if name == GROUP_COLUMN else row[name] for row in rows]
    opened = OpenWindow(0, Rules(decode, ceiling))
    opened.add(
        columns, len(rows), (texts_of({row[GROUP_COLUMN] for row in rows}),) if decode.group_by else ()
    )
    return opened


def _told(row: Row, decode: DecodeSettings) -> dict[str, Any]:
    cells = [row[name] for name in _value_names(decode)]
    return {
        "place": [row[PARTITION_COLUMN], row[OFFSET_COLUMN], row[EVENT_TIME_COLUMN]],
        "user": row[USER_COLUMN],
        "group": row[GROUP_COLUMN].decode() if decode.group_by else None,
        "cells": [cell if isinstance(cell, int) else float(cell).hex() for cell in cells],
    }
