"""Windows that are counted and wait to be published, with the empty ones between them."""

from collections import deque
from collections.abc import Callable, Iterable

from streamagg.model.results import WindowTable


class CountedWindows:
    """Hands windows out in order, some at a time: a gap of a year has half a million of a minute.

    ::

        window     3   4   5   6   7        3 is published, 7 is counted, at most 2 at a time
        taken         (4   5) (6   7)       the empty ones are made here
    """

    def __init__(self, *, empty: Callable[[int, bool], WindowTable] | None, most: int) -> None:
        """``empty`` makes a window without records, partial or not; ``most`` windows at a time."""
        self._empty = empty
        self._most = most
        self._waiting: deque[WindowTable] = deque()

    def __len__(self) -> int:
        """Windows that wait, without the empty ones."""
        return len(self._waiting)

    def windows(self) -> Iterable[int]:
        """Those that wait, without the empty ones."""
        return (table.window for table in self._waiting)

    def add(self, counts: Iterable[WindowTable]) -> None:
        """Windows in order, behind those that wait."""
        self._waiting.extend(counts)

    def take(self, after: int | None) -> tuple[WindowTable, ...]:
        """What comes next; ``after`` is the greatest window taken so far, None if there was none."""
        taken: list[WindowTable] = []
        while self._waiting and len(taken) < self._most:
            count = self._waiting[0]
            if self._empty is not None and after is not None:
                stop = min(count.window, after + 1 + self._most - len(taken))
                taken += [self._empty(window, count.partial) for window in range(after + 1, stop)]
                after = stop - 1
            if len(taken) < self._most:
                taken.append(self._waiting.popleft())
                after = count.window
        return tuple(taken)
