"""Finds the directories of a tree, and what has changed in them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from streamagg.sources.directory.disk import Disk, Stat, below

Clock = Callable[[], int]
"""Milliseconds since the epoch."""

_COARSE_MS: Final = 2_100
"""What comes into a directory within so short a time may leave it with the time of its last change: file
systems keep ticks of some milliseconds, one of FAT two seconds."""
_REST: Final = 10
"""A directory is listed again when so many times as long has gone by as that took."""


@dataclass(slots=True)
class _Directory:
    """As it was listed last."""

    modified_ns: int
    listed_ms: int
    rest_until_ms: int
    directories: list[str]


class Tree:
    """A directory and all below it whose names do not begin with a dot."""

    def __init__(self, disk: Disk, root: str) -> None:
        self._disk = disk
        self._root = root
        self._known: dict[str, _Directory] = {}

    def forget(self) -> None:
        """List everything the next time."""
        self._known.clear()

    def changes(self, clock_ms: Clock) -> dict[str, dict[str, int]]:
        """Files of the directories that are new or have changed, inodes by name, by directory.

        A directory that is gone has none.
        """
        found: dict[str, dict[str, int]] = {}
        left = [""]
        before, self._known = self._known, {}
        while left:
            name = left.pop()
            listed = self._list(name, before.get(name), clock_ms)
            if listed is not None:
                found[name] = listed
            if name in self._known:
                left += [f"{name}/{child}".lstrip("/") for child in self._known[name].directories]
        return found | {name: {} for name in before.keys() - self._known.keys()}

    def _list(self, name: str, known: _Directory | None, clock_ms: Clock) -> dict[str, int] | None:
        path, began_ms = below(self._root, name), clock_ms()
        stat = self._disk.stat(path)
        if stat is None:
            return None
        if known is not None and (_is_same(known, stat) or began_ms < known.rest_until_ms):
            self._known[name] = known
            return None
        entries = self._disk.entries(path)
        if entries is None:
            return None
        ended_ms = clock_ms()
        rest = ended_ms + _REST * (ended_ms - began_ms)
        self._known[name] = _Directory(stat.modified_ns, began_ms, rest, entries.directories)
        return entries.files


def _is_same(known: _Directory, stat: Stat) -> bool:
    settled = known.listed_ms - stat.modified_ns // 1_000_000 > _COARSE_MS
    return settled and known.modified_ns == stat.modified_ns
