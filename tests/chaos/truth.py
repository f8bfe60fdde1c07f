"""What must come out: plain sets, one record at a time."""

import threading
from collections import Counter, defaultdict
from dataclasses import dataclass

from streamagg.model.settings import WindowSettings


@dataclass(frozen=True, slots=True)
class Count:
    """Of one window."""

    unique: int
    records: int


class Truth:
    """Takes the records of each partition in the order of the log.

    Times must not leap ahead by more than max jump; nothing here sets records aside.
    """

    def __init__(self, window: WindowSettings, partitions: int) -> None:
        self._granularity_ms = window.granularity_ms
        self._reach_ms = window.granularity_ms + window.max_lag_ms
        self._partitions = partitions
        self._lock = threading.Lock()
        self._clocks: dict[int, int] = {}
        self._users: dict[int, set[int | str]] = defaultdict(set)
        self._records: Counter[int] = Counter()
        self._closed: dict[int, Count] = {}
        self.late = 0

    def add(self, partition: int, time_ms: int, user: int | str) -> None:
        """One more record of a partition."""
        start = time_ms // self._granularity_ms * self._granularity_ms
        with self._lock:
            clock = self._clocks.get(partition, time_ms)
            if start + self._reach_ms <= clock:
                self.late += 1
            else:
                self._users[start].add(user)
                self._records[start] += 1
            self._clocks[partition] = max(clock, time_ms)

    def settle(self) -> None:
        """Count the windows that no partition can add to any more, and forget their users."""
        with self._lock:
            if len(self._clocks) < self._partitions:
                return
            watermark = min(self._clocks.values())
            for start in [start for start in self._users if start + self._reach_ms <= watermark]:
                self._closed[start] = self._count(start)
                del self._users[start]

    def closed(self) -> dict[int, Count]:
        """Windows that must have come out, by their start in ms."""
        self.settle()
        return dict(self._closed)

    def open(self) -> dict[int, Count]:
        """Windows that may come out too, once silence has closed them."""
        with self._lock:
            return {start: self._count(start) for start in self._users}

    def _count(self, start: int) -> Count:
        return Count(len(self._users[start]), self._records[start])
