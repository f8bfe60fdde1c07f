"""``users``: unique users of any range and group; who came back, who is new, who is gone.

Exact where a published record says it, or where the union of sketches holds all users; else an estimate with
its bounds. Without sketches there are bounds only: no fewer users than in one window, no more than in all
together.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from streamagg.serve import theta
from streamagg.serve.questions.asked import Span, Unanswerable, Wanted, groups_of
from streamagg.serve.questions.cover import Cover, cover
from streamagg.serve.records import APPROXIMATE
from streamagg.serve.store.layout import ALL_USERS, Calendar
from streamagg.serve.store.reading import Reading

_NO_SKETCHES = (
    "There are no sketches here: run with --sketches TOPIC, and serve with --sketches of that topic, to"
    " unite, intersect or subtract ranges and groups."
)

NO_USERS = "No users are counted here (--user-field none): there are records and measures only."


@dataclass(frozen=True, slots=True)
class Crowd:
    """The users of a range, of one group, of several, or all of them."""

    span: Span
    group: Wanted = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UsersQuestion:
    """How many users are in one crowd, and in all of some others, and in none of yet others."""

    crowd: Crowd
    also: Sequence[Crowd] = ()
    without: Sequence[Crowd] = ()


@dataclass(frozen=True, slots=True)
class Users:
    """How many there are."""

    users: float | None
    """None where only bounds are known."""
    low: float
    high: float
    exact: bool
    complete: bool
    """All of the range is known."""
    partial: bool = False
    """Reading began inside one of its windows."""
    tiles: int = 0
    """Records or sketches that this was made of."""

    @property
    def published(self) -> dict[str, Any]:
        """As it is answered; whole users, bounds to the outside."""
        return {
            "users": None if self.users is None else round(self.users),
            "low": int(self.low),
            "high": int(-(-self.high // 1)),
            "exact": self.exact,
            "complete": self.complete,
            "partial": self.partial,
            "tiles": self.tiles,
        }


def users(reading: Reading, asked: UsersQuestion) -> Users:
    """Raises Unanswerable."""
    if not has_sketches(reading):
        if asked.also or asked.without:
            raise Unanswerable(_NO_SKETCHES)
        return _by_counts(reading, asked.crowd)
    others = [(crowd, theta.intersection) for crowd in asked.also]
    others += [(crowd, theta.difference) for crowd in asked.without]
    found = sketch_of(reading, asked.crowd)
    if (
        not others
        and len(found.cover.tiles) == 1
        and (counted := _counted(reading, asked.crowd, found.cover))
    ):
        return counted
    sketch, covers = found.sketch, [found.cover]
    for crowd, combine in others:
        other = sketch_of(reading, crowd)
        covers.append(other.cover)
        sketch = combine(sketch, other.sketch)
    return estimated(sketch, covers)


def estimated(sketch: theta.Sketch, covers: Sequence[Cover]) -> Users:
    """What a sketch says that was made of these."""
    found = theta.estimate(sketch)
    return Users(
        found.users,
        found.low,
        found.high,
        found.exact,
        all(one.complete for one in covers),
        any(one.partial for one in covers),
        sum(len(one.tiles) for one in covers),
    )


@dataclass(frozen=True, slots=True)
class Sketched:
    """A crowd as a sketch, and what it was made of."""

    sketch: theta.Sketch
    cover: Cover


def has_sketches(reading: Reading) -> bool:
    """Whether any came."""
    return bool(reading.rows("SELECT 1 FROM sketches LIMIT 1"))


def sketch_of(reading: Reading, crowd: Crowd) -> Sketched:
    """Raises Unanswerable for a field that groups do not have."""
    groups = groups_of(reading, crowd.group) if crowd.group else [ALL_USERS]
    covering = cover(reading, crowd.span, sketched=True)
    return Sketched(theta.union(sketches_of(reading, covering, groups)), covering)


def sketches_of(reading: Reading, covering: Cover, groups: Sequence[int]) -> list[theta.Sketch]:
    """All sketches of these groups in these tiles."""
    found: list[theta.Sketch] = []
    if not groups:
        return found
    wanted = ", ".join(map(str, groups))
    for number, starts in covering.by_calendar().items():
        where = f"calendar = {number} AND grp IN ({wanted}) AND ts IN ({', '.join(map(str, starts))})"
        try:
            sketches = reading.sketches(f"{where} AND ts BETWEEN {min(starts)} AND {max(starts)}")
        except FileNotFoundError:
            raise Unanswerable("What was asked for has just been deleted (--keep): ask again.") from None
        found += map(theta.read, sketches)
    return found


def _counted(reading: Reading, crowd: Crowd, covering: Cover) -> Users | None:
    """What the only record says; None where it says nothing, or where several groups would be added up."""
    groups = groups_of(reading, crowd.group) if crowd.group else [ALL_USERS]
    (tile,) = covering.tiles
    calendar = _calendar(reading, tile.calendar)
    if calendar is None or len(groups) > 1:
        return None
    where = f"grp IN ({', '.join(map(str, groups)) or -1})"
    source = reading.source(calendar, tile.ts_ms, tile.ts_ms + 1, "cnt, flags", where)
    rows = reading.rows(f"SELECT cnt, flags FROM {source}")
    count, flags = rows[0] if rows else (0, 0)
    if count is None:
        raise Unanswerable(NO_USERS)
    if flags & APPROXIMATE:
        return None
    return Users(count, count, count, True, covering.complete, covering.partial, 1)


def _calendar(reading: Reading, number: int) -> Calendar | None:
    return next((one for one in reading.layout.calendars.values() if one.number == number), None)


def _by_counts(reading: Reading, crowd: Crowd) -> Users:
    """What records alone say."""
    groups = groups_of(reading, crowd.group) if crowd.group else [ALL_USERS]
    covering = cover(reading, crowd.span, sketched=False)
    if len(covering.tiles) == 1 and (counted := _counted(reading, crowd, covering)):
        return counted
    counts: list[int] = []
    for number, starts in covering.by_calendar().items():
        calendar = _calendar(reading, number)
        assert calendar is not None
        where = f"grp IN ({', '.join(map(str, groups)) or -1})"
        source = reading.source(calendar, min(starts), max(starts) + 1, "ts, cnt", where)
        rows = reading.rows_of(starts, f"SELECT cnt FROM {source} SEMI JOIN starts USING (ts)")
        counts += [count for (count,) in rows]
    if None in counts:
        raise Unanswerable(NO_USERS)
    low, high = max(counts, default=0), sum(counts)
    known = low == high
    return Users(
        low if known else None, low, high, known, covering.complete, covering.partial, len(covering.tiles)
    )
