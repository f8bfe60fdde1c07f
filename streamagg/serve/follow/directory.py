"""The files of an output directory (docs/directory.md): JSON lines, as far as its manifest says.

Of each day it is remembered which file has been read, and to which byte; what was read stays as it is.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from time import sleep
from typing import Any, Final, NamedTuple

import orjson

from streamagg.errors import FileUnreadable
from streamagg.events import Log
from streamagg.serve.follow.contract import Delivery
from streamagg.serve.store.store import Position

MANIFEST: Final = "manifest.json"
FORMAT_VERSION: Final = 1
"""``v`` of the manifests that are understood."""
MOST_BYTES: Final = 4 << 20
"""Taken at once, and the line that ends behind it."""
_COMMIT: Final = "commit"
log = Log(__name__)


class _File(NamedTuple):
    """What of a file counts."""

    path: str
    bytes: int
    records: int


class _Read(NamedTuple):
    """Up to where a day has been read."""

    path: str
    bytes: int


class DirectoryFollowed:
    """Implements ``Followed``."""

    def __init__(self, directory: str, positions: Mapping[Position, str]) -> None:
        """``positions``: of the store. Raises FileUnreadable."""
        self._root = Path(directory)
        self._place = f"dir:{directory}"
        self._seen: tuple[int, ...] = ()
        self._days: dict[str, list[_File]] = {}
        own = {part: text for (place, part), text in positions.items() if place == self._place}
        self._commit = int(own.pop(_COMMIT, "0"))
        self._read = {day: _position(text) for day, text in own.items()}
        self._look()

    @property
    def behind(self) -> int:
        """About as many lines as the unread bytes hold."""
        return sum(-(-file.records * (file.bytes - at) // file.bytes) for _, file, at in self._unread())

    def poll(self, timeout_ms: int) -> Delivery:
        """Raises FileUnreadable."""
        self._look()
        day, file, at = next(self._unread(), (None, None, 0))
        if day is None or file is None:
            sleep(timeout_ms / 1_000)
            return Delivery()
        lines = self._lines(file, at)
        self._read[day] = _Read(file.path, at + sum(map(len, lines)))
        positions = {(self._place, day): f"{file.path}@{self._read[day].bytes}"}
        positions[self._place, _COMMIT] = str(self._commit)
        whole = next(self._unread(), None) is None
        return Delivery([line.rstrip(b"\n") for line in lines], whole=whole, positions=positions)

    def close(self) -> None:
        """Nothing is held."""

    def _look(self) -> None:
        """Take the manifest, if it is another one."""
        path = self._root / MANIFEST
        try:
            stat = path.stat()
            seen = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
            if seen == self._seen:
                return
            manifest = orjson.loads(path.read_bytes())
            days = {day: [*map(_file, files["jsonl"])] for day, files in sorted(manifest["days"].items())}
            version, commit = manifest["v"], int(manifest["commit"])
        except OSError as error:
            raise FileUnreadable(f"{path} cannot be read: {error.strerror}.") from error
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise FileUnreadable(f"{path} is no manifest of an output directory.") from error
        if version != FORMAT_VERSION:
            raise FileUnreadable(f"{path} was written by a later version: update streamagg.")
        if commit < self._commit:
            log.warning(
                "directory_anew",
                "{directory} was made anew: it is read from its beginning",
                directory=self._root,
            )
            self._read.clear()
        self._days, self._commit, self._seen = days, commit, seen

    def _unread(self) -> Iterator[tuple[str, _File, int]]:
        """Days and files that have more, in order, and from which byte on."""
        for day, files in self._days.items():
            read = self._read.get(day)
            paths = [file.path for file in files]
            # Where the file that was read is not there any more, the day is another one.
            first = paths.index(read.path) if read is not None and read.path in paths else 0
            for number, file in enumerate(files[first:], first):
                at = read.bytes if read is not None and number == first and file.path == read.path else 0
                if at < file.bytes:
                    yield day, file, at

    def _lines(self, file: _File, at: int) -> list[bytes]:
        """Whole lines from a byte on, some megabytes of them."""
        path = self._root / file.path
        try:
            with path.open("rb") as opened:
                opened.seek(at)
                lines = opened.readlines(min(MOST_BYTES, file.bytes - at))
        except OSError as error:
            raise FileUnreadable(f"{path} cannot be read: {error.strerror}.") from error
        return [*_within(lines, file.bytes - at)]


def _within(lines: list[bytes], size: int) -> Iterator[bytes]:
    """Of lines those that count."""
    for line in lines:
        size -= len(line)
        if size < 0:
            return
        yield line


def _file(entry: dict[str, Any]) -> _File:
    return _File(str(entry["path"]), int(entry["bytes"]), int(entry["records"]))


def _position(text: str) -> _Read:
    path, _, at = text.rpartition("@")
    return _Read(path, int(at))
