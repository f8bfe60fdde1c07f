"""Giving back between sessions what the one before has used."""

import ctypes
import gc
from typing import Any, Final

_LIBC: Final[Any] = ctypes.CDLL(None)


def give_back() -> None:
    """Collect what refers to itself, and return free memory to the system where the C library can (glibc).

    Every session brings clients with threads of their own, and what those free would be kept for them.
    """
    gc.collect()
    trim = getattr(_LIBC, "malloc_trim", None)
    if trim is not None:
        trim(0)
