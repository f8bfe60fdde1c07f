"""What must come out: plain sets, one record at a time."""

import threading
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Final

from streamagg.model.settings import WindowSettings

WINDOWS: Final = ""
"""Where the name of a calendar stands otherwise."""


@dataclass(frozen=True, slots=True)
class Count:
    """Of one window, or period."""

    unique: int
    records: int


class _Spans:
    """Windows, or the periods of a calendar: all equally long."""

    def __init__(self, length_ms: int, max_lag_ms: int) -> None:
        self._length_ms = length_ms
        self._reach_ms = length_ms + max_lag_ms
        self._users: dict[int, set[int | str]] = defaultdict(set)
        self._records: Counter[int] = Counter()
        self._closed: dict[int, Count] = {}

    def add(self, time_ms: int, user: int | str) -> None:
        start = time_ms // self._length_ms * self._length_ms
        self._users[start].add(user)
        self._records[start] += 1

    def settle(self, watermark: int) -> None:
        for start in [start for start in self._users if start + self._reach_ms <= watermark]:
            self._closed[start] = self._count(start)
            del self._users[start]

    def closed(self) -> dict[int, Count]:
        return dict(self._closed)

    def open(self) -> dict[int, Count]:
        return {start: self._count(start) for start in self._users}

    def _count(self, start: int) -> Count:
        return Count(len(self._users[start]), self._records[start])


class Truth:
    """Takes the records of each partition in the order of the log.

    Times must not leap ahead by more than max jump; nothing here sets records aside.
    """

    def __init__(self, window: WindowSettings, partitions: int) -> None:
        """Calendars must have periods of a given length, from the epoch on."""
        self._granularity_ms = window.granularity_ms
        self._reach_ms = window.granularity_ms + window.max_lag_ms
        self._partitions = partitions
        self._lock = threading.Lock()
        self._clocks: dict[int, int] = {}
        lengths_ms = {WINDOWS: window.granularity_ms} | {one.name: one.length_ms for one in window.calendars}
        self._spans = {name: _Spans(length, window.max_lag_ms) for name, length in lengths_ms.items()}
        self.late = 0

    @property
    def calendars(self) -> tuple[str, ...]:
        """Names; the windows themselves are ``WINDOWS``."""
        return tuple(self._spans)

    def add(self, partition: int, time_ms: int, user: int | str) -> None:
        """One more record of a partition."""
        start = time_ms // self._granularity_ms * self._granularity_ms
        with self._lock:
            clock = self._clocks.get(partition, time_ms)
            if start + self._reach_ms <= clock:
                self.late += 1
            else:
                for spans in self._spans.values():
                    spans.add(time_ms, user)
            self._clocks[partition] = max(clock, time_ms)

    def settle(self) -> None:
        """Count what no partition can add to any more, and forget its users."""
        with self._lock:
            if len(self._clocks) < self._partitions:
                return
            watermark = min(self._clocks.values())
            for spans in self._spans.values():
                spans.settle(watermark)

    def closed(self, calendar: str = WINDOWS) -> dict[int, Count]:
        """Windows, or periods, that must have come out, by their start in ms."""
        self.settle()
        return self._spans[calendar].closed()

    def open(self, calendar: str = WINDOWS) -> dict[int, Count]:
        """Those that may come out too, once silence has closed them."""
        with self._lock:
            return self._spans[calendar].open()
