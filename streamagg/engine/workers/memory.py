"""Giving back memory that a burst of records, or clients that are gone, have left behind."""

import ctypes
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any, Final

_EVERY_S: Final = 60.0
"""Meanwhile kilobytes accumulate ("Traps" in docs/design.md); oftener would cost milliseconds each time."""
_LIBC: Final[Any] = ctypes.CDLL(None)


@contextmanager
def collected_rarely() -> Iterator[None]:
    """Inside, what refers to itself is collected by ``Tidiness`` alone.

    Little on the hot path makes cycles, and a collection visits every parked block and fetched message each
    time: it took a third of the coordinator's CPU in a backlog of 64 sparse partitions.
    """
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


class Tidiness:
    """Of one process; once a minute takes some milliseconds."""

    def __init__(self) -> None:
        self._next_s = monotonic() + _EVERY_S

    def keep(self) -> None:
        """To be called again and again."""
        if monotonic() >= self._next_s:
            self._next_s = monotonic() + _EVERY_S
            give_back()


def give_back() -> None:
    """Collect what refers to itself, and return free memory to the system where the C library can (glibc).

    It would otherwise be kept for each thread, and grow with the worst that has happened so far.
    """
    gc.collect()
    trim = getattr(_LIBC, "malloc_trim", None)
    if trim is not None:
        trim(0)
