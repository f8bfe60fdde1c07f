"""The questions that can be asked: their paths and parameters, and what makes answers of their values."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Final, NamedTuple

from streamagg.serve.api.parameters import (
    CALENDAR,
    CURSOR,
    EXPLAIN,
    FROM,
    GROUP,
    GROUP_PARAMETER,
    MEASURE,
    TO,
    TZ,
    Parameter,
    Values,
    bad,
    cursor_text,
    one_of,
    whole_number,
)
from streamagg.serve.questions.asked import Span, Unanswerable
from streamagg.serve.questions.retention import MOST_COHORTS, RetentionQuestion, retention
from streamagg.serve.questions.series import SeriesQuestion, series
from streamagg.serve.questions.top import MEASURED, ORDERS, TopQuestion, top
from streamagg.serve.questions.users import Crowd, UsersQuestion, users
from streamagg.serve.questions.windows import WindowsQuestion, windows
from streamagg.serve.records import WINDOW
from streamagg.serve.store.reading import Reading
from streamagg.serve.theta import CONFIDENCE
from streamagg.serve.times import Moment, iso, moment, seconds

MOST_ROWS: Final = 10_000
"""Of one answer."""


class Result(NamedTuple):
    """An answer: as JSON has it, and its rows for CSV and Arrow."""

    body: Mapping[str, Any]
    rows: list[dict[str, Any]]
    span: Span
    closed: bool = False
    """The range was given by its times, and not as a distance from what is freshest."""
    following: str | None = None
    """The cursor of the next page."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One question."""

    path: str
    summary: str
    parameters: tuple[Parameter, ...]
    answer: Callable[[Reading, Values], Result]
    """Raises Problem and Unanswerable."""
    tabular: bool = True
    """There is CSV and Arrow of it."""


class Asked(NamedTuple):
    """A range."""

    span: Span
    closed: bool


def span_of(reading: Reading, values: Values) -> Asked:
    """Raises Problem for a range that is none, Unanswerable while there is no window to count back from."""
    zone = values.get("tz", UTC)
    given = {name: _moment(name, values[name], zone) for name in ("from", "to") if name in values}
    begin, end = given["from"], given.get("to", Moment(0, relative=True))
    return Asked(_range(reading, begin, end), not end.relative)


def _range(reading: Reading, begin: Moment, end: Moment) -> Span:
    to_ms = end.from_end(_freshest_end(reading)) if end.relative else end.ms
    from_ms = begin.from_end(to_ms)
    if from_ms >= to_ms:
        raise bad("from must be before to; a duration back such as -7d is counted from there.")
    return Span(from_ms, to_ms)


def _moment(name: str, text: str, zone: Any) -> Moment:
    try:
        return moment(text, zone)
    except ValueError as error:
        raise bad(f"{name} = {text[:80]!a} must be {error}.") from None


def _freshest_end(reading: Reading) -> int:
    extent = reading.extents.get(WINDOW)
    if extent is None:
        raise Unanswerable("No window is stored yet: there is nothing to count back from.")
    return extent.end_ms


def _timed(record: dict[str, Any], zone: Any) -> dict[str, Any]:
    """With the time by the clock of the zone that was asked for."""
    return record if zone is None else {**record, "time": iso(round(record["ts"] * 1_000), zone)}


def _windows(reading: Reading, values: Values) -> Result:
    asked = span_of(reading, values)
    page = windows(
        reading,
        WindowsQuestion(
            asked.span,
            values.get("calendar", WINDOW),
            values.get(GROUP, {}),
            values.get("groups") == "all",
            values.get("order", "asc"),
            values.get("limit", 1_000),
            values.get("cursor"),
        ),
    )
    rows = [_timed(record, values.get("tz")) for record in page.records]
    following = None if page.last is None else cursor_text(page.last)
    return Result({"windows": rows, "next": following}, rows, *asked, following)


def _series(reading: Reading, values: Values) -> Result:
    asked = span_of(reading, values)
    question = SeriesQuestion(
        asked.span,
        values.get("points", 1_000),
        values.get("calendar", WINDOW),
        values.get(GROUP, {}),
        values.get("measure", ()),
        values.get("how", "last"),
    )
    found = series(reading, question)
    # Most share their times: these are made once.
    times = {id(column): list(map(seconds, column)) for column in found.times_ms.values()}
    numbers: dict[str, dict[str, list[Any]]] = {
        name: {"ts": times[id(found.times_ms[name])], "values": column}
        for name, column in found.values.items()
    }
    body = {
        "from": seconds(asked.span.from_ms),
        "to": seconds(asked.span.to_ms),
        "calendar": question.calendar,
        "how": question.how,
        "group": question.group or None,
        "series": numbers,
    }
    return Result(body, _samples(numbers, question.how), *asked)


