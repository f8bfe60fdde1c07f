"""``top``: the groups of a range with the most users, the most records, or the most of a measure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import inf
from typing import Final, Literal, NamedTuple

from streamagg.serve import theta
from streamagg.serve.questions.asked import (
    Span,
    Unanswerable,
    Wanted,
    groups_of,
    number_column,
    whole,
)
from streamagg.serve.questions.cover import Cover, cover
from streamagg.serve.questions.users import NO_USERS, Users, estimated, has_sketches, sketches_of
from streamagg.serve.records import APPROXIMATE, DROPPED
from streamagg.serve.store.layout import ALL_USERS, Calendar
from streamagg.serve.store.reading import Reading

How = Literal["sum", "mean", "min", "max"]
Part = tuple[float, int]
"""A measure of some windows, and the records that it is of."""
MEASURED: Final = {"sum": "sum({0})", "mean": "sum({0} * records)", "min": "min({0})", "max": "max({0})"}
ORDERS: Final = ("users", "records")
"""Beside the names of measures."""
_AT_ONCE: Final = 64
"""Values whose users are estimated together."""


@dataclass(frozen=True, slots=True)
class TopQuestion:
    """Values of one field of groups."""

    span: Span
    by: str
    """A field of groups."""
    group: Wanted = field(default_factory=dict)
    """Only groups that have these values."""
    n: int = 20
    order: str = "users"
    """``users``, ``records`` or the name of a measure."""
    how: How = "sum"
    """What the measures of several windows and groups come to; their mean is that of their records."""
    find: str = ""
    """Only values in which this text stands, be it in other capitals."""


@dataclass(slots=True)
class _Sums:
    """What groups with one value come to."""

    groups: list[int] = field(default_factory=list)
    records: int = 0
    users: int = 0
    """Of all windows or periods and groups together: no fewer than there are different ones."""
    most: int = 0
    """Of one of them: no more than that."""
    rows: int = 0
    approximate: bool = False
    counted: bool = True
    """Users are counted."""
    parts: list[Part] = field(default_factory=list)
    """What the order goes by, where that is a measure."""


class Entry(NamedTuple):
    """One value."""

    value: str | None
    users: Users
    records: int
    number: float | None = None
    """What the order goes by, where that is a measure."""


class Top(NamedTuple):
    """The first ones."""

    entries: list[Entry]
    values: int
    """How many there are."""
    complete: bool
    left_out: bool
    """Some windows or periods had groups that were not published."""


def top(reading: Reading, asked: TopQuestion) -> Top:
    """Raises Unanswerable."""
    if asked.by not in reading.groups.fields():
        groups_of(reading, {asked.by: None})
    counting = cover(reading, asked.span, sketched=False)
    sums, left_out = _sums(reading, asked, counting)
    order = sorted(sums, key=lambda value: (-_most(sums[value], asked), str(value)))
    sketched = cover(reading, asked.span, sketched=True) if has_sketches(reading) else None
    entries: list[Entry] = []
    for begin in range(0, len(order), _AT_ONCE):
        if len(entries) >= asked.n and _rank(entries[asked.n - 1], asked) >= _most(sums[order[begin]], asked):
            break
        for value in order[begin : begin + _AT_ONCE]:
            one = sums[value]
            users = _users(reading, one, counting, sketched)
            entries.append(Entry(value, users, one.records, whole(_come_to(one.parts, asked.how))))
        entries.sort(key=lambda entry: (-_rank(entry, asked), str(entry.value)))
    return Top(entries[: asked.n], len(order), counting.complete, left_out)


def _come_to(parts: Iterable[Part], how: How) -> float | None:
    """None where there is no value."""
    numbers = [number for number, _ in parts]
    if not numbers:
        return None
    if how == "mean":
        return sum(numbers) / sum(records for _, records in parts)
    if how == "sum":
        return sum(numbers)
    return min(numbers) if how == "min" else max(numbers)


def _most(sums: _Sums, asked: TopQuestion) -> float:
    """What it can come to at most in the order: it has no more users than all its counts together."""
    if asked.order == "users":
        return sums.users
    return sums.records if asked.order == "records" else _or_least(_come_to(sums.parts, asked.how))


def _rank(entry: Entry, asked: TopQuestion) -> float:
    """What it does come to."""
    if asked.order == "users":
        return entry.users.high if entry.users.users is None else entry.users.users
    return entry.records if asked.order == "records" else _or_least(entry.number)


def _or_least(number: float | None) -> float:
    return -inf if number is None else number


def _users(reading: Reading, sums: _Sums, counting: Cover, sketched: Cover | None) -> Users:
    if not sums.counted:
        return Users(None, 0, 0, False, counting.complete, counting.partial, sums.rows)
    if sums.rows == 1 and not sums.approximate:
        return Users(sums.users, sums.users, sums.users, True, counting.complete, counting.partial, 1)
    if sketched is not None:
        return estimated(theta.union(sketches_of(reading, sketched, sums.groups)), [sketched])
    return Users(None, sums.most, sums.users, False, counting.complete, counting.partial, sums.rows)


def _sums(reading: Reading, asked: TopQuestion, counting: Cover) -> tuple[dict[str | None, _Sums], bool]:
    """By value, and whether there are groups that were not published."""
    groups = set(groups_of(reading, asked.group)) if asked.group else None
    calendars = {calendar.number: calendar for calendar in reading.layout.calendars.values()}
    found: dict[str | None, _Sums] = {}
    left_out = False
    for number, starts in counting.by_calendar().items():
        rows = _rows(reading, calendars[number], starts, asked)
        left_out |= _left_out(reading, calendars[number], starts, sum(row.rows for row in rows))
        for row in rows:
            value = reading.groups[row.group].published.get(asked.by)
            if (groups is None or row.group in groups) and asked.find.casefold() in (value or "").casefold():
                _add(found.setdefault(value, _Sums()), row, asked)
    return found, left_out


def _add(sums: _Sums, row: "_Row", asked: TopQuestion) -> None:
    if row.users is None and asked.order == "users":
        raise Unanswerable(NO_USERS + " Order by records.")
    sums.groups.append(row.group)
    sums.rows += row.rows
    sums.records += row.records
    sums.users += row.users or 0
    sums.most = max(sums.most, row.most or 0)
    sums.counted = row.users is not None
    sums.approximate |= bool(row.approximate)
    if row.measured is not None and row.of_records:
        sums.parts.append((row.measured, row.of_records))


class _Row(NamedTuple):
    """Windows or periods of one group."""

    group: int
    rows: int
    records: int
    users: int | None
    most: int | None
    approximate: int
    measured: float | None
    of_records: int | None
    """Of which there is a measure."""


def _rows(reading: Reading, calendar: Calendar, starts: list[int], asked: TopQuestion) -> list[_Row]:
    columns, measured = ["ts", "grp", "records", "cnt", "flags"], "NULL, NULL"
    if asked.order not in ORDERS:
        column = number_column(calendar, asked.order)
        columns.append(column)
        measured = f"{MEASURED[asked.how]}, sum(records) FILTER ({{0}} IS NOT NULL)".format(column)
    source = reading.source(calendar, min(starts), max(starts) + 1, ", ".join(columns), f"grp > {ALL_USERS}")
    rows = reading.rows_of(
        starts,
        f"SELECT grp, count(*), sum(records), sum(cnt), max(cnt), max(flags & {APPROXIMATE}), {measured}"
        f" FROM {source} SEMI JOIN starts USING (ts) GROUP BY grp",
    )
    return [_Row(*row) for row in rows]


def _left_out(reading: Reading, calendar: Calendar, starts: list[int], rows: int) -> bool:
    source = reading.source(calendar, min(starts), max(starts) + 1, "ts, groups, flags", f"grp = {ALL_USERS}")
    ((groups, dropped),) = reading.rows_of(
        starts, f"SELECT sum(groups), max(flags & {DROPPED}) FROM {source} SEMI JOIN starts USING (ts)"
    )
    return bool(dropped) or (groups or 0) > rows
