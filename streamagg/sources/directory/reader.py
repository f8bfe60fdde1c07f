"""Reads leases of logs of files: only what the lease names, and in the order of its offsets."""

from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final, cast

import numpy as np

from streamagg.decode.formats import BYTE_ORDER_MARK, HEAD_BYTES, foreign_format
from streamagg.errors import FileUnreadable, SettingsError
from streamagg.model.batch import Batch
from streamagg.model.measured import ClientNumbers
from streamagg.model.messages import Lease
from streamagg.sources.directory.csv_chunks import Content, csv_chunks
from streamagg.sources.directory.csv_rows import BadHeader
from streamagg.sources.directory.disk import Disk, Stat, below
from streamagg.sources.directory.forms import form_of
from streamagg.sources.directory.skipped import Why, tell_skipped
from streamagg.sources.directory.stretch import Piece, Way, decode
from streamagg.sources.files import READ_BYTES, Chunk, batch_of, chunks
from streamagg.sources.lines import GZIP_MAGIC, ZSTD_MAGICS, LineFile

_NOTHING = np.empty(0, np.int64)
_LEAST_BLOCK_BYTES: Final = 4 << 10
_UNPACKED_TIMES: Final = 8
"""Of a packed file: about so many bytes come of one, and of others twice as much is no harm."""


@dataclass(slots=True)
class _Reading:
    """A lease that is being read."""

    lease: Lease
    way: Way
    chunks: Iterator[Chunk]
    position: int
    """How far batches have been handed out."""


class DirectoryReader:
    """Hands out the records of leases, in batches of one file each or of several that follow one another."""

    def __init__(
        self,
        disk: Disk,
        root: str,
        max_record_bytes: int,
        numbers: ClientNumbers,
        number_fields: Collection[str] = (),
    ) -> None:
        """``max_record_bytes``: one byte more is enough of a line that is too large.

        ``number_fields``: columns of CSV that are read as numbers.
        """
        self._disk = disk
        self._root = root
        self._kept = max_record_bytes + 1
        self._numbers = numbers
        self._number_fields = number_fields
        self._told: set[tuple[str, Piece]] = set()
        self._leases: dict[int, deque[Lease]] = {}
        self._readings: dict[int, _Reading] = {}

    @property
    def busy(self) -> bool:
        """There is a lease to read."""
        return bool(self._leases)

    def add(self, lease: Lease) -> None:
        """Read a further lease; those of one partition are read one after the other."""
        self._leases.setdefault(lease.partition, deque()).append(lease)

    def revoke(self, partition: int | None) -> None:
        """Forget the leases of a partition, or all."""
        for number in [p for p in self._leases if partition is None or p == partition]:
            del self._leases[number]
            self._readings.pop(number, None)

    def poll(self, timeout_ms: int) -> list[Batch]:
        """The next records of every lease that is being read; raises FileUnreadable."""
        return [self._batch(partition) for partition in list(self._leases)]

    def close(self) -> None:
        """Files close with their iterators."""
        self.revoke(None)

    def _batch(self, partition: int) -> Batch:
        reading = self._readings.get(partition)
        if reading is None:
            reading = self._readings[partition] = self._begin(self._leases[partition][0])
        lease, position = reading.lease, reading.position
        chunk = next((chunk for chunk in reading.chunks if len(chunk.lines) or chunk.next > position), None)
        if chunk is None or chunk.next >= lease.stop:
            self._end(partition)
            reading.position = lease.stop
        else:
            reading.position = chunk.next
        lines, starts = (chunk.lines, chunk.starts) if chunk is not None else ([], _NOTHING)
        fit = int(np.searchsorted(starts, lease.stop))
        caught_up = reading.way.last and reading.position == lease.stop
        return batch_of(
            lease, position, reading.position, lines[:fit], starts[:fit], caught_up=caught_up, growing=True
        )

    def _end(self, partition: int) -> None:
        del self._readings[partition]
        self._leases[partition].popleft()
        if not self._leases[partition]:
            del self._leases[partition]

    def _begin(self, lease: Lease) -> _Reading:
        way = decode(lease.where)
        return _Reading(lease, way, self._chunks(lease, way), lease.start)

    def _chunks(self, lease: Lease, way: Way) -> Iterator[Chunk]:
        """Those of a lease; a chunk without lines stands for what is left out."""
        directory, at = below(self._root, way.directory), lease.start
        for pieces in _adjoining(way.pieces):
            if form_of(pieces[0].name).whole:
                yield from self._whole(directory, pieces[0], max(at, pieces[0].base))
            else:
                yield from self._joined(directory, pieces, at)

    def _joined(self, directory: str, pieces: Sequence[Piece], at: int) -> Iterator[Chunk]:
        """Plain files, one behind the other; ``at``: where reading begins, if that is inside the first."""
        files = _Joined(self._disk, directory, pieces)
        while files.left:
            start = max(at, files.left[0].base)
            yield Chunk([], _NOTHING, start)
            try:
                yield from _found(files, start, self._kept)
            except _Trouble as trouble:
                trouble.offset = max(trouble.offset, start)
                self._skip(directory, trouble)

    def _whole(self, directory: str, piece: Piece, start: int) -> Iterator[Chunk]:
        """A file that is read from its front, or from a record on that begins at the offset ``start``."""
        yield Chunk([], _NOTHING, start)
        try:
            with _opened(self._disk, directory, piece) as file:
                for chunk in self._records(f"{directory}/{piece.name}", file, piece, start - piece.base):
                    yield chunk._replace(starts=chunk.starts + piece.base, next=chunk.next + piece.base)
        except _Trouble as trouble:
            self._skip(directory, trouble)
        except (SettingsError, BadHeader) as error:
            self._skip(directory, _Trouble(piece, "foreign", piece.base, str(error)))
        except FileUnreadable as error:
            if isinstance(error.__cause__, OSError):
                raise
            self._skip(directory, _Trouble(piece, "damaged", start, str(error.__cause__ or error)))

    def _records(self, path: str, file: BinaryIO, piece: Piece, start: int) -> Iterator[Chunk]:
        """Those that begin at the byte ``start`` or later; offsets are bytes."""
        form = form_of(piece.name)
        if not form.csv:
            content: Content = _Unpacked(path, file, piece.size)
            begin = content.skip_to(max(0, start - 1))
            found = chunks(
                content.readinto,
                start,
                begin,
                self._kept,
                skipping=start > 0,
                block_bytes=_block_bytes(piece),
            )
            return cast(Iterator[Chunk], found)
        content = _Unpacked(path, file, piece.size) if form.shift else _Plain(file, piece)
        return csv_chunks(content, start, self._kept, self._number_fields, _block_bytes(piece))

    def _skip(self, directory: str, trouble: "_Trouble") -> None:
        path = f"{directory}/{trouble.piece.name}"
        if (path, trouble.piece) not in self._told:
            self._told.add((path, trouble.piece))
            tell_skipped(self._numbers, path, trouble.why, trouble.offset, trouble.detail)


