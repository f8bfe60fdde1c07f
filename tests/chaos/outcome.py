"""What was published against what must have been."""

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson
from rich.table import Table

from tests.chaos.truth import WINDOWS, Count, Truth

Published = Mapping[int, Sequence[Count]]
"""Every value of every window, by the window's start in ms."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of one comparison; ``examples`` says which windows, at most three. Periods are counted with them."""

    windows: int = 0
    wrong: int = 0
    doubled: int = 0
    lost: int = 0
    examples: tuple[str, ...] = ()

    def __add__(self, other: "Verdict") -> "Verdict":
        """Of both comparisons."""
        return Verdict(
            self.windows + other.windows,
            self.wrong + other.wrong,
            self.doubled + other.doubled,
            self.lost + other.lost,
            (*self.examples, *other.examples)[:3],
        )

    @property
    def good(self) -> bool:
        """Windows were checked, and each came out once with its value."""
        return self.windows > 0 and not (self.wrong or self.doubled or self.lost)


@dataclass(slots=True)
class Outcome:
    """One line of the table."""

    name: str
    title: str
    times: int = 0
    verdict: Verdict = Verdict()
    recoveries_s: list[float] = field(default_factory=list)
    """From the end of a fault until a window was out that was still open then."""
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Something was broken and checked, every value is right, and nothing else went wrong."""
        return self.verdict.good and self.times > 0 and not self.problems

    def as_json(self) -> dict[str, Any]:
        """For the file of results."""
        return asdict(self) | {"good": self.good}


def parse(records: Iterable[tuple[bytes, bytes]], calendar: str = WINDOWS) -> Published:
    """Of keys and values of the output topic the windows, or the periods of a calendar."""
    found: dict[int, list[Count]] = defaultdict(list)
    for key, value in records:
        *named, start = key.decode().split(" ")
        if named == ([calendar] if calendar else []):
            row = orjson.loads(value)
            found[round(float(start) * 1000)].append(Count(row["cnt"], row["records"]))
    return found


def compare_all(records: Sequence[tuple[bytes, bytes]], truth: Truth) -> Verdict:
    """Every value of every window and every period with the truth."""
    found = (compare(parse(records, one), truth, one) for one in truth.calendars)
    return sum(found, Verdict())


def compare(published: Published, truth: Truth, calendar: str = WINDOWS) -> Verdict:
    """Every value of every window, or of every period of a calendar, with the truth."""
    must = truth.closed(calendar)
    known = must | truth.open(calendar)
    kinds: Counter[str] = Counter()
    examples = []
    for start in sorted(must.keys() | published.keys()):
        values = published.get(start, [])
        kind = _fault(values, known.get(start))
        if kind:
            kinds[kind] += 1
            what = f"{calendar} {start}".lstrip()
            examples.append(f"{kind}: {what} ms published {values}, must be {known.get(start)}")
    windows = len(must.keys() | published.keys())
    return Verdict(windows, kinds["wrong"], kinds["doubled"], kinds["lost"], tuple(examples[:3]))


def _fault(values: Sequence[Count], right: Count | None) -> str:
    if not values:
        return "lost"
    if any(value != right for value in values):
        return "wrong"
    return "doubled" if len(values) > 1 else ""


def table(outcomes: Iterable[Outcome]) -> Table:
    """For the terminal."""
    shown = Table("fault", title="What was broken, and what came of it")
    for heading in ("times", "windows", "wrong", "doubled", "lost", "recovery s (median, most)", "took s"):
        shown.add_column(heading, justify="right")
    shown.add_column("result")
    for one in outcomes:
        verdict = one.verdict
        figures = (one.times, verdict.windows, verdict.wrong, verdict.doubled, verdict.lost)
        shown.add_row(
            one.title, *map(str, figures), recovery(one), f"{one.seconds:.0f}", "right" if one.good else "BAD"
        )
    return shown


def recovery(outcome: Outcome) -> str:
    """Median and greatest recovery."""
    times = outcome.recoveries_s
    return f"{statistics.median(times):.1f}, {max(times):.1f}" if times else "-"
