"""What this process uses."""

import os
from functools import cache
from typing import Final

_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_MOST_TEXT: Final = 256


def rss_bytes() -> int:
    """Resident memory."""
    return int(os.pread(_statm(), _MOST_TEXT, 0).split()[1]) * _PAGE_BYTES


@cache
def _statm() -> int:
    """Kept open: a process without a descriptor to spare must not end for a statistic."""
    return os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
