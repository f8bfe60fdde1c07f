"""Files of JSON lines as partitions: the offset of a record is the byte at which its line begins.

A plain file can be read from any byte on, so several unmarshallers share one. A compressed file or a
pipe is read from front to back by a single one, and bytes are counted after decompression.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from stat import S_ISREG
from typing import Final, NamedTuple, overload

import numpy as np

from streamagg.decode.formats import BYTE_ORDER_MARK, HEAD_BYTES, foreign_format, refusal
from streamagg.errors import CheckpointError, FileUnreadable, SettingsError, StreamaggError
from streamagg.model.batch import Batch, Identity, Standing
from streamagg.model.columns import Int64Column
from streamagg.model.measured import ClientNumbers
from streamagg.model.messages import Lease
from streamagg.sources.contract import UNKNOWN_END, At, Unit
from streamagg.sources.lines import GZIP_MAGIC, STDIN, ZSTD_MAGICS, LineFile

_ID_DIGITS: Final = 22
"""Of a SHA-256 in hexadecimal: 88 bits, and as many characters as the id of a topic has."""
READ_BYTES: Final = 2 << 20
"""Read at once, and scanned where it lies. Counting 418 MiB of records of 2.2 KB in one process took 2.9 CPU
seconds with 64 KiB, 1.4 with 256 KiB, 0.9 with this and 1.0 with 16 MiB."""
_SHORT_BYTES: Final = 800
"""Lines of 180, 374, 1,000 and 2,200 bytes are found in 71, 115, 304 and 865 ns each by comparing all bytes,
and in 225, 443, 262 and 448 by looking for newlines."""
WAIT_MS: Final = 20
"""How long a pipe is waited for before others have their turn."""


class Lines(Sequence[bytes | None]):
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
    def __getitem__(self, index: slice) -> "Lines": ...
    def __getitem__(self, index: int | slice) -> "bytes | Lines":
        if isinstance(index, slice):
            return Lines(self._block, self._starts[index], self._ends[index])
        return bytes(self._block[self._starts[index] : self._ends[index]])


class Chunk(NamedTuple):
    """Lines, the offset of each, shape ``(n,)``, and an offset before which no further line begins."""

    lines: Sequence[bytes | None]
    starts: Int64Column
    next: int


def plain_size(path: str) -> int | None:
    """Bytes of a plain regular file; None for a pipe, standard input or a compressed file.

    Raises SettingsError if the file cannot be read, or is of a format that is not.
    """
    if path == STDIN or not Path(path).is_file():
        return None
    try:
        with open(path, "rb") as file:
            head, size = file.read(HEAD_BYTES), file.seek(0, 2)
    except OSError as error:
        raise SettingsError(
            f"Cannot read {path}: {error.strerror}. Give a file of JSON lines, or -."
        ) from error
    if head.startswith((GZIP_MAGIC, *ZSTD_MAGICS)):
        return None
    if (form := foreign_format(head)) is not None:
        raise SettingsError(refusal(form, path))
    return size


class FileSource:
    """Finished files, each a partition; implements ``sources.contract.Source``."""

    unit: Unit = "bytes"
    repeatable = True
    marks = None
    hidden_by = "it is not written to its end"

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = paths
        self.name = ", ".join(paths)

    def partitions(self) -> int:
        """As many as files."""
        return len(self._paths)

    def identity(self) -> Identity:
        """A file that was changed is another one; what a stream was nobody knows."""
        stats = [None if path == STDIN else _stat(path) for path in self._paths]
        if not all(stat is not None and S_ISREG(stat.st_mode) for stat in stats):
            return Identity("", len(stats))
        known = [(s.st_dev, s.st_ino, s.st_size, s.st_mtime_ns) for s in stats if s is not None]
        return Identity(sha256(repr(known).encode()).hexdigest()[:_ID_DIGITS], len(stats))

    def confirm(self, expected: str) -> Identity:
        """Raises CheckpointError when a file was changed."""
        found = self.identity()
        if found.differs(expected):
            raise CheckpointError(f"{self.name} changed while it was read. Count it again.")
        return found

    def offsets(self, partitions: Iterable[int], at: At) -> dict[int, int]:
        """Lines have no timestamps: of those at a time or later, the first is the first of all."""
        return self.log_ends(partitions) if at == "latest" else dict.fromkeys(partitions, 0)

    def log_ends(self, partitions: Iterable[int]) -> dict[int, int]:
        """Bytes of each file; raises SettingsError for one that cannot be read."""
        sizes = {number: plain_size(self._paths[number]) for number in partitions}
        return {number: UNKNOWN_END if size is None else size for number, size in sizes.items()}

    def held(self, standing: Mapping[int, Standing]) -> dict[int, str]:
        """Files end where they end."""
        return {}

    def hold_timeout_ms(self) -> int:
        """Nothing is held up."""
        return 0

    def reader(self, max_record_bytes: int, numbers: ClientNumbers) -> "FileReader":
        """It has no client."""
        return FileReader(self._paths, max_record_bytes)


def _stat(path: str) -> os.stat_result:
    try:
        return os.stat(path)
    except OSError as error:
        raise FileUnreadable(f"Reading {path} failed: {error.strerror or error}.") from error


@dataclass(slots=True)
class _Reading:
    """The leases of one file, the first of which is being read."""

    leases: deque[Lease]
    chunks: Iterator[Chunk | None]
    """None when nothing has come in time."""
    position: int
    """How far batches have been handed out."""
    chunk: Chunk | None = None


class FileReader:
    """Hands out the lines of leases, in batches of one file each."""

    def __init__(self, paths: Sequence[str], max_record_bytes: int = 1 << 20) -> None:
        """``max_record_bytes``: one byte more is enough of a line that is too large."""
        self._paths = paths
        self._kept = max_record_bytes + 1
        self._trouble: StreamaggError | None = None
        self._sizes = [plain_size(path) for path in paths]
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
        """The next lines of every file that has a lease; what has come within the time-out, of a pipe.

        Raises FileUnreadable once for a file that cannot be read on, behind what was good; there it ends.
        """
        trouble, self._trouble = self._trouble, None
        if trouble is not None:
            raise trouble
        batches: list[Batch] = []
        for partition in list(self._readings):
            try:
                batch = self._batch(partition)
            except StreamaggError as error:
                if not batches:
                    raise
                self._trouble = error
                break
            if batch is not None:
                batches.append(batch)
        return batches

    def close(self) -> None:
        """Files close with their iterators."""
        self._readings.clear()
        self._open_streams.clear()

    def _begin(self, leases: deque[Lease]) -> _Reading:
        partition, start = leases[0].partition, leases[0].start
        path = self._paths[partition]
        size = self._sizes[partition]
        if size is not None:
            return _Reading(leases, _plain(path, size, start, self._kept), start)
        reading = self._open_streams.get(partition)
        if reading is None:
            reading = self._open_streams[partition] = _Reading(leases, _stream(path, self._kept), 0)
        reading.leases = leases
        return reading

    def _batch(self, partition: int) -> Batch | None:
        reading = self._readings[partition]
        lease = reading.leases[0]
        try:
            chunk = reading.chunk or next(reading.chunks)
        except StopIteration:
            return self._last(partition, lease, reading)
        if chunk is None:
            return None
        fit = int(np.searchsorted(chunk.starts, lease.stop))
        whole = fit == len(chunk.lines)
        reached = min(lease.stop, chunk.next if whole else lease.stop)
        reading.chunk = None if whole else Chunk(chunk.lines[fit:], chunk.starts[fit:], chunk.next)
        batch = batch_of(lease, reading.position, reached, chunk.lines[:fit], chunk.starts[:fit])
        reading.position = reached
        if reached == lease.stop:
            self._next_lease(partition, reading)
        return batch

    def _last(self, partition: int, lease: Lease, reading: _Reading) -> Batch:
        """The file is at its end: the lease is done, however far it goes, and so are those behind it."""
        del self._readings[partition]
        end = reading.position if self._sizes[partition] is None else lease.stop
        return batch_of(lease, reading.position, end, [], np.empty(0, np.int64), caught_up=True)

    def _next_lease(self, partition: int, reading: _Reading) -> None:
        done = reading.leases.popleft()
        if not reading.leases:
            del self._readings[partition]
        elif reading.leases[0].start != done.stop:
            self._readings[partition] = self._begin(reading.leases)


def batch_of(
    lease: Lease,
    first: int,
    end: int,
    lines: Sequence[bytes | None],
    starts: Int64Column,
    *,
    caught_up: bool = False,
    growing: bool = False,
) -> Batch:
    # Lines have no timestamps. That is said even where nobody asks, for a stream cannot be read again.
    none = np.full(len(lines), -1)
    return Batch(
        lease.id, lease.partition, first, end, end, caught_up, lines, starts, none, none, growing=growing
    )


def _plain(path: str, size: int, start: int, kept: int) -> Iterator[Chunk]:
    """Lines of a plain file that begin at ``start`` or behind it; blank ones are left out."""
    try:
        with open(path, "rb", buffering=0) as file:
            if start > 0 or file.read(len(BYTE_ORDER_MARK)) != BYTE_ORDER_MARK:
                file.seek(max(0, start - 1))
            for chunk in chunks(file.readinto, start, file.tell(), kept, skipping=start > 0):
                assert chunk is not None, "a file is there"
                yield chunk
            if file.tell() < size:
                raise FileUnreadable(f"{path} has become shorter while it was read. Count it again.")
    except OSError as error:
        raise FileUnreadable(f"Reading {path} failed: {error.strerror or error}.") from error


def _stream(path: str, kept: int) -> Iterator[Chunk | None]:
    """Lines of a pipe or a compressed file, from its front; None when none has come in time."""
    with LineFile(path) as file:
        yield from chunks(lambda room: file.readinto(room, WAIT_MS), 0, 0, kept, skipping=False)


def chunks(
    read: Callable[[memoryview], int | None],
    start: int,
    position: int,
    kept: int,
    *,
    skipping: bool,
    block_bytes: int | None = None,
) -> Iterator[Chunk | None]:
    """Lines that begin at ``start`` or behind it; ``read`` goes on at ``position``.

    ``skipping``: what stands before the first newline belongs to the lease before. ``block_bytes``: read at
    once, if not ``READ_BYTES``.

    Of a line no more is kept than ``kept`` bytes. Every byte is looked at once, and copied a few times at
    most: behind a newline there is a new block, and one that is full without any is doubled, or forgotten
    where the line is longer.
    """
    block_bytes = READ_BYTES if block_bytes is None else block_bytes
    block, filled, base = bytearray(block_bytes), 0, position
    # Later, ``skipping`` is what stands before the end of a line that was too large.
    # The first line begins before a byte order mark.
    line_at = start
    short = False
    while (size := read(memoryview(block)[filled:])) != 0:
        if size is None:
            yield None
            continue
        newlines = _newlines(block, filled, filled + size, short=short)
        short = len(newlines) * _SHORT_BYTES > size
        filled += size
        if len(newlines):
            yield _in_place(block, newlines, base, line_at, kept, skipping=skipping)
            skipping = False
            rest = block[int(newlines[-1]) + 1 : filled]
            base = line_at = base + filled - len(rest)
            block, filled = bytearray(max(block_bytes, 2 * len(rest))), len(rest)
            block[:filled] = rest
        if skipping or filled >= kept:
            lines = [] if skipping else [bytes(block[:kept])]
            base, filled, skipping = base + filled, 0, True
            yield Chunk(lines, np.full(len(lines), line_at, np.int64), base)
        elif filled == len(block):
            block += bytes(filled)
    if block[:filled].strip():
        yield Chunk([bytes(block[:filled])], np.array([line_at]), base + filled + 1)


def _newlines(block: bytearray, begin: int, end: int, *, short: bool) -> Int64Column:
    """Where they are. All bytes are compared if lines are ``short``; else one is looked for after another."""
    if short:
        return np.flatnonzero(np.frombuffer(block, np.uint8)[begin:end] == ord(b"\n")) + begin
    found = []
    at = block.find(b"\n", begin, end)
    while at >= 0:
        found.append(at)
        at = block.find(b"\n", at + 1, end)
    return np.array(found, np.int64)


def _in_place(
    block: bytearray, ends: Int64Column, base: int, line_at: int, kept: int, *, skipping: bool
) -> Chunk:
    """The lines that end at the newlines ``ends``, without the first if it is not ours, and without blanks.

    ``base`` is the offset of the block, ``line_at`` that of its first line.
    """
    following = base + int(ends[-1]) + 1
    starts = np.concatenate((np.zeros(1, np.int64), ends[:-1] + 1))
    offsets = starts + base
    offsets[0] = line_at
    # A blank line begins with a blank, or with its newline.
    suspects = np.flatnonzero(np.frombuffer(block, np.uint8)[starts] <= ord(" ")).tolist()
    left_out = [number for number in suspects if not _is_kept(block, starts[number], ends[number], kept)]
    if skipping:
        left_out.append(0)
    starts, ends, offsets = (np.delete(column, left_out) for column in (starts, ends, offsets))
    return Chunk(Lines(block, starts, ends), offsets, following)


def _is_kept(block: bytearray, start: int, end: int, kept: int) -> bool:
    """Whether a line is a record: one that is too large is, for of others like it not all bytes are seen."""
    return end - start >= kept or bool(block[start:end].strip())
