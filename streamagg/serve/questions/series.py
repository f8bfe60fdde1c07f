"""``series``: numbers of one group at so many times, however many windows there are.

A range is cut into periods as long as each other, and each gets a sample of the windows that begin in it.
Where none does, that is the window before, if it lasts to the end of the period::

    windows   |--a--|--b--|--c--|     |--e--|
    periods   [          )[          )[          )    how=last: b, c, e
    periods   [  )[  )[  )[  )[  )[  )[  )[  )[  )    a, a, b, b, c, c, none, none, e
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

import numpy as np

from streamagg.serve.questions.asked import (
    NUMBERS,
    Span,
    Wanted,
    calendar_of,
    number_column,
    one_group,
)
from streamagg.serve.questions.triangles import largest_triangles
from streamagg.serve.records import WINDOW, Column
from streamagg.serve.store.layout import Calendar
from streamagg.serve.store.reading import Reading

How = Literal["last", "mean", "min", "max", "lttb"]
_SQL: Final = {"last": "max_by({}, ts)", "mean": "avg({})", "min": "min({})", "max": "max({})"}
_NUMPY: Final[dict[str, Callable[[Any], Any]]] = {
    "last": lambda values: values[-1],
    "mean": np.mean,
    "min": np.min,
    "max": np.max,
}


@dataclass(frozen=True, slots=True)
class SeriesQuestion:
    """Numbers of one group over a range."""

    span: Span
    points: int = 1_000
    calendar: str = WINDOW
    group: Wanted = field(default_factory=dict)
    measures: tuple[str, ...] = ()
    """None of them: users and records, and all measures."""
    how: How = "last"


@dataclass(frozen=True, slots=True)
class Series:
    """Samples of each number; None where there is none.

    ``times_ms`` are the ends of the periods. With ``lttb`` each number has times of its own, starts of
    windows.
    """

    times_ms: dict[str, list[int]]
    values: dict[str, list[int | float | None]]


def ends_of(span: Span, points: int) -> list[int]:
    """The end of each period in milliseconds, rounded up."""
    return [span.from_ms - (-number * span.length_ms) // points for number in range(1, points + 1)]


def series(reading: Reading, asked: SeriesQuestion) -> Series:
    """Raises Unanswerable."""
    calendar = calendar_of(reading, asked.calendar)
    group = one_group(reading, asked.group)
    names = asked.measures or (*NUMBERS, *calendar.measures)
    columns = [number_column(calendar, name) for name in names]
    if group is None:
        return _of(asked, names, [[None] * asked.points for _ in names])
    if asked.how == "lttb":
        return _triangles(reading, asked, calendar, group, names, columns)
    longest_ms = reading.longest_ms(calendar.name)
    if longest_ms * asked.points <= asked.span.length_ms:
        return _of(asked, names, _by_period(reading, asked, calendar, group, columns))
    rows = _rows(reading, asked, calendar, group, columns, longest_ms)
    return _of(asked, names, [_by_end(rows, column, asked) for column in rows.columns])


def _of(asked: SeriesQuestion, names: Sequence[str], samples: Sequence[list[Any]]) -> Series:
    ends = ends_of(asked.span, asked.points)
    return Series(dict.fromkeys(names, ends), dict(zip(names, samples, strict=True)))


def _by_period(
    reading: Reading, asked: SeriesQuestion, calendar: Calendar, group: int, columns: Sequence[str]
) -> list[list[Any]]:
    """Samples of windows that are no longer than the periods."""
    span, points = asked.span, asked.points
    needed = ", ".join(["ts", *dict.fromkeys(columns)])
    source = reading.source(calendar, span.from_ms, span.to_ms, needed, f"grp = {group}")
    samples = ", ".join(_SQL[asked.how].format(column) for column in columns)
    found = reading.arrays(
        f"SELECT ((ts - {span.from_ms}) * {points}) // {span.length_ms} AS period, {samples}"
        f" FROM {source} GROUP BY period"
    )
    period, *numbers = found.values()
    return [_placed(period, column, points) for column in numbers]


def _placed(places: Column, column: Column, points: int) -> list[Any]:
    """None where there is no number."""
    samples = np.ma.masked_all(points, column.dtype)  # type: ignore[no-untyped-call]
    samples[places] = column
    found: list[Any] = samples.tolist()
    return found


class _Rows(NamedTuple):
    """Windows of a group in order of time; a column of each number."""

    starts: Column
    ends: Column
    columns: list[Column]


def _rows(
    reading: Reading,
    asked: SeriesQuestion,
    calendar: Calendar,
    group: int,
    columns: Sequence[str],
    back_ms: int,
) -> _Rows:
    """Those that begin in the range, or so long before."""
    named = {f"n{place}": column for place, column in enumerate(columns)}
    wanted = ", ".join(["ts", "span", *(f"{column}::DOUBLE AS {name}" for name, column in named.items())])
    source = reading.source(
        calendar, asked.span.from_ms - back_ms, asked.span.to_ms, wanted, f"grp = {group}"
    )
    found = reading.arrays(f"SELECT * FROM {source} ORDER BY ts")
    return _Rows(found["ts"], found["ts"] + found["span"], [np.ma.asarray(found[name]) for name in named])


def _by_end(rows: _Rows, column: Column, asked: SeriesQuestion) -> list[Any]:
    """Samples of windows that may be longer than the periods."""
    ends = np.array(ends_of(asked.span, asked.points))
    behind = np.searchsorted(rows.starts, ends)
    first = np.searchsorted(rows.starts, np.concatenate([[asked.span.from_ms], ends[:-1]]))
    aggregate = _NUMPY[asked.how]
    samples: list[Any] = []
    for begin, end, time in zip(first.tolist(), behind.tolist(), ends.tolist(), strict=True):
        if begin == end and end and rows.ends[end - 1] >= time:
            begin = end - 1
        values = np.ma.compressed(column[begin:end])
        samples.append(aggregate(values).item() if len(values) else None)
    return samples


def _triangles(
    reading: Reading,
    asked: SeriesQuestion,
    calendar: Calendar,
    group: int,
    names: Sequence[str],
    columns: Sequence[str],
) -> Series:
    """The windows that show best what a line through all of them looks like."""
    rows = _rows(reading, asked, calendar, group, columns, 0)
    times: dict[str, list[int]] = {}
    values: dict[str, list[int | float | None]] = {}
    for name, column in zip(names, rows.columns, strict=True):
        there = ~np.ma.getmaskarray(column)
        starts, numbers = rows.starts[there], np.ma.getdata(column)[there]
        chosen = largest_triangles(starts, numbers, asked.points)
        times[name] = starts[chosen].tolist()
        values[name] = numbers[chosen].tolist()
    return Series(times, values)
