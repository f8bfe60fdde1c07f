"""How often workers may be replaced."""

from collections import deque
from typing import Final

_PERIOD_S: Final = 600.0
"""``--max-restarts`` counts deaths within ten minutes."""
_MOST_EXCUSES: Final = 60
"""Deaths excused within a period. More of them show a bad decoder, which must not lose the whole log."""


class RestartLimit:
    """Deaths within the last ten minutes, without those that are the fault of records."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._deaths: deque[float] = deque()
        self._excuses: deque[float] = deque()

    def spend(self, now_s: float) -> int:
        """Note a death; returns how many there were before it."""
        _forget(self._deaths, now_s)
        self._deaths.append(now_s)
        return len(self._deaths) - 1

    def excuse(self, deaths: int, now_s: float) -> None:
        """Take back the last deaths, unless there were too many excuses already."""
        _forget(self._excuses, now_s)
        for _ in range(min(deaths, len(self._deaths), _MOST_EXCUSES - len(self._excuses))):
            self._excuses.append(self._deaths.pop())

    @property
    def exceeded(self) -> bool:
        """There were more deaths than allowed."""
        return len(self._deaths) > self._most


def _forget(times: deque[float], now_s: float) -> None:
    while times and now_s - times[0] > _PERIOD_S:
        times.popleft()
