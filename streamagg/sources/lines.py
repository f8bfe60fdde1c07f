"""JSON lines from files and standard input, and into files: plain, gzip or Zstandard."""

import gzip
import os
import select
import shlex
import stat
import sys
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, NamedTuple, Protocol, Self, cast

import zstandard

from streamagg.decode.formats import BYTE_ORDER_MARK, HEAD_BYTES, foreign_format, refusal
from streamagg.errors import FileUnreadable, SettingsError, StreamaggError

STDIN: Final = "-"
READ_BYTES: Final = 1 << 18
"""Bytes taken from the file at once, before decompression."""
GZIP_SLICE_BYTES: Final = 4 << 10
"""See ``ZSTD_SLICE_BYTES``."""
ZSTD_SLICE_BYTES: Final = 1 << 10
"""Bytes decompressed at once, of which 4 MiB or 32 MiB come at most; so many are lost at damage."""
MAX_LINE_BYTES: Final = 64 << 20
"""No more of a line is kept: memory stays bounded whatever the file holds."""
MAX_WINDOW_BYTES: Final = 512 << 20
"""Memory that a Zstandard frame may ask for; ``zstd --long=29`` and all levels need no more."""
GZIP_MAGIC: Final = b"\x1f\x8b"
ZSTD_MAGICS: Final = (b"\x28\xb5\x2f\xfd", *(bytes((first, 0x2A, 0x4D, 0x18)) for first in range(0x50, 0x60)))
"""Of a frame, and of the frames to be skipped that compressors put before it or behind it."""
_MAGICS: Final = (GZIP_MAGIC, *ZSTD_MAGICS)
_ZSTD_HEADER_BYTES: Final = 18
"""The longest header of a frame (RFC 8878, 3.1.1.1), magic included."""


