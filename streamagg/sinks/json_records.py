"""Results as JSON records: key and value, the same for every sink."""

from collections.abc import Iterator
from typing import Final

import orjson

from streamagg.core.late_references import LateReferences
from streamagg.core.windows import Windows
from streamagg.model.results import RECORDS, USERS, Row, WindowTable

FORMAT_VERSION: Final = 1
"""``v`` of a published record; it changes when readers would have to."""


def render(windows: Windows, table: WindowTable) -> Iterator[tuple[bytes, bytes]]:
    """The output records of all rows."""
    return (render_row(windows, table, row) for row in table.rows.values())


def render_row(windows: Windows, table: WindowTable, row: Row) -> tuple[bytes, bytes]:
    """Key and value of the output record of one row; times in seconds."""
    start, users = _seconds(windows.start_ms(table.window)), row[USERS]
    value = {
        "ts": start,
        "cnt": users.number,
        "granularity": _seconds(windows.granularity_ms),
        "records": row[RECORDS].number,
        "partial": table.partial,
        "v": FORMAT_VERSION,
    }
    if users.error is not None:
        value |= {"approximate": True, "error": users.error}
    return str(start).encode(), orjson.dumps(value)


def render_late(topic: str, windows: Windows, references: LateReferences) -> Iterator[tuple[bytes, bytes]]:
    """Key and value of the records of the late topic; ``topic`` is the input.

    ``time`` and ``window`` are in seconds, like the start of a window where it is published.
    """
    partition = references.partition
    numbers = windows.number(references.event_time_ms)
    columns = (references.offset, references.event_time_ms, references.clock_ms, numbers)
    for offset, time_ms, clock_ms, window in zip(*(column.tolist() for column in columns), strict=True):
        value = {
            "topic": topic,
            "partition": partition,
            "offset": offset,
            "time": _seconds(time_ms),
            "window": _seconds(windows.start_ms(window)),
            "late_ms": clock_ms - windows.start_ms(window + 1),
            "closed_early": references.closed_early,
            "v": FORMAT_VERSION,
        }
        yield f"{partition}:{offset}".encode(), orjson.dumps(value)


def _seconds(time_ms: int) -> int | float:
    """Whole seconds as an integer, as in the classic records."""
    return time_ms // 1000 if time_ms % 1000 == 0 else time_ms / 1000