def _samples(numbers: Mapping[str, Mapping[str, list[Any]]], how: str) -> list[dict[str, Any]]:
    """A row for each sample; with times of their own for each sample of each number."""
    if how == "lttb":
        return [
            {"measure": name, "ts": ts, "value": value}
            for name, column in numbers.items()
            for ts, value in zip(column["ts"], column["values"], strict=True)
        ]
    times = next(iter(numbers.values()))["ts"]
    rows = zip(times, *(column["values"] for column in numbers.values()), strict=True)
    return [dict(zip(("ts", *numbers), row, strict=True)) for row in rows]


def _crowd(reading: Reading, text: str, values: Values, base: Crowd) -> Crowd:
    """What ``and`` or ``not`` says: a range, fields of a group, or both. Raises Problem."""
    zone = values.get("tz", UTC)
    span, group = base.span, dict[str, str | None]()
    for part in text.split(";"):
        name, equals, value = part.partition("=")
        if name.startswith("group.") and equals:
            group[name.removeprefix("group.")] = value
        elif "/" in part and span is base.span:
            begin, _, end = part.partition("/")
            span = _range(reading, _moment("and or not", begin, zone), _moment("and or not", end, zone))
        else:
            raise bad(
                f"and or not = {text[:80]!a} must be FROM/TO, group.NAME=VALUE, or several joined by ;."
            )
    return Crowd(span, group or base.group)


def _users(reading: Reading, values: Values) -> Result:
    asked = span_of(reading, values)
    crowd = Crowd(asked.span, values.get(GROUP, {}))
    also, without = (
        [_crowd(reading, text, values, crowd) for text in values.get(name, ())] for name in ("and", "not")
    )
    found = users(reading, UsersQuestion(crowd, also, without))
    body = {**_about(asked.span), "group": crowd.group or None, **found.published}
    closed = asked.closed and all(text.strip()[:1] != "-" and "/-" not in text for text in _operands(values))
    return Result(body, [body], asked.span, closed)


def _operands(values: Values) -> list[str]:
    return [*values.get("and", ()), *values.get("not", ())]


def _about(span: Span) -> dict[str, Any]:
    return {"from": seconds(span.from_ms), "to": seconds(span.to_ms), "confidence": CONFIDENCE}


def _retention(reading: Reading, values: Values) -> Result:
    asked = span_of(reading, values)
    question = RetentionQuestion(
        asked.span,
        values.get("cohort", "week"),
        values.get("periods", 8),
        values.get(GROUP, {}),
        values.get("tz", UTC),
    )
    rows = retention(reading, question)
    cohorts = [
        {
            "from": seconds(row.span.from_ms),
            "to": seconds(row.span.to_ms),
            "retained": [one.published for one in row.retained],
        }
        for row in rows
    ]
    flat = [
        {"ts": seconds(row.span.from_ms), "period": number, **one.published}
        for row in rows
        for number, one in enumerate(row.retained)
    ]
    body = {
        **_about(asked.span),
        "cohort": question.cohort,
        "group": question.group or None,
        "cohorts": cohorts,
    }
    # Later periods than those of the range are looked at.
    return Result(body, flat, asked.span)


def _top(reading: Reading, values: Values) -> Result:
    asked = span_of(reading, values)
    question = TopQuestion(
        asked.span,
        values["by"],
        values.get(GROUP, {}),
        values.get("n", 20),
        values.get("order", "users"),
        values.get("how", "sum"),
        values.get("find", ""),
    )
    found = top(reading, question)
    numbers = [
        {"records": entry.records, **entry.users.published}
        | ({} if question.order in ORDERS else {"number": entry.number})
        for entry in found.entries
    ]
    valued = list(zip([entry.value for entry in found.entries], numbers, strict=True))
    rows = [{question.by: value, **more} for value, more in valued]
    entries = [{"value": value, **more} for value, more in valued]
    body = {
        **_about(asked.span),
        "by": question.by,
        "order": question.order,
        "top": entries,
        "values": found.values,
        "complete": found.complete,
        "groups_left_out": found.left_out,
    }
    return Result(body, rows, *asked)


