"""Which window an event time falls into, and when a window closes."""

from typing import TypeVar

from streamagg.records import Int64Column
from streamagg.settings import WindowSettings

Times = TypeVar("Times", int, Int64Column)


class Windows:
    """Tumbling windows ``[start, end)`` of equal length, numbered from the epoch plus an offset.

    Every method takes a single time or a whole column, in integer milliseconds.
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

    def fewest_slots(self) -> int:
        """How many slots the ring needs at least, so that the slowest partition always finds one."""
        return -(-self.max_lag_ms // self.granularity_ms) + 2
