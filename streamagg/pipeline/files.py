"""Files of JSON lines as partitions: the offset of a record is the byte at which its line begins.

A plain file can be read from any byte on, so several unmarshallers share one. A compressed file or a
pipe is read from front to back by a single one, and bytes are counted after decompression.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Final, NamedTuple, overload

import numpy as np

from streamagg.errors import SettingsError
from streamagg.lines import GZIP_MAGIC, STDIN, ZSTD_MAGIC, LineFile
from streamagg.records import Batch, Int64Column, Lease

READ_BYTES: Final = 2 << 20
STREAM_END: Final = 1 << 62
"""Where a stream is taken to end until its end is seen."""


class _Lines(Sequence[bytes | None]):
    """Lines that stay in the block in which they were read; who asks for one gets a copy."""

    def __init__(self, block: bytearray, starts: Int64Column, ends: Int64Column) -> None:
        """``starts`` and ``ends``: where each line is in the block, of the same shape ``(n,)``."""
        self._block = block
        self._starts = starts
        self._ends = ends
        # An array over the block: while it lives, the block stays where it is.
        self._bytes = np.frombuffer(block, np.uint8)
        address = self._bytes.__array_interface__["data"][0]
        self.places = np.stack((starts + address, ends - starts), axis=1)
        """Address and size of each line, shape ``(n, 2)``, int64."""

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> "_Lines": ...
    def __getitem__(self, index: int | slice) -> "bytes | _Lines":
        if isinstance(index, slice):
            return _Lines(self._block, self._starts[index], self._ends[index])
        return bytes(self._block[self._starts[index] : self._ends[index]])


class _Chunk(NamedTuple):
    """Lines, the offset of each, shape ``(n,)``, and where the line after the last one begins."""

    lines: Sequence[bytes | None]
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
    lease: Lease,
    first: int,
    end: int,
    lines: Sequence[bytes | None],
    starts: Int64Column,
    *,
    caught_up: bool = False,
) -> Batch:
    # Lines have no timestamps. That is said even where nobody asks, for a stream cannot be read again.
    return Batch(
        lease.id, lease.partition, first, end, end, caught_up, lines, starts, np.full(len(lines), -1)
    )


def _plain(path: str, start: int) -> Iterator[_Chunk]:
    """Lines of a plain file that begin at ``start`` or behind it; blank ones are left out."""
    with open(path, "rb", buffering=0) as file:
        base, begun = max(0, start - 1), b""
        file.seek(base)
        # What stands before the first newline belongs to the lease before.
        skipping = start > 0
        while True:
            block = bytearray(len(begun) + READ_BYTES)
            block[: len(begun)] = begun
            size = len(begun) + file.readinto(memoryview(block)[len(begun) :])
            if size == len(begun):
                break
            newlines = _newlines(block, len(begun), size)
            if newlines:
                chunk = _in_place(block, newlines, base, skipping=skipping)
                skipping = False
                yield chunk
            complete = newlines[-1] + 1 if newlines else 0
            begun = bytes(memoryview(block)[complete:size])
            base += complete
        if begun and not skipping:
            yield _chunk([begun], base)


def _newlines(block: bytearray, begin: int, end: int) -> list[int]:
    found = []
    at = block.find(b"\n", begin, end)
    while at >= 0:
        found.append(at)
        at = block.find(b"\n", at + 1, end)
    return found


def _in_place(block: bytearray, newlines: list[int], base: int, *, skipping: bool) -> _Chunk:
    """The lines that end at ``newlines``, without the first if it is not ours, and without blank ones."""
    ends = np.array(newlines, np.int64)
    starts = np.concatenate((np.zeros(1, np.int64), ends[:-1] + 1))[int(skipping) :]
    ends = ends[int(skipping) :]
    # A blank line begins with a blank, or with its newline.
    suspects = np.flatnonzero(np.frombuffer(block, np.uint8)[starts] <= ord(" ")).tolist()
    blank = [number for number in suspects if not block[starts[number] : ends[number]].strip()]
    starts, ends = np.delete(starts, blank), np.delete(ends, blank)
    return _Chunk(_Lines(block, starts, ends), starts + base, base + newlines[-1] + 1)


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
