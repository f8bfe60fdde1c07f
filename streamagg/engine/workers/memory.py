"""Giving memory back that a burst of records, or clients that are gone, have left behind."""

import ctypes
import gc
from time import monotonic
from typing import Any, Final

_EVERY_S: Final = 60.0
_LIBC: Final[Any] = ctypes.CDLL(None)


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

    It would else be kept, for every thread by itself, and grow with the worst that has happened so far.
    """
    gc.collect()
    trim = getattr(_LIBC, "malloc_trim", None)
    if trim is not None:
        trim(0)
