"""Directories of files in memory: what is written to the logs of the simulator, read by the real source."""

import io
import random
from collections.abc import Callable
from typing import BinaryIO, Final, cast

from streamagg.sources.directory.disk import Entries, Stat
from streamagg.sources.directory.source import DirectorySource
from tests.simulation.broker import Log, Record
from tests.simulation.scenario import Content

ROOT: Final = "/in"
DONE: Final = "/done"
_ROTATES: Final = 0.1
_NS: Final = 1_000_000


class _File:
    def __init__(self, inode: int, now_ms: int) -> None:
        self.content = bytearray()
        self.inode = inode
        self.changed_ms = now_ms

    def stat(self) -> Stat:
        return Stat(self.inode, len(self.content), self.changed_ms * _NS, self.changed_ms * _NS)


class SimTree:
    """Implements ``sources.directory.disk.Disk``."""

    def __init__(self, clock_ms: Callable[[], int]) -> None:
        self._clock_ms = clock_ms
        self._files: dict[str, _File] = {}
        self._changed_ms: dict[str, int] = {ROOT: 0}
        """Of directories."""
        self._inodes = 0

    def source(self, *, moves: bool) -> DirectorySource:
        """One instance's; ``moves``: files that are counted are moved away."""
        done = DONE if moves else None
        return DirectorySource(ROOT, 0, done, disk=self, clock_ms=self._clock_ms)

    def make(self, path: str) -> None:
        """An empty file."""
        self._inodes += 1
        self._files[path] = _File(self._inodes, self._clock_ms())
        directory = path.rpartition("/")[0]
        self._changed_ms |= dict.fromkeys((directory, ROOT), self._clock_ms())

    def write(self, path: str, line: bytes) -> None:
        """Append to a file."""
        file = self._files[path]
        file.content += line
        file.changed_ms = self._clock_ms()

    def stat(self, path: str) -> Stat | None:
        """Of a directory the number is that of its name."""
        if path in self._changed_ms:
            return Stat(hash(path) & 0xFFFF, 0, self._changed_ms[path] * _NS, self._changed_ms[path] * _NS)
        file = self._files.get(path)
        return None if file is None else file.stat()

    def entries(self, path: str) -> Entries | None:
        if path not in self._changed_ms:
            return None
        inside = {
            name.removeprefix(f"{path}/"): file
            for name, file in self._files.items()
            if name.startswith(f"{path}/")
        }
        files = {name: file.inode for name, file in inside.items() if "/" not in name}
        return Entries(files, sorted({name.partition("/")[0] for name in inside if "/" in name}))

    def open(self, path: str) -> tuple[BinaryIO, Stat] | None:
        """As it is now."""
        file = self._files.get(path)
        return None if file is None else (cast(BinaryIO, io.BytesIO(bytes(file.content))), file.stat())

    def move(self, path: str, to: str) -> bool:
        if to in self._files or path not in self._files:
            return False
        self._files[to] = self._files.pop(path)
        self._changed_ms[path.rpartition("/")[0]] = self._clock_ms()
        return True


class TreeLog(Log):
    """A directory as a log: what the offset of a line is follows from the lines before it."""

    def __init__(self, tree: SimTree, number: int, now_ms: int) -> None:
        super().__init__(0, 0, appended_ms=now_ms)
        self._tree = tree
        self._directory = f"{ROOT}/{number:03d}"
        self._number = 0
        self._tree.make(self._path)

    @property
    def _path(self) -> str:
        return f"{self._directory}/{self._number:05d}.jsonl"

    def append(self, content: Content, chance: random.Random, now_ms: int) -> None:
        """A line, maybe in another file."""
        if self.records and chance.random() < _ROTATES:
            self._number += 1
            self._tree.make(self._path)
            # What stands in for a newline at the end of the file before.
            self.end += 1
        line = b"null" if content.payload is None else content.payload
        self.records.append(Record(self.end, content))
        self._tree.write(self._path, line + b"\n")
        self.end += len(line) + 1
        self.appended_ms = now_ms
