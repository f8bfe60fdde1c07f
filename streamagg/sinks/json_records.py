"""Results as JSON records: key and value, the same for every sink."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import orjson

from streamagg.core.late_references import LateReferences
from streamagg.core.windows import Windows
from streamagg.model.results import RECORDS, USERS, Groups, Number, RunningPeriod, WindowTable

FORMAT_VERSION: Final = 1
"""``v`` of a published record; it changes when readers would have to."""
_HOLE: Final = orjson.Fragment(b"%b")
"""In a record by which all groups of a window are formatted, instead of a dictionary for each of them."""


def render(
    windows: Windows, table: WindowTable, group_by: Sequence[str] = ()
) -> Iterator[tuple[bytes, bytes]]:
    """Key and value of the output records: of all records together, then of each group that is published.

    ``group_by``: names of the fields of a group. Times are in seconds.
    """
    key, beginning = _beginning(windows, table)
    granularity = _seconds(windows.granularity_ms)
    numbers = {name: value.number for name, value in table.row.items()}
    value = _value(beginning, numbers, granularity, table.partial)
    yield key, orjson.dumps(value | _of_all(table) | numbers)
    if table.groups is not None and table.groups.texts:
        holes = dict.fromkeys(table.groups.columns, _HOLE)
        value = _value(beginning | {"group": _HOLE}, holes, granularity, table.partial)
        form = orjson.dumps(value | holes)
        rows = zip(named(table.groups.texts, group_by), *cells(table.groups), strict=True)
        for text, row in zip(table.groups.texts, rows, strict=True):
            yield key + b" " + text, form % row


def render_sketches(windows: Windows, table: WindowTable) -> Iterator[tuple[bytes, bytes]]:
    """Key and value of the records of the topic of sketches: of all users, then of the groups."""
    assert table.sketches is not None
    key, _ = _beginning(windows, table)
    yield key, table.sketches.all
    texts = [] if table.groups is None else table.groups.texts
    for text, sketch in zip(texts, table.sketches.groups, strict=True):
        yield key + b" " + text, sketch


def render_running(
    windows: Windows, running: RunningPeriod, group_by: Sequence[str] = ()
) -> Iterator[tuple[bytes, bytes | None]]:
    """Key and value of the records of the topic of running periods; None removes what has that key."""
    through = _seconds(windows.start_ms(running.table.window + 1))
    more = b"," + orjson.dumps({"through": through, "final": running.final})[1:]
    for key, value in render(windows, running.table, group_by):
        yield key, value[:-1] + more
    key, _ = _beginning(windows, running.table)
    for text in running.gone:
        yield key + b" " + text, None


def _beginning(windows: Windows, table: WindowTable) -> tuple[bytes, dict[str, Any]]:
    """What key and value of all its records begin with."""
    if table.period is None:
        start = _seconds(windows.start_ms(table.window))
        return str(start).encode(), {"ts": start}
    calendar, start = table.period.calendar, _seconds(table.period.start_ms)
    value = {"ts": start, "calendar": calendar, "end": _seconds(table.period.end_ms)}
    return f"{calendar} {start}".encode(), value


def rows_of(groups: Groups) -> Iterator[tuple[bytes, dict[str, Number]]]:
    """The text of each group, and its numbers by measure."""
    names = list(groups.columns)
    for text, *row in zip(groups.texts, *groups.columns.values(), strict=True):
        yield text, dict(zip(names, row, strict=True))


def named(texts: Sequence[bytes], group_by: Sequence[str]) -> Iterator[bytes]:
    """Each group as an object, values by field."""
    if len(group_by) > 1:
        return (orjson.dumps(dict(zip(group_by, orjson.loads(text), strict=True))) for text in texts)
    # The text of a group is JSON already, in the same form.
    (field,) = group_by
    name = b"{" + orjson.dumps(field) + b":"
    return (name + text[1:-1] + b"}" for text in texts)


def cells(groups: Groups) -> Iterator[list[bytes]]:
    """The columns as JSON, in the order of a record, each in one call."""
    known = [name for name in (USERS, RECORDS) if name in groups.columns]
    for name in (*known, *(name for name in groups.columns if name not in known)):
        yield orjson.dumps(groups.columns[name])[1:-1].split(b",")


def _value(
    beginning: dict[str, Any], numbers: dict[str, Any], granularity: int | float, partial: bool
) -> dict[str, Any]:
    """What every record has, in the order of the classic ones; it is taken out of ``numbers``."""
    value = dict(beginning)
    if USERS in numbers:
        value["cnt"] = numbers.pop(USERS)
    value["granularity"] = granularity
    value["records"] = numbers.pop(RECORDS)
    value["partial"] = partial
    value["v"] = FORMAT_VERSION
    return value


def _of_all(table: WindowTable) -> dict[str, Any]:
    """What only the record of all records together has."""
    value: dict[str, Any] = {}
    if table.users is not None and table.users.error is not None:
        value |= {"approximate": True, "error": table.users.error}
    if table.groups is not None:
        dropped = table.groups.found is None
        value |= {"groups_dropped": True} if dropped else {"groups": table.groups.found}
    return value


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
