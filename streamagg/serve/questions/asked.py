"""What questions have in common: a range, a calendar, groups; and why one cannot be answered."""

from collections.abc import Mapping
from dataclasses import dataclass

from streamagg.serve.records import WINDOW
from streamagg.serve.store.layout import ALL_USERS, Calendar
from streamagg.serve.store.reading import Reading

Wanted = Mapping[str, str | None]
"""Values of the fields of a group."""
NUMBERS = ("cnt", "records")
"""Of every record, beside its measures."""


class Unanswerable(Exception):
    """The question has no answer here; the text says why, and what would have one."""


@dataclass(frozen=True, slots=True)
class Span:
    """From a time on, up to another one, which is not part of it; windows are if they begin in it."""

    from_ms: int
    to_ms: int

    @property
    def length_ms(self) -> int:
        return self.to_ms - self.from_ms


def calendar_of(reading: Reading, name: str) -> Calendar:
    """Raises Unanswerable for one of which there is nothing; windows there may always be."""
    found = reading.layout.calendars.get(name)
    if found is None:
        known = ", ".join(sorted(reading.layout.calendars)) or "none yet"
        raise Unanswerable(f"There is no calendar {name} here; there are: {known}.")
    return found


def one_group(reading: Reading, wanted: Wanted) -> int | None:
    """Its number, that of all users where nothing is wanted; None where there is no such group.

    Raises Unanswerable if several fit.
    """
    if not wanted:
        return ALL_USERS
    found = groups_of(reading, wanted)
    if len(found) > 1:
        raise Unanswerable(
            f"{len(found):,} groups have these values: give one of each of"
            f" {', '.join(reading.groups.fields())}."
        )
    return found[0] if found else None


def groups_of(reading: Reading, wanted: Wanted) -> list[int]:
    """Numbers of the groups that have these values. Raises Unanswerable for a field that no group has."""
    fields = reading.groups.fields()
    for name in wanted:
        if name not in fields:
            known = f"; there are: {', '.join(fields)}" if fields else ": there are no groups"
            raise Unanswerable(f"Groups have no field {name}{known}.")
    return reading.groups.matching(wanted)


def number_column(calendar: Calendar, name: str) -> str:
    """The column of a number, as SQL. Raises Unanswerable where there is none of that name."""
    if name in NUMBERS:
        return name
    if name not in calendar.measures:
        raise Unanswerable(
            f"There is no measure {name} in {calendar.name}; there are:"
            f" {', '.join((*NUMBERS, *calendar.measures))}."
        )
    return calendar.column(name)


def whole(number: float | None) -> int | float | None:
    """As numbers are published: without a fraction where there is none."""
    if isinstance(number, float) and number.is_integer() and abs(number) < 2**63:
        return int(number)
    return number


def is_window(calendar: Calendar) -> bool:
    """Whether it is that of the windows."""
    return calendar.name == WINDOW