class _Trouble(Exception):
    """A file cannot be read from an offset on."""

    def __init__(self, piece: Piece, why: Why, offset: int, detail: str = "") -> None:
        super().__init__(why)
        self.piece = piece
        self.why = why
        self.offset = offset
        self.detail = detail


def _block_bytes(piece: Piece) -> int:
    """To read at once: to clear a large block takes longer than to read a small file."""
    return min(READ_BYTES, max(_LEAST_BLOCK_BYTES, _UNPACKED_TIMES * piece.size))


def _adjoining(pieces: Sequence[Piece]) -> Iterator[list[Piece]]:
    """Those that can be read as one, since each begins where the one before ends."""
    run: list[Piece] = []
    for piece in pieces:
        whole = form_of(piece.name).whole
        if run and (whole or run[-1].base + run[-1].size + 1 != piece.base):
            yield run
            run = []
        run.append(piece)
        if whole:
            yield run
            run = []
    if run:
        yield run


def _found(files: "_Joined", start: int, kept: int) -> Iterator[Chunk]:
    inside = start > files.left[0].base
    files.seek(start - 1 if inside else start)
    for chunk in chunks(files.readinto, start, start - inside, kept, skipping=inside):
        assert chunk is not None, "a file is there"
        yield chunk


def _opened(disk: Disk, directory: str, piece: Piece) -> BinaryIO:
    """The file that the lease means; raises _Trouble if there is another one, or none."""
    opened = disk.open(f"{directory}/{piece.name}")
    if opened is None:
        raise _Trouble(piece, "gone", piece.base)
    file, stat = opened
    why = _differs(stat, piece)
    if why is None:
        return file
    file.close()
    raise _Trouble(piece, why, piece.base)


def _differs(stat: Stat, piece: Piece) -> Why | None:
    """Why it is not the file that the lease means; one that has grown is, as far as it is meant."""
    if stat.inode == piece.inode and stat.size < piece.size:
        return "shrank"
    written = piece.finished and stat.size == piece.size and stat.modified_ns != piece.modified_ns
    return "replaced" if written or stat.inode != piece.inode else None


