"""What a long run came to: which faults, which counts, and what grew."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from rich.table import Table

from tests.chaos.outcome import Verdict
from tests.soak.growth import FEWEST, Point, Trend, trend
from tests.soak.samples import Sample, Usage

UNJUDGED: Final = {"broker"}
"""Shown, and not ours to judge."""
MEGABYTE: Final = 1e6


@dataclass(frozen=True, slots=True)
class Hit:
    """One time that something was broken."""

    minute: float
    name: str
    title: str
    times: int
    recoveries_s: tuple[float, ...]
    """From the end of each fault to the next window at the output."""


@dataclass(frozen=True, slots=True)
class Line:
    """One quantity of one role."""

    role: str
    quantity: str
    trend: Trend

    @property
    def judged(self) -> bool:
        """Growth of it is a failure."""
        return self.role not in UNJUDGED


@dataclass(slots=True)
class SoakResult:
    """Everything that is known at the end."""

    hits: list[Hit]
    verdict: Verdict
    lines: list[Line]
    samples: list[Sample]
    problems: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Things were broken, every window is right, nothing grew and nothing else went wrong."""
        grew = any(line.judged and line.trend.grows for line in self.lines)
        return self.verdict.good and bool(self.hits) and not (grew or self.problems)

    def as_json(self) -> dict[str, Any]:
        """For the file of results."""
        lines = [
            {"role": line.role, "quantity": line.quantity, "judged": line.judged}
            | asdict(line.trend)
            | {"grows": line.trend.grows}
            for line in self.lines
        ]
        return asdict(self) | {"lines": lines, "good": self.good}


def lines_of(samples: Sequence[Sample]) -> tuple[list[Line], list[str]]:
    """Trends over the second half of the samples, and what could not be judged."""
    half = samples[len(samples) // 2 :]
    lines: list[Line] = []
    problems: list[str] = []
    for role in sorted({role for sample in samples for role in sample.usage}):
        for quantity, of in QUANTITIES.items():
            points = [(each.minute, of(each.usage[role])) for each in half if role in each.usage]
            _add(role, quantity, points, lines, problems)
    lags = [(each.minute, float(each.lag_records)) for each in half if each.lag_records is not None]
    _add("all partitions", "lag, records", lags, lines, problems)
    return lines, problems


QUANTITIES: Final[dict[str, Callable[[Usage], float]]] = {
    "memory, MB": lambda usage: usage.resident_bytes / MEGABYTE,
    "open files": lambda usage: float(usage.descriptors),
}


def _add(role: str, quantity: str, points: Sequence[Point], lines: list[Line], problems: list[str]) -> None:
    if len(points) >= FEWEST:
        lines.append(Line(role, quantity, trend(points)))
    elif role not in UNJUDGED:
        problems.append(f"{role}, {quantity}: {len(points)} samples are too few to judge")


def table(lines: Iterable[Line]) -> Table:
    """For the terminal."""
    shown = Table("role", "quantity", title="Second half: what grows")
    for heading in ("median", "an hour", "99 % interval"):
        shown.add_column(heading, justify="right")
    shown.add_column("result")
    for line in lines:
        found = line.trend
        interval = f"{found.least:+.2f} to {found.most:+.2f}"
        shown.add_row(
            *(line.role, line.quantity, f"{found.level:.1f}", f"{found.slope:+.2f}", interval),
            "not judged" if not line.judged else "GROWS" if found.grows else "steady",
        )
    return shown
