"""The bytes of sketches, in files of their own: DuckDB reads 2,000 of them, 64 MB, to give one.

A file has those of one calendar that begin within some days, one behind the other, as they came::

    sketches/1_1468195200000.bin    | sketch | sketch | sketch | ...

Bytes are on the disk before the transaction that refers to them is committed; what was written for one that
never came to be is not referred to. Files are never changed but at their ends, and deleted when all in them
is too old.
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from streamagg.errors import StreamaggError
from streamagg.serve.store.layout import DAY_MS

NAME: Final = "sketches"
_DAYS: Final = 8
"""Of a file."""


class StoreFull(StreamaggError):
    """There is no room to write; what is stored can be read."""


class Place(NamedTuple):
    """Where a sketch is in its file."""

    calendar: int
    ts_ms: int
    start: int
    size: int


class Blobs:
    """One thread writes, any may read."""

    def __init__(self, directory: Path) -> None:
        """``directory``: of the store."""
        self._directory = directory / NAME
        self._directory.mkdir(exist_ok=True)

    @property
    def size_bytes(self) -> int:
        """Of all files."""
        return sum(entry.stat().st_size for entry in os.scandir(self._directory))

    def append(self, sketches: Sequence[tuple[int, int, bytes]]) -> list[Place]:
        """Write sketches, each with the number of its calendar and its start. Raises StoreFull."""
        by_file: dict[Path, list[int]] = {}
        for number, (calendar, ts_ms, _) in enumerate(sketches):
            by_file.setdefault(self._file(calendar, ts_ms), []).append(number)
        starts: dict[int, int] = {}
        try:
            for path, numbers in by_file.items():
                with path.open("ab") as file:
                    at = file.tell()
                    for number in numbers:
                        starts[number] = at
                        at += file.write(sketches[number][2])
                    file.flush()
                    os.fsync(file.fileno())
        except OSError as error:
            raise StoreFull(f"Sketches cannot be written to {self._directory}: {error.strerror}.") from error
        return [
            Place(calendar, ts_ms, starts[number], len(sketch))
            for number, (calendar, ts_ms, sketch) in enumerate(sketches)
        ]

    def read(self, places: Iterable[Place]) -> list[bytes]:
        """Raises FileNotFoundError for what was deleted since it was looked up."""
        opened: dict[Path, int] = {}
        try:
            found = []
            for place in places:
                path = self._file(place.calendar, place.ts_ms)
                if path not in opened:
                    opened[path] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                found.append(os.pread(opened[path], place.size, place.start))
            return found
        finally:
            for descriptor in opened.values():
                os.close(descriptor)

    def remove(self, calendar: int, before_ms: int) -> None:
        """Delete the files of a calendar in which nothing begins at that time or later."""
        for path in self._directory.glob(f"{calendar}_*.bin"):
            if int(path.stem.rpartition("_")[2]) + _DAYS * DAY_MS <= before_ms:
                path.unlink()

    def _file(self, calendar: int, ts_ms: int) -> Path:
        begin_ms = ts_ms // (_DAYS * DAY_MS) * (_DAYS * DAY_MS)
        return self._directory / f"{calendar}_{begin_ms}.bin"
