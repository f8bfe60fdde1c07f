"""``retention``: of the users who came for the first time in a period, how many came again in the following
ones.

A user counts in the first period of the range in which they were there::

    users of    week 1   week 2   week 3
    week 1      120      51       40        of those who came in week 1
    week 2               80       33        of those who came in week 2, and not in week 1
    week 3                        71
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final, Literal, NamedTuple

from streamagg.serve import theta
from streamagg.serve.questions.asked import Span, Unanswerable, Wanted
from streamagg.serve.questions.users import Crowd, Users, estimated, has_sketches, sketch_of
from streamagg.serve.records import WINDOW
from streamagg.serve.store.reading import Reading

Cohort = Literal["day", "week", "month"]
MOST_COHORTS: Final = 60


@dataclass(frozen=True, slots=True)
class RetentionQuestion:
    """Users of periods by the clock of a time zone."""

    span: Span
    cohort: Cohort = "week"
    periods: int = 8
    """That are looked at, the one in which users came first among them."""
    group: Wanted = field(default_factory=dict)
    zone: tzinfo = UTC


class Row(NamedTuple):
    """Users who came first in one period."""

    span: Span
    retained: list[Users]
    """How many of them were there in that period, in the next, and so on, as far as there are windows."""


def retention(reading: Reading, asked: RetentionQuestion) -> list[Row]:
    """Raises Unanswerable."""
    if not has_sketches(reading):
        raise Unanswerable(
            "Retention needs sketches: run with --sketches TOPIC, and serve with --sketches of that topic."
        )
    known = reading.extents.get(WINDOW)
    if known is None:
        return []
    cohorts = list(periods_of(asked.span, asked.cohort, asked.zone))
    if len(cohorts) > MOST_COHORTS:
        raise Unanswerable(f"There are at most {MOST_COHORTS} cohorts in an answer: ask for a shorter range.")
    later = list(
        periods_of(Span(cohorts[-1].to_ms, cohorts[-1].to_ms + 1), asked.cohort, asked.zone, asked.periods)
    )
    spans = [span for span in [*cohorts, *later] if span.from_ms < known.end_ms]
    found = [sketch_of(reading, Crowd(span, asked.group)) for span in spans]
    rows, before = [], theta.EMPTY
    for number, span in enumerate(spans[: len(cohorts)]):
        new = theta.difference(found[number].sketch, before)
        following = found[number : number + asked.periods]
        retained = [
            estimated(theta.intersection(new, one.sketch), [found[number].cover, one.cover])
            for one in following
        ]
        rows.append(Row(span, retained))
        before = theta.union([before, found[number].sketch])
    return rows


def periods_of(span: Span, cohort: Cohort, zone: tzinfo, least: int = 0) -> Iterator[Span]:
    """Those that hold a part of a range, and as many as ``least``."""
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    first = _first((epoch + timedelta(milliseconds=span.from_ms)).astimezone(zone).date(), cohort)
    count = 0
    while True:
        following = _next(first, cohort)
        found = Span(_begins_ms(first, zone), _begins_ms(following, zone))
        if found.from_ms >= span.to_ms and count >= least:
            return
        # A day that a zone has skipped has no length.
        if found.length_ms > 0:
            yield found
            count += 1
        first = following


def _begins_ms(day: date, zone: tzinfo) -> int:
    """When its clock reaches a date: where midnight comes twice the first time, where it is skipped behind
    that."""
    return round(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp() * 1_000)


def _first(day: date, cohort: Cohort) -> date:
    if cohort == "week":
        return day - timedelta(day.weekday())
    return day.replace(day=1) if cohort == "month" else day


def _next(first: date, cohort: Cohort) -> date:
    if cohort == "month":
        return (first + timedelta(31)).replace(day=1)
    return first + timedelta(7 if cohort == "week" else 1)
