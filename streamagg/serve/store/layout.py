"""What is in the file: tables, calendars, segments. A layout never changes; the next one takes its place.

For each calendar, windows included, there are two tables with the same columns::

    rows_N    segment 1            | segment 2            | ...    each sorted by group, then time
              min, max time known  | min, max time known
    tail_N    what has come since, in the order in which it came

A question about one group reads a few stretches of the segments whose time it touches, and the whole tail, if
it touches that. A tail that is long, or older than a day, becomes a segment; short segments of a day that are
long together become one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

COLUMNS: Final[Mapping[str, str]] = {
    "grp": "INTEGER",
    "ts": "BIGINT",
    "span": "BIGINT",
    "granularity": "BIGINT",
    "cnt": "BIGINT",
    "records": "BIGINT",
    "flags": "UTINYINT",
    "error": "DOUBLE",
    "groups": "BIGINT",
}
"""Of every row; a column for each measure follows."""
DAY_MS: Final = 86_400_000
UNION_LENGTHS_MS: Final[Mapping[int, int]] = {-1: 60_000, -2: 3_600_000, -3: 86_400_000}
"""Of the unions of sketches that the store makes itself (``unions``), by the number in the place of a
calendar's."""
ALL_USERS: Final = 0
"""The group of the rows of all users together."""
NEVER_MS: Final = 1 << 62
"""Behind all times."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Sorted rows, and the least and the greatest of their times."""

    number: int
    least_ms: int
    most_ms: int
    rows: int

    def touches(self, from_ms: int, to_ms: int) -> bool:
        """Whether a row may begin in the range, whose end is not part of it."""
        return self.least_ms < to_ms and from_ms <= self.most_ms


@dataclass(frozen=True, slots=True)
class Extent:
    """The times that a calendar has rows of."""

    oldest_ms: int
    """Start of the first."""
    freshest_ms: int
    """Start of the last."""
    end_ms: int
    """End of the last."""
    longest_ms: int
    """Of one of them."""


@dataclass(frozen=True, slots=True)
class Calendar:
    """Where the rows of a calendar are."""

    number: int
    name: str
    measures: tuple[str, ...] = ()
    segments: tuple[Segment, ...] = ()
    tail_from_ms: int = NEVER_MS
    """No row of the tail begins before; one that is being stored counts already."""

    @property
    def sorted_table(self) -> str:
        return f"rows_{self.number}"

    @property
    def tail_table(self) -> str:
        return f"tail_{self.number}"

    @property
    def columns(self) -> str:
        """Names of all columns, for SQL."""
        return ", ".join([*COLUMNS, *map(self.column, self.measures)])

    def column(self, measure: str) -> str:
        """Of a measure: its place, for SQL knows no capitals."""
        return f"m{self.measures.index(measure)}"

    def touched(self, from_ms: int, to_ms: int) -> list[Segment]:
        """The segments in which rows of the range may be."""
        return [segment for segment in self.segments if segment.touches(from_ms, to_ms)]


@dataclass(frozen=True, slots=True)
class Layout:
    """All calendars, by name."""

    version: int
    calendars: Mapping[str, Calendar] = field(default_factory=dict)

    def next(self, *changed: Calendar) -> "Layout":
        """With these in the place of those of their names."""
        return Layout(self.version + 1, {**self.calendars, **{one.name: one for one in changed}})

    def changed(self, calendar: Calendar) -> "Layout":
        """The same one, with this in the place of that of its name."""
        return Layout(self.version, {**self.calendars, calendar.name: calendar})

    def new_calendar(self, name: str) -> Calendar:
        """One that has no rows yet."""
        return Calendar(1 + max((one.number for one in self.calendars.values()), default=0), name)
