"""Files of JSON lines as partitions: the offset of a record is the byte at which its line begins.

A plain file can be read from any byte on, so several unmarshallers share one. A compressed file or a
pipe is read from front to back by a single one, and bytes are counted after decompression.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from streamagg.errors import SettingsError
from streamagg.lines import GZIP_MAGIC, STDIN, ZSTD_MAGIC, LineFile
from streamagg.records import Batch, Int64Column, Lease

READ_BYTES: Final = 2 << 20
STREAM_END: Final = 1 << 62
"""Where a stream is taken to end until its end is seen."""


class _Chunk(NamedTuple):
    """Lines, the offset of each, shape ``(n,)``, and where the line after the last one begins."""

    lines: list[bytes]
    starts: Int64Column
    next: int


def plain_size(path: str) -> int | None:
    """Bytes of a plain regular file; None for a pipe, standard input or a compressed file.

    Raises SettingsError if the file cannot be read.
    """
    if path == STDIN or not Path(path).is_file():
        return None
    try:
        with open(path, "rb") as file:
            head = file.read(len(ZSTD_MAGIC))
            return None if head.startswith((GZIP_MAGIC, ZSTD_MAGIC)) else file.seek(0, 2)
    except OSError as error:
        raise SettingsError(
            f"Cannot read {path}: {error.strerror}. Give a file of JSON lines, or -."
        ) from error


@dataclass(slots=True)
class _Reading:
    """The leases of one file, the first of which is being read."""

    leases: deque[Lease]
    chunks: Iterator[_Chunk]
    position: int
    """How far batches have been handed out."""
    chunk: _Chunk | None = None


class FileReader:
    """Hands out the lines of leases, in batches of one file each."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = paths
        self._streams = [plain_size(path) is None for path in paths]
        self._open_streams: dict[int, _Reading] = {}
        self._readings: dict[int, _Reading] = {}

    @property
    def busy(self) -> bool:
        """There is a lease to read."""
        return bool(self._readings)

    def add(self, lease: Lease) -> None:
        """Read a further lease; leases of a stream must follow one another."""
        reading = self._readings.get(lease.partition)
        if reading is not None:
            reading.leases.append(lease)
        else:
            self._readings[lease.partition] = self._begin(deque([lease]))

    def revoke(self, partition: int | None) -> None:
        """Forget the leases of a file, or all."""
        for number in [p for p in self._readings if partition is None or p == partition]:
            del self._readings[number]

    def poll(self, timeout_ms: int) -> list[Batch]:
        """The next lines of every file that has a lease; waits for a pipe as long as it takes."""
        return [self._batch(partition) for partition in list(self._readings)]

    def close(self) -> None:
        """Files close with their iterators."""
        self._readings.clear()
        self._open_streams.clear()

    def _begin(self, leases: deque[Lease]) -> _Reading:
        partition, start = leases[0].partition, leases[0].start
        path = self._paths[partition]
        if not self._streams[partition]:
            return _Reading(leases, _plain(path, start), start)
        reading = self._open_streams.get(partition)
        if reading is None:
            reading = self._open_streams[partition] = _Reading(leases, _stream(path), 0)
        reading.leases = leases
        return reading

    def _batch(self, partition: int) -> Batch:
        reading = self._readings[partition]
        lease = reading.leases[0]
        chunk = reading.chunk or next(reading.chunks, None)
        if chunk is None:
            return self._last(partition, lease, reading)
        fit = int(np.searchsorted(chunk.starts, lease.stop))
        whole = fit == len(chunk.lines)
        reached = min(lease.stop, chunk.next if whole else lease.stop)
        reading.chunk = None if whole else _Chunk(chunk.lines[fit:], chunk.starts[fit:], chunk.next)
        batch = _batch(lease, reading.position, reached, chunk.lines[:fit], chunk.starts[:fit])
        reading.position = reached
        if reached == lease.stop:
            self._next_lease(partition, reading)
        return batch

    def _last(self, partition: int, lease: Lease, reading: _Reading) -> Batch:
        """The file is at its end: the lease is done, however far it goes, and so are those behind it."""
        del self._readings[partition]
        end = reading.position if self._streams[partition] else lease.stop
        return _batch(lease, reading.position, end, [], np.empty(0, np.int64), caught_up=True)

    def _next_lease(self, partition: int, reading: _Reading) -> None:
        done = reading.leases.popleft()
        if not reading.leases:
            del self._readings[partition]
        elif reading.leases[0].start != done.stop:
            self._readings[partition] = self._begin(reading.leases)


def _batch(
    lease: Lease, first: int, end: int, lines: list[bytes], starts: Int64Column, *, caught_up: bool = False
) -> Batch:
    # Lines have no timestamps. That is said even where nobody asks, for a stream cannot be read again.
    return Batch(
        lease.id, lease.partition, first, end, end, caught_up, lines, starts, np.full(len(lines), -1)
    )


def _plain(path: str, start: int) -> Iterator[_Chunk]:
    """Lines of a plain file that begin at ``start`` or behind it; blank ones are left out."""
    with open(path, "rb", buffering=0) as file:
        file.seek(max(0, start - 1))
        position, begun = max(0, start - 1), b""
        # What stands before the first newline belongs to the lease before.
        skipping = start > 0
        while block := file.read(READ_BYTES):
            *lines, begun = (begun + block).split(b"\n")
            if skipping and lines:
                position += len(lines.pop(0)) + 1
                skipping = False
            if lines:
                chunk = _chunk(lines, position)
                position = chunk.next
                yield chunk
        if begun and not skipping:
            yield _chunk([begun], position)


def _stream(path: str) -> Iterator[_Chunk]:
    """Lines of a pipe or a compressed file, from its front."""
    position = 0
    with LineFile(path) as file:
        for lines in file:
            chunk = _chunk(lines, position)
            position = chunk.next
            yield chunk


def _chunk(lines: list[bytes], position: int) -> _Chunk:
    starts = np.fromiter(accumulate((len(line) + 1 for line in lines), initial=position), np.int64)
    following = int(starts[-1])
    blank = [number for number, line in enumerate(lines) if not line.strip()]
    if blank:
        lines = [line for line in lines if line.strip()]
    return _Chunk(lines, np.delete(starts[:-1], blank), following)
