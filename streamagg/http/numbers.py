"""Numbers that several processes add to and any of them can show, in memory that they share.

::

    row of process 0   key 0 | key 1 | key 2 | …       float64 each
    row of process 1   key 0 | key 1 | key 2 | …

A process writes its own row only, so that nothing has to be locked; a process that takes the place of a dead
one goes on with its row, so that no count is lost.
"""

import mmap
import os
from collections.abc import Hashable, Sequence
from typing import Final

_CELL_BYTES: Final = 8


class SharedNumbers:
    """Numbers by key."""

    def __init__(
        self, keys: Sequence[Hashable], processes: int, process: int = 0, descriptor: int | None = None
    ) -> None:
        """``process``: whose row this one adds to. ``descriptor``: of the memory of another process."""
        self._places = {key: place for place, key in enumerate(keys)}
        size = len(keys) * processes * _CELL_BYTES
        if descriptor is None:
            descriptor = os.memfd_create("streamagg-numbers")
            os.ftruncate(descriptor, size)
        self.descriptor = descriptor
        self._cells = memoryview(mmap.mmap(descriptor, size)).cast("d")
        self._row = process * len(keys)

    def add(self, key: Hashable, value: float = 1.0) -> None:
        """Add to the number of this process."""
        self._cells[self._row + self._places[key]] += value

    def set(self, key: Hashable, value: float) -> None:
        """What this process has now."""
        self._cells[self._row + self._places[key]] = value

    def of(self, key: Hashable, process: int) -> float:
        """Of one process."""
        return self._cells[process * len(self._places) + self._places[key]]

    def total(self, key: Hashable) -> float:
        """Of all processes."""
        return sum(self._cells[self._places[key] :: len(self._places)])