WINDOWS: Final = Endpoint(
    "/v1/windows",
    "What was published, page by page.",
    (
        FROM,
        TO,
        TZ,
        CALENDAR,
        GROUP_PARAMETER,
        Parameter(
            "groups",
            "all: the records of each group instead of those of all users together.",
            {"type": "string", "enum": ["all"]},
            one_of("all"),
        ),
        Parameter(
            "order",
            "asc, by default, or desc: the freshest first.",
            {"type": "string", "enum": ["asc", "desc"], "default": "asc"},
            one_of("asc", "desc"),
        ),
        Parameter(
            "limit",
            "Most records of a page.",
            {"type": "integer", "minimum": 1, "maximum": MOST_ROWS, "default": 1_000},
            whole_number(1, MOST_ROWS),
        ),
        CURSOR,
        EXPLAIN,
    ),
    _windows,
)
SERIES: Final = Endpoint(
    "/v1/series",
    "Numbers of one group as samples at the ends of equally long periods.",
    (
        FROM,
        TO,
        TZ,
        CALENDAR,
        GROUP_PARAMETER,
        MEASURE,
        Parameter(
            "points",
            "How many samples.",
            {"type": "integer", "minimum": 1, "maximum": MOST_ROWS, "default": 1_000},
            whole_number(1, MOST_ROWS),
        ),
        Parameter(
            "how",
            "What a sample is of the windows that begin in its period: the last, mean, min or max. lttb"
            " chooses windows instead, so that a line through them looks like one through all.",
            {"type": "string", "enum": ["last", "mean", "min", "max", "lttb"], "default": "last"},
            one_of("last", "mean", "min", "max", "lttb"),
        ),
        EXPLAIN,
    ),
    _series,
)

_CROWD: Final = (
    "a range FROM/TO, fields of a group such as group.country=DE, or both joined by ;. What is not given is"
    " that of the question."
)
USERS: Final = Endpoint(
    "/v1/users",
    "Unique users of any range and group, exact or between bounds.",
    (
        FROM,
        TO,
        TZ,
        GROUP_PARAMETER,
        Parameter("and", f"Only users who are also there: {_CROWD}", {"type": "string"}, str, repeated=True),
        Parameter("not", f"Only users who are not there: {_CROWD}", {"type": "string"}, str, repeated=True),
        EXPLAIN,
    ),
    _users,
)
RETENTION: Final = Endpoint(
    "/v1/retention",
    "Of the users who came first in a period, how many came again in the following ones.",
    (
        FROM,
        TO,
        TZ,
        GROUP_PARAMETER,
        Parameter(
            "cohort",
            "How long periods are, by the clock of tz: day, week or month.",
            {"type": "string", "enum": ["day", "week", "month"], "default": "week"},
            one_of("day", "week", "month"),
        ),
        Parameter(
            "periods",
            "How many are looked at, the one in which users came first among them.",
            {"type": "integer", "minimum": 1, "maximum": MOST_COHORTS, "default": 8},
            whole_number(1, MOST_COHORTS),
        ),
        EXPLAIN,
    ),
    _retention,
)
TOP: Final = Endpoint(
    "/v1/top",
    "The values of a field of groups with the most users, or the most of another number.",
    (
        FROM,
        TO,
        TZ,
        Parameter(
            "by", "The field of groups whose values are ranked.", {"type": "string"}, str, required=True
        ),
        GROUP_PARAMETER,
        Parameter(
            "n",
            "How many.",
            {"type": "integer", "minimum": 1, "maximum": MOST_ROWS, "default": 20},
            whole_number(1, MOST_ROWS),
        ),
        Parameter(
            "order",
            "The largest first: of users, by default, of records, or of the measure of that name.",
            {"type": "string", "default": "users"},
            str,
        ),
        Parameter(
            "how",
            "What a measure of several windows and groups comes to: sum, min, max, or mean, to which each"
            " contributes as many times as it has records.",
            {"type": "string", "enum": list(MEASURED), "default": "sum"},
            one_of(*MEASURED),
        ),
        Parameter(
            "find",
            "Only values in which this text stands, in whatever capitals.",
            {"type": "string"},
            str,
        ),
        EXPLAIN,
    ),
    _top,
)
ENDPOINTS: Final = (WINDOWS, SERIES, USERS, RETENTION, TOP)
