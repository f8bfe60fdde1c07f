"""``top``: the groups of a range with the most users, or the most records."""

from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from streamagg.serve import theta
from streamagg.serve.questions.asked import Span, Unanswerable, Wanted, groups_of
from streamagg.serve.questions.cover import Cover, cover
from streamagg.serve.questions.users import NO_USERS, Users, estimated, has_sketches, sketches_of
from streamagg.serve.records import APPROXIMATE, DROPPED
from streamagg.serve.store.layout import ALL_USERS, Calendar
from streamagg.serve.store.reading import Reading

By = Literal["users", "records"]
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
    order: By = "users"


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


class Entry(NamedTuple):
    """One value."""

    value: str | None
    users: Users
    records: int


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
    order = sorted(sums, key=lambda value: (-getattr(sums[value], asked.order), str(value)))
    sketched = cover(reading, asked.span, sketched=True) if has_sketches(reading) else None
    entries: list[Entry] = []
    for begin in range(0, len(order), _AT_ONCE):
        if _is_enough(entries, asked, sums[order[begin]]):
            break
        part = order[begin : begin + _AT_ONCE]
        entries += [
            Entry(value, _users(reading, sums[value], counting, sketched), sums[value].records)
            for value in part
        ]
        entries.sort(key=lambda entry: (-_rank(entry, asked.order), str(entry.value)))
    return Top(entries[: asked.n], len(order), counting.complete, left_out)


def _rank(entry: Entry, order: By) -> float:
    if order == "records":
        return entry.records
    return entry.users.high if entry.users.users is None else entry.users.users


def _is_enough(entries: list[Entry], asked: TopQuestion, following: _Sums) -> bool:
    """No value that is left can be among the first: none has more users than all its counts together."""
    return len(entries) >= asked.n and _rank(entries[asked.n - 1], asked.order) >= getattr(
        following, asked.order
    )


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
        rows = _rows(reading, calendars[number], starts)
        left_out |= _left_out(reading, calendars[number], starts, sum(row[1] for row in rows))
        for group, count, records, users, most, approximate in rows:
            if groups is not None and group not in groups:
                continue
            value = reading.groups[group].published.get(asked.by)
            sums = found.setdefault(value, _Sums())
            sums.groups.append(group)
            sums.rows += count
            sums.records += records
            if users is None and asked.order == "users":
                raise Unanswerable(NO_USERS + " Order by records.")
            sums.users += users or 0
            sums.most = max(sums.most, most or 0)
            sums.counted = users is not None
            sums.approximate |= bool(approximate)
    return found, left_out


def _rows(
    reading: Reading, calendar: Calendar, starts: list[int]
) -> list[tuple[int, int, int, int, int, int]]:
    columns = "ts, grp, records, cnt, flags"
    source = reading.source(calendar, min(starts), max(starts) + 1, columns, f"grp > {ALL_USERS}")
    return reading.rows(
        f"SELECT grp, count(*), sum(records), sum(cnt), max(cnt), max(flags & {APPROXIMATE}) FROM {source}"
        f" WHERE ts IN ({', '.join(map(str, starts))}) GROUP BY grp"
    )


def _left_out(reading: Reading, calendar: Calendar, starts: list[int], rows: int) -> bool:
    source = reading.source(calendar, min(starts), max(starts) + 1, "ts, groups, flags", f"grp = {ALL_USERS}")
    within = f"ts IN ({', '.join(map(str, starts))})"
    ((groups, dropped),) = reading.rows(
        f"SELECT sum(groups), max(flags & {DROPPED}) FROM {source} WHERE {within}"
    )
    return bool(dropped) or (groups or 0) > rows
