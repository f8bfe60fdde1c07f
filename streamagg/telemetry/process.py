"""What this process uses, and how much all of a run may."""

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_MOST_TEXT: Final = 256
"""Bytes: seven numbers of at most 20 digits."""
_UNLIMITED_BYTES: Final = 1 << 60
"""What version 1 of control groups shows without a limit is just below 1 << 63."""


def rss_bytes() -> int:
    """Resident memory."""
    return int(os.pread(_statm(), _MOST_TEXT, 0).split()[1]) * _PAGE_BYTES


@cache
def _statm() -> int:
    """Kept open: a process without a descriptor to spare must not end for a statistic."""
    return os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)


def memory_limit_bytes(
    groups: Path = Path("/proc/self/cgroup"), mounted: Path = Path("/sys/fs/cgroup")
) -> int | None:
    """The least limit of the control groups that this process is in, of version 1 or 2; None without one."""
    return min(_limits(groups, mounted), default=None)


def _limits(groups: Path, mounted: Path) -> Iterator[int]:
    for line in _text(groups).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            root, name = mounted, "memory.max"
        elif "memory" in controllers.split(","):
            root, name = mounted / "memory", "memory.limit_in_bytes"
        else:
            continue
        group = root / path.lstrip("/")
        # In a container the path may be one of the host, and what is mounted is then the group itself.
        for place in (group, *group.parents):
            limit = _text(place / name).strip()
            if limit.isdecimal() and int(limit) < _UNLIMITED_BYTES:
                yield int(limit)


def _text(path: Path) -> str:
    try:
        return path.read_text("ascii")
    except OSError:
        return ""
