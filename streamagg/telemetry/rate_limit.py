"""A cause that repeats itself must not bury the log: what is left out is counted, and reported."""

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Final, NamedTuple

MOST: Final = 10
"""Lines of one event in one period: enough to see a pattern, and one line in six seconds in the long run."""
PERIOD_S: Final = 60.0
"""A minute, like that of the summary line."""


class LeftOut(NamedTuple):
    """Lines that were not written."""

    event: str
    lines: int


@dataclass(slots=True)
class _Period:
    """Begins with the first line of an event."""

    ends_s: float
    admitted: int = 0
    left_out: int = 0


class Limiter:
    """Lets so many lines of each event through in a period."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        """``clock`` returns seconds."""
        self._clock = clock
        self._periods: dict[str, _Period] = {}

    def admits(self, event: str) -> bool:
        """Whether a line may be written; ``ended`` comes first."""
        period = self._periods.setdefault(event, _Period(self._clock() + PERIOD_S))
        if period.admitted < MOST:
            period.admitted += 1
            return True
        period.left_out += 1
        return False

    def ended(self, *, all_of_them: bool = False) -> list[LeftOut]:
        """What was left out in periods that are over, each reported once."""
        now_s = self._clock()
        over = [event for event, period in self._periods.items() if all_of_them or period.ends_s <= now_s]
        found = [LeftOut(event, self._periods.pop(event).left_out) for event in over]
        return [each for each in found if each.lines]

    def next_end_s(self) -> float | None:
        """How long until there is something to report; None if there will not be."""
        ends = [period.ends_s for period in self._periods.values() if period.left_out]
        return max(0.0, min(ends) - self._clock()) if ends else None
