"""Published records, read as columns."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import orjson

FORMAT_VERSION: Final = 1
"""``v`` of the records that are understood."""
WINDOW: Final = "window"
"""What windows are called beside the calendars of periods."""
OWN_FIELDS: Final = frozenset(
    {
        *("ts", "cnt", "granularity", "records", "partial", "v", "approximate", "error"),
        *("group", "groups", "groups_dropped", "calendar", "end", "through", "final"),
    }
)
"""Of published records; all others are measures."""
PARTIAL, APPROXIMATE, DROPPED = 1, 2, 4
"""Bits of ``flags``."""
Record = dict[str, Any]
_Read = tuple[Record, bytes]
Column = np.ndarray[tuple[int], np.dtype[Any]]
_ERRORS: Final = (ValueError, TypeError, KeyError, OverflowError, AttributeError)


@dataclass(frozen=True, slots=True)
class Rows:
    """Records of one calendar as columns of equal length, in the order in which they came.

    Every column but those of measures is as the store has it. ``groups`` holds for each row the texts of its
    group, as in a key, or None for all users; ``names`` those of its fields.
    """

    calendar: str
    groups: Sequence[bytes | None]
    names: Sequence[tuple[str, ...] | None]
    columns: Mapping[str, Column]
    measures: Mapping[str, Column]
    """Float64; masked where there is no value."""
    values: Sequence[bytes]
    """As they came."""

    def where(self, wanted: Column) -> "Rows":
        """Those for which it is true; bool, shape ``(n,)``."""
        if wanted.all():
            return self
        places = np.flatnonzero(wanted).tolist()
        return Rows(
            self.calendar,
            [self.groups[place] for place in places],
            [self.names[place] for place in places],
            {name: column[wanted] for name, column in self.columns.items()},
            {name: column[wanted] for name, column in self.measures.items()},
            [self.values[place] for place in places],
        )


@dataclass(slots=True)
class Parsed:
    """What a batch of values holds."""

    rows: list[Rows] = field(default_factory=list)
    unreadable: int = 0
    """Values that are no published records of this version."""


def parse(values: Iterable[bytes]) -> Parsed:
    """Published records as columns, one set for each calendar."""
    parsed = Parsed()
    by_calendar: dict[str, list[_Read]] = {}
    for value in values:
        try:
            record = orjson.loads(value)
            if record["v"] != FORMAT_VERSION:
                raise ValueError("another version")
            by_calendar.setdefault(record.get("calendar", WINDOW), []).append((record, value))
        except _ERRORS:
            parsed.unreadable += 1
    for calendar, read in by_calendar.items():
        try:
            parsed.rows.append(_rows(calendar, read))
        except _ERRORS:
            fit = [one for one in read if _fits(calendar, one)]
            parsed.unreadable += len(read) - len(fit)
            if fit:
                parsed.rows.append(_rows(calendar, fit))
    return parsed


def group_text(group: Mapping[str, str | None]) -> bytes:
    """The values of a group, as they stand in a key."""
    return orjson.dumps(list(group.values()))


def milliseconds(seconds: float) -> int:
    """Whole ones of the seconds that are published."""
    return round(seconds * 1_000)


def _fits(calendar: str, read: _Read) -> bool:
    try:
        _rows(calendar, [read])
    except _ERRORS:
        return False
    return True


def _rows(calendar: str, read: Sequence[_Read]) -> Rows:
    """Raises one of ``_ERRORS`` if any of them is no published record."""
    records = [record for record, _ in read]
    if not isinstance(calendar, str) or not calendar:
        raise ValueError("no name of a calendar")
    groups = [record.get("group") for record in records]
    if any(group is not None and not all(_is_value(text) for text in group.values()) for group in groups):
        raise ValueError("the values of a group are text or null")
    return Rows(
        calendar,
        [None if group is None else group_text(group) for group in groups],
        [None if group is None else tuple(group) for group in groups],
        _columns(records),
        _measures(records),
        [value for _, value in read],
    )


def _is_value(text: object) -> bool:
    return text is None or isinstance(text, str)


def _columns(records: Sequence[Record]) -> dict[str, Column]:
    start = np.array([milliseconds(record["ts"]) for record in records], np.int64)
    granularity = np.array([milliseconds(record["granularity"]) for record in records], np.int64)
    end = np.array([milliseconds(record["end"]) if "end" in record else 0 for record in records], np.int64)
    return {
        "ts": start,
        "span": np.where(end > 0, end - start, granularity),
        "granularity": granularity,
        "cnt": _numbers([record.get("cnt") for record in records], np.int64),
        "records": np.array([record["records"] for record in records], np.int64),
        "flags": np.array([_flags(record) for record in records], np.uint8),
        "error": _numbers([record.get("error") for record in records], np.float64),
        "groups": _numbers([record.get("groups") for record in records], np.int64),
    }


def _flags(record: Record) -> int:
    return (
        PARTIAL * bool(record["partial"])
        | APPROXIMATE * bool(record.get("approximate"))
        | DROPPED * bool(record.get("groups_dropped"))
    )


def _measures(records: Sequence[Record]) -> dict[str, Column]:
    names = dict.fromkeys(name for record in records for name in record if name not in OWN_FIELDS)
    return {name: _numbers([record.get(name) for record in records], np.float64) for name in names}


def _numbers(values: Sequence[Any], dtype: Any) -> Column:
    """Masked where there is none."""
    missing = [value is None for value in values]
    if any(missing):
        values = [0 if value is None else value for value in values]
    if any(type(value) not in (int, float) for value in values):
        raise ValueError("a number")
    found = np.array(values, dtype)
    return np.ma.masked_array(found, missing) if any(missing) else found