class _Joined:
    """The content of files as one, with a newline behind each that is finished."""

    def __init__(self, disk: Disk, directory: str, pieces: Sequence[Piece]) -> None:
        self._disk = disk
        self._directory = directory
        self.left = deque(pieces)
        """The files that are not read to their end, or have to be passed by."""
        self._file: BinaryIO | None = None
        self._at = 0
        self._head = b""
        self._trouble: _Trouble | None = None

    def seek(self, offset: int) -> None:
        """Begin at an offset of the first file."""
        self._at = offset - self.left[0].base

    def readinto(self, room: memoryview) -> int:
        """Fills as much as there is; raises _Trouble behind what was good, and goes on behind that file."""
        if self._trouble is not None:
            trouble, self._trouble = self._trouble, None
            raise trouble
        filled = 0
        while self.left and filled < len(room):
            try:
                filled += self._read(room[filled:])
            except _Trouble as trouble:
                self._pass_by()
                if not filled:
                    raise
                self._trouble = trouble
                break
        return filled

    def _read(self, room: memoryview) -> int:
        piece = self.left[0]
        if self._file is None:
            self._file = self._open(piece)
        wanted = min(len(room), piece.size - self._at)
        if wanted <= 0:
            return self._finish(piece, room)
        size = min(len(self._head), wanted)
        if size:
            room[:size], self._head = self._head[:size], self._head[size:]
        else:
            size = self._file.readinto(room[:wanted])  # type: ignore[attr-defined]
        if not size:
            raise _Trouble(piece, "shrank", piece.base + self._at)
        self._at += size
        return size

    def _open(self, piece: Piece) -> BinaryIO:
        file = _opened(self._disk, self._directory, piece)
        if self._at:
            file.seek(self._at)
            return file
        head = file.read(min(HEAD_BYTES, piece.size))
        if (what := _foreign(head)) is not None:
            file.close()
            raise _Trouble(piece, "foreign", piece.base, what)
        if head.startswith(BYTE_ORDER_MARK):
            head = b"   " + head[len(BYTE_ORDER_MARK) :]
        self._head = head
        return file

    def _finish(self, piece: Piece, room: memoryview) -> int:
        self._pass_by()
        if piece.finished:
            room[0] = ord("\n")
        return int(piece.finished)

    def _pass_by(self) -> None:
        self.left.popleft()
        if self._file is not None:
            self._file.close()
        self._file, self._at, self._head = None, 0, b""


def _foreign(head: bytes) -> str | None:
    """What is in a file that is no plain text, by how it begins."""
    if head.startswith((GZIP_MAGIC, *ZSTD_MAGICS)):
        return "it is compressed, and its name does not say so"
    form = foreign_format(head)
    return None if form is None else form.name


class _Front:
    """The first bytes of a file."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._left = size

    def read(self, size: int) -> bytes:
        """At most so many."""
        block = self._file.read(min(size, self._left))
        self._left -= len(block)
        return block

    def fileno(self) -> int:
        """That of the file."""
        return self._file.fileno()


class _Plain:
    """A file as it is."""

    def __init__(self, file: BinaryIO, piece: Piece) -> None:
        self._file = file
        self._size = piece.size
        self._at = 0
        if (what := _foreign(file.read(min(HEAD_BYTES, piece.size)))) is not None:
            raise _Trouble(piece, "foreign", piece.base, what)
        file.seek(0)

    def readinto(self, room: memoryview) -> int:
        """As much as there is."""
        wanted = min(len(room), self._size - self._at)
        size = self._file.readinto(room[:wanted])  # type: ignore[attr-defined]
        self._at += size
        return int(size)

    def skip_to(self, byte: int) -> int:
        """Without reading."""
        self._at = self._file.seek(min(byte, self._size))
        return self._at


class _Unpacked:
    """The content of a compressed file."""

    def __init__(self, path: str, file: BinaryIO, size: int) -> None:
        self._lines = LineFile(path, file=cast(BinaryIO, _Front(file, size)))
        self._at = 0

    def readinto(self, room: memoryview) -> int:
        """As much as there is."""
        size = self._lines.readinto(room, 0) or 0
        self._at += size
        return size

    def skip_to(self, byte: int) -> int:
        """Throw away what is before it."""
        room = memoryview(bytearray(min(READ_BYTES, max(0, byte - self._at))))
        while self._at < byte and self.readinto(room[: byte - self._at]):
            pass
        return self._at
