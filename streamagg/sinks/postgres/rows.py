"""Results as lines of ``COPY``, text format: columns are formed as a whole, as ``json_records`` does."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from streamagg.core.windows import Windows
from streamagg.model.results import RECORDS, USERS, Groups, Row, WindowTable
from streamagg.sinks.json_records import cells, named

COLUMNS: Final = (
    *("key", "calendar", "ts", '"end"', "granularity", "partial", '"group"', "cnt", "records", "measures"),
    *("approximate", "error", "groups", "groups_dropped"),
)
_NONE: Final = rb"\N"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NUL: Final = rb"\u0000"
_OF_GROUP: Final = b"\tf\t%b\t%b\tf\n" % (_NONE, _NONE)
"""What only the row of all records says: approximate, error, groups, groups_dropped."""


def lines(windows: Windows, table: WindowTable, group_by: Sequence[str] = ()) -> Iterator[bytes]:
    """The row of all records together, then of each group that is published."""
    begin = _same(windows, table)
    yield b"\t" + begin + b"%b\t" % _NONE + _numbers(table.row) + _of_all(table)
    groups = table.groups
    if groups is not None and groups.texts:
        form = b"%b\t" + begin.replace(b"%", b"%%") + b"%b\t" + _form(groups) + _OF_GROUP
        objects = map(_storable, named(groups.texts, group_by))
        for row in zip(map(_escaped, groups.texts), objects, *cells(groups), strict=True):
            yield form % row


def _same(windows: Windows, table: WindowTable) -> bytes:
    """What all rows have behind the key: calendar, ts, end, granularity and partial."""
    period = table.period
    start_ms = windows.start_ms(table.window) if period is None else period.start_ms
    end_ms = windows.start_ms(table.window + 1) if period is None else period.end_ms
    parts = (
        None if period is None else period.calendar,
        _moment(start_ms),
        _moment(end_ms),
        f"{windows.granularity_ms} milliseconds",
        "t" if table.partial else "f",
    )
    return b"".join((_NONE if part is None else part.encode()) + b"\t" for part in parts)


def _moment(time_ms: int) -> str:
    return (_EPOCH + timedelta(milliseconds=time_ms)).isoformat()


def _numbers(row: Row) -> bytes:
    """cnt, records and measures."""
    numbers = {name: value.number for name, value in row.items()}
    users, records = numbers.pop(USERS, None), numbers.pop(RECORDS)
    return b"\t".join((_field(users), _field(records), _escaped(orjson.dumps(numbers))))


def _form(groups: Groups) -> bytes:
    """The same, with holes for the numbers of a group."""
    names = [name for name in groups.columns if name not in (USERS, RECORDS)]
    holes = (b"%b:%%b" % _escaped(orjson.dumps(name)).replace(b"%", b"%%") for name in names)
    users = b"%b" if USERS in groups.columns else _NONE
    return users + b"\t%b\t{" + b",".join(holes) + b"}"


def _of_all(table: WindowTable) -> bytes:
    error = None if table.users is None else table.users.error
    found = None if table.groups is None else table.groups.found
    dropped = table.groups is not None and found is None
    fields = (error is not None, error, found, dropped)
    return b"".join(b"\t" + _field(field) for field in fields) + b"\n"


def _field(value: Any) -> bytes:
    """A number or a boolean."""
    return _NONE if value is None else orjson.dumps(value)


def _storable(group: bytes) -> bytes:
    """JSON as jsonb takes it, which has no NUL: U+FFFD stands for it. The key tells groups apart."""
    if _NUL in group:
        values: dict[str, str | None] = orjson.loads(group)
        group = orjson.dumps(
            {name: value and value.replace("\0", "\ufffd") for name, value in values.items()}
        )
    return _escaped(group)


def _escaped(json: bytes) -> bytes:
    """JSON has no tab and no line end, but backslashes."""
    return json.replace(b"\\", b"\\\\") if b"\\" in json else json
