"""Does a quantity grow? A line through noisy points that single jumps do not turn."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

CONFIDENCE: Final = 0.99
NOISE: Final = 0.01
"""Share of the level: less than this, from the first point to the last, is no growth."""
FEWEST: Final = 5
"""Points that are needed for a slope with an interval."""

Point = tuple[float, float]
"""Time in minutes, value."""


@dataclass(frozen=True, slots=True)
class Trend:
    """Of one quantity; slopes are for an hour, in the unit of the values."""

    level: float
    """Median."""
    slope: float
    least: float
    most: float
    """Ends of the interval that holds the true slope with ``CONFIDENCE``."""
    span_hours: float

    @property
    def grows(self) -> bool:
        """The whole interval lies above zero, and what it comes to is more than noise."""
        return self.least > 0 and self.slope * self.span_hours > NOISE * self.level


def trend(points: Sequence[Point]) -> Trend:
    """Median of the slopes of all pairs of points (Theil 1950), with Sen's interval (1968).

    Times must differ. Raises ValueError for less than ``FEWEST`` points.
    """
    if len(points) < FEWEST:
        raise ValueError(f"a trend needs {FEWEST} points, there are {len(points)}")
    slopes = sorted(
        60 * (after[1] - before[1]) / (after[0] - before[0]) for before, after in combinations(points, 2)
    )
    values = [value for _, value in points]
    # The rank of a slope among all: as often above as below the true one, so far as chance allows.
    spread = statistics.NormalDist().inv_cdf((1 + CONFIDENCE) / 2) * math.sqrt(_kendall_variance(values))
    first = max(0, math.floor((len(slopes) - spread) / 2) - 1)
    last = min(len(slopes) - 1, math.ceil((len(slopes) + spread) / 2))
    return Trend(
        level=statistics.median(values),
        slope=statistics.median(slopes),
        least=slopes[first],
        most=slopes[last],
        span_hours=(points[-1][0] - points[0][0]) / 60,
    )


def _kendall_variance(values: Sequence[float]) -> float:
    """Of Kendall's S when nothing but chance orders the values; equal ones make it smaller."""
    ties = (values.count(value) for value in set(values))
    return (_term(len(values)) - sum(map(_term, ties))) / 18


def _term(number: int) -> int:
    return number * (number - 1) * (2 * number + 5)
