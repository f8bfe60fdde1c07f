"""``windows``: what was published, page by page."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from streamagg.serve.questions.asked import Span, Wanted, calendar_of, groups_of, is_window, whole
from streamagg.serve.records import APPROXIMATE, DROPPED, FORMAT_VERSION, PARTIAL, WINDOW
from streamagg.serve.store.layout import ALL_USERS, Calendar
from streamagg.serve.store.reading import Reading
from streamagg.serve.times import seconds

Order = Literal["asc", "desc"]


class Place(NamedTuple):
    """Of a record in the order of time and group."""

    ts_ms: int
    group: int


@dataclass(frozen=True, slots=True)
class WindowsQuestion:
    """Records of a calendar that begin in a range."""

    span: Span
    calendar: str = WINDOW
    group: Wanted = field(default_factory=dict)
    """Nothing: of all users."""
    every_group: bool = False
    order: Order = "asc"
    limit: int = 1_000
    after: Place | None = None
    """The last record of the page before."""


class Page(NamedTuple):
    """Records as they were published, and the place of the last one if there are more."""

    records: list[dict[str, Any]]
    last: Place | None


def windows(reading: Reading, asked: WindowsQuestion) -> Page:
    """Raises Unanswerable."""
    calendar = calendar_of(reading, asked.calendar)
    where = [_groups(reading, asked)]
    if asked.after is not None:
        sign = ">" if asked.order == "asc" else "<"
        where.append(
            f"(ts {sign} {asked.after.ts_ms} OR ts = {asked.after.ts_ms} AND grp {sign} {asked.after.group})"
        )
    source = reading.source(
        calendar, asked.span.from_ms, asked.span.to_ms, calendar.columns, " AND ".join(where)
    )
    rows = reading.rows(
        f"SELECT {calendar.columns} FROM {source} ORDER BY ts {asked.order}, grp {asked.order}"
        f" LIMIT {asked.limit + 1}"
    )
    shown = rows[: asked.limit]
    last = Place(shown[-1][1], shown[-1][0]) if len(rows) > asked.limit else None
    return Page([record(reading, calendar, row) for row in shown], last)


def _groups(reading: Reading, asked: WindowsQuestion) -> str:
    if asked.every_group and not asked.group:
        return f"grp > {ALL_USERS}"
    if not asked.group:
        return f"grp = {ALL_USERS}"
    numbers = groups_of(reading, asked.group)
    return f"grp IN ({', '.join(map(str, numbers))})" if numbers else "false"


def record(reading: Reading, calendar: Calendar, row: Sequence[Any]) -> dict[str, Any]:
    """A row of the store, with the columns of the calendar, as it was published."""
    group, ts_ms, span_ms, granularity_ms, count, records, flags, error, groups, *measures = row
    found: dict[str, Any] = {"ts": seconds(ts_ms)}
    if not is_window(calendar):
        found["calendar"] = calendar.name
        found["end"] = seconds(ts_ms + span_ms)
    if group != ALL_USERS:
        found["group"] = reading.groups[group].published
    if count is not None:
        found["cnt"] = count
    found["granularity"] = seconds(granularity_ms)
    found["records"] = records
    found["partial"] = bool(flags & PARTIAL)
    found["v"] = FORMAT_VERSION
    if flags & APPROXIMATE:
        found["approximate"] = True
        found["error"] = error
    if flags & DROPPED:
        found["groups_dropped"] = True
    elif groups is not None:
        found["groups"] = groups
    for name, value in zip(calendar.measures, measures, strict=True):
        found[name] = whole(value)
    return found