class _Frame(Protocol):
    """Decompresses one gzip member or one Zstandard frame."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


class LineFile:
    """A file of lines, or standard input for ``-``; a context manager and an iterable of lists of lines.

    What the content is compressed with shows in its first bytes, not in its name. Lines come without their
    ``\\n``; blank lines are no records and are left out, and so is a byte order mark before them all. A line
    of more than ``MAX_LINE_BYTES`` is cut to one byte more than that.

    Raises SettingsError if the file cannot be opened or is of a format that is not read, FileUnreadable if
    its content is damaged.
    """

    def __init__(self, source: str, *, raw: bool = False, file: BinaryIO | None = None) -> None:
        """``raw``: whatever the content is, take it as it is. ``file``: the source, opened."""
        self.source = source
        self.position = 0
        """Bytes read from the file so far, before decompression."""
        self._name = "Standard input" if source == STDIN else source
        self._raw = raw
        self._file = _open(source) if file is None else file
        self.size = _size(self._file)
        """Bytes of the whole file, None when it has no length: a pipe."""
        self._arrival = _arrival(self._file) if self.size is None else None
        self._wait_ms: int | None = None
        self._content = self._guarded()
        self._left = memoryview(b"")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.source != STDIN:
            self._file.close()

    def __iter__(self) -> Iterator[list[bytes]]:
        """The lines in lists: those of one read, so that a slow pipe is not waited for."""
        return _split(self._content)

    def readinto(self, room: memoryview, wait_ms: int) -> int | None:
        """How many bytes of the content were put into ``room``; 0 at the end, None if none came in time.

        Waits for the first of them only. What is wrong with the content is raised once; behind that it ends.
        """
        size, self._wait_ms = 0, wait_ms
        while size < len(room):
            if not self._left:
                try:
                    block = next(self._content, None)
                except StreamaggError as error:
                    if not size:
                        raise
                    # First what was good.
                    self._content = _raising(error)
                    break
                if not block:
                    return size if block is None or size else None
                self._left = memoryview(block)
            step = min(len(self._left), len(room) - size)
            room[size : size + step] = self._left[:step]
            size, self._left, self._wait_ms = size + step, self._left[step:], 0
        return size

    def rewind(self) -> None:
        """Begin again; only where ``size`` is known."""
        self._file.seek(0)
        self.position = 0
        self._content, self._left = self._guarded(), memoryview(b"")

    def _guarded(self) -> Iterator[bytes]:
        """The content, block by block; an empty one when nothing came in time."""
        try:
            yield from self._text(self._plain())
        except (zlib.error, zstandard.ZstdError, EOFError) as error:
            raise FileUnreadable(
                f"{self._name} is damaged or cut short ({error}). Copy or generate it again."
            ) from error
        except OSError as error:
            raise FileUnreadable(f"Reading {self._name} failed: {error.strerror or error}.") from error

    def _text(self, content: Iterator[bytes]) -> Iterator[bytes]:
        """The content without a byte order mark; raises SettingsError if it begins like something else."""
        if self._raw:
            yield from content
            return
        head = yield from _head(content, (BYTE_ORDER_MARK,))
        form = foreign_format(head[:HEAD_BYTES])
        if form is not None:
            raise SettingsError(refusal(form, None if self.source == STDIN else self.source))
        yield from _chain(head.removeprefix(BYTE_ORDER_MARK), content)

    def _plain(self) -> Iterator[bytes]:
        """The content, decompressed."""
        blocks = self._blocks()
        head = yield from _head(blocks, _MAGICS)
        whole = _chain(head, blocks)
        if head.startswith(GZIP_MAGIC):
            yield from _decompress(whole, _begin_gzip, GZIP_SLICE_BYTES, padding=b"\0")
        elif head.startswith(ZSTD_MAGICS):
            yield from self._unzstd(whole)
        else:
            yield from whole

    def _unzstd(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES)
        frames = _ZstdFrames(decompressor)
        try:
            yield from _decompress(blocks, frames.begin, ZSTD_SLICE_BYTES)
        except zstandard.ZstdError:
            if (need := frames.need) is not None:
                file = "" if self.source == STDIN else f" {shlex.quote(self.source)}"
                raise FileUnreadable(
                    f"{self._name} {need.what}. Give - for the file and what is in it as standard input:"
                    f" zstd -dc {need.flag}{file} | streamagg … -"
                ) from None
            raise

    def _blocks(self) -> Iterator[bytes]:
        while True:
            if self._arrival is not None and not self._arrival.poll(self._wait_ms):
                yield b""
                continue
            block = self._file.read(READ_BYTES)
            if block == b"":
                return
            # None: standard input does not wait, because somebody has told it so.
            self.position += len(block or b"")
            yield block or b""


def file_size(source: str) -> int | None:
    """Bytes of a regular file, None for everything else, and for what cannot be read."""
    path = Path(source)
    return path.stat().st_size if source != STDIN and path.is_file() else None


@contextmanager
def open_output(path: str | None) -> Iterator[BinaryIO]:
    """A binary file to write to, compressed if its name ends in ``.gz`` or ``.zst``; None is standard output.

    A regular file appears under its name only when it is complete.
    Raises SettingsError if it cannot be opened.
    """
    if path is None or path == STDIN:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    final = Path(path)
    direct = final.exists() and not final.is_file()
    partial = final if direct else final.with_name(f"{final.name}.{os.getpid()}.part")
    try:
        with _open_for_writing(partial, final) as raw, _compressed(raw, final.suffix) as out:
            yield out
        if not direct:
            partial.replace(final)
    except BaseException:
        if not direct:
            partial.unlink(missing_ok=True)
        raise


def _open(source: str) -> BinaryIO:
    if source == STDIN:
        if sys.stdin is None:
            raise SettingsError("Standard input is closed: give a file of JSON lines, or open it.")
        return _unbuffered(sys.stdin.buffer)
    try:
        return cast(BinaryIO, open(source, "rb", buffering=0))
    except OSError as error:
        raise SettingsError(
            f"Cannot read {source}: {error.strerror}. Give a file of JSON lines, or - for standard input."
        ) from error


def _unbuffered(file: BinaryIO) -> BinaryIO:
    """What is read at once is all that is there, and no buffer keeps a part of it from being waited for."""
    return cast(BinaryIO, getattr(file, "raw", file))


def _arrival(file: BinaryIO) -> "select.poll | None":
    """What tells that something has come; None where that cannot be asked."""
    try:
        number = file.fileno()
    except OSError:
        return None
    poll = select.poll()
    poll.register(number, select.POLLIN)
    return poll


def _open_for_writing(path: Path, final: Path) -> BinaryIO:
    try:
        return path.open("wb")
    except OSError as error:
        raise SettingsError(f"Cannot write {final}: {error.strerror}. Choose another --output.") from error


def _size(file: BinaryIO) -> int | None:
    """Bytes of a regular file, None for everything else."""
    try:
        status = os.fstat(file.fileno())
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _compressed(raw: BinaryIO, suffix: str) -> BinaryIO:
    """A writer on top of ``raw``; the same content always gives the same bytes."""
    if suffix == ".gz":
        return cast(BinaryIO, gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=1, mtime=0))
    if suffix == ".zst":
        return cast(BinaryIO, zstandard.ZstdCompressor(level=3).stream_writer(raw, closefd=False))
    return raw


def _begin_gzip() -> _Frame:
    return zlib.decompressobj(wbits=31)


class _Need(NamedTuple):
    """Why an intact Zstandard frame is not read, and which flag ``zstd`` needs."""

    what: str
    flag: str


class _ZstdFrames:
    """Decompressors of one frame after the other, and what the last one began with."""

    def __init__(self, decompressor: zstandard.ZstdDecompressor) -> None:
        self._decompressor = decompressor
        self._head = b""

    def begin(self) -> _Frame:
        self._head = b""
        self._frame = cast(_Frame, self._decompressor.decompressobj())
        return self

    @property
    def eof(self) -> bool:
        return self._frame.eof

    @property
    def unused_data(self) -> bytes:
        return self._frame.unused_data

    def decompress(self, data: bytes, /) -> bytes:
        self._head += data[: _ZSTD_HEADER_BYTES - len(self._head)]
        return self._frame.decompress(data)

    @property
    def need(self) -> _Need | None:
        try:
            frame = zstandard.get_frame_parameters(self._head)
        except zstandard.ZstdError:
            return None
        if frame.window_size > MAX_WINDOW_BYTES:
            need, most = (f"{size / (1 << 20):,.0f} MiB" for size in (frame.window_size, MAX_WINDOW_BYTES))
            what = f"needs a Zstandard window of {need}, more than the {most} that streamagg reads"
            return _Need(what, f"--long={(frame.window_size - 1).bit_length()}")
        if frame.dict_id:
            return _Need(f"needs the Zstandard dictionary {frame.dict_id}", "-D DICTIONARY")
        return None


def _decompress(
    blocks: Iterator[bytes], begin: Callable[[], _Frame], slice_bytes: int, padding: bytes | None = None
) -> Iterator[bytes]:
    """The content of all members or frames, one after the other; EOFError if the last one is cut short.

    ``padding`` may stand between and behind them.
    """
    frame: _Frame | None = None
    for block in blocks:
        if not block:
            yield b""
        for start in range(0, len(block), slice_bytes):
            rest = block[start : start + slice_bytes]
            while rest:
                if frame is None:
                    rest = rest.lstrip(padding) if padding else rest
                    frame = begin() if rest else None
                    continue
                plain = frame.decompress(rest)
                rest = b""
                if frame.eof:
                    rest, frame = frame.unused_data, None
                if plain:
                    yield plain
    if frame is not None:
        raise EOFError("the end of the compressed data is missing")


def _head(blocks: Iterator[bytes], magics: tuple[bytes, ...]) -> Generator[bytes, None, bytes]:
    """What stands at the front, as much as it takes to tell whether it is one of those."""
    head = b""
    for block in blocks:
        head += block
        if head and not any(len(head) < len(magic) and magic.startswith(head) for magic in magics):
            break
        yield b""
    return head


def _chain(head: bytes, blocks: Iterator[bytes]) -> Iterator[bytes]:
    if head:
        yield head
    yield from blocks


def _raising(error: Exception) -> Iterator[bytes]:
    raise error
    yield b""


def _split(blocks: Iterator[bytes]) -> Iterator[list[bytes]]:
    """Cut blocks at ``\\n``; the last line may lack it."""
    begun: list[bytes] = []
    size = 0
    for block in blocks:
        first, *others = block.split(b"\n")
        begun.append(first[: max(0, MAX_LINE_BYTES + 1 - size)])
        size += len(first)
        if not others:
            continue
        *lines, last = b"".join(begun), *others
        begun, size = [last], len(last)
        if lines := [line for line in lines if line.strip()]:
            yield lines
    rest = b"".join(begun)
    if rest.strip():
        yield [rest]
