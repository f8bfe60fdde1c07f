"""Which window an event time falls into, and when a window closes."""

from typing import Final, TypeVar

import numpy as np

from streamagg.model.columns import BoolColumn, Int64Column
from streamagg.model.settings import WindowSettings

Times = TypeVar("Times", int, Int64Column)

FEW: Final = 8
"""Windows distinguished by comparing: a division of a column takes as long as ten comparisons."""


class Windows:
    """Tumbling windows ``[start, end)`` of equal length, numbered from the epoch plus an offset.

    Times are integer milliseconds, columns of them of shape ``(n,)``.
    """

    __slots__ = ("granularity_ms", "max_jump_ms", "max_lag_ms", "offset_ms")

    def __init__(self, settings: WindowSettings) -> None:
        self.granularity_ms = settings.granularity_ms
        self.offset_ms = settings.offset_ms
        self.max_lag_ms = settings.max_lag_ms
        self.max_jump_ms = settings.max_jump_ms

    def number(self, time_ms: Times) -> Times:
        """The number of the window that contains ``time_ms``."""
        return (time_ms - self.offset_ms) // self.granularity_ms

    def start_ms(self, window: int) -> int:
        """Where the window begins, inclusive."""
        return window * self.granularity_ms + self.offset_ms

    def closes_at_ms(self, window: int) -> int:
        """The watermark that closes the window: its end plus max lag."""
        return self.start_ms(window + 1) + self.max_lag_ms

    def last_closed(self, clock_ms: Times) -> Times:
        """The greatest window that is closed at ``clock_ms``; a record in it, or before it, is late."""
        return self.number(clock_ms - self.max_lag_ms) - 1

    def holds(self, window: int, times_ms: Int64Column) -> BoolColumn:
        """Which times fall into the window."""
        return (times_ms >= self.start_ms(window)) & (times_ms < self.start_ms(window + 1))

    def timely(self, times_ms: Int64Column, clocks_ms: Int64Column) -> BoolColumn:
        """Which records are not late, each by its clock; clocks are ascending, and n > 0."""
        # A record is late if its window lies before that of its clock less max lag.
        first = self.number(int(clocks_ms[0]) - self.max_lag_ms)
        last = self.number(int(clocks_ms[-1]) - self.max_lag_ms)
        if last - first >= FEW:
            return self.number(times_ms) > self.last_closed(clocks_ms)
        starts = [self.start_ms(window) for window in range(first, last + 1)]
        reached = np.searchsorted(clocks_ms, [start + self.max_lag_ms for start in starts[1:]])
        return times_ms >= np.repeat(starts, np.diff([0, *reached, len(times_ms)]))
