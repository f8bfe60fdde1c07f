"""JSON lines from files and standard input, and into files: plain, gzip or Zstandard."""

import gzip
import os
import stat
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Protocol, Self, cast

import zstandard

from streamagg.errors import SettingsError, StreamaggError

STDIN: Final = "-"
READ_BYTES: Final = 1 << 18
"""Bytes taken from the file at once, before decompression."""
MAX_LINE_BYTES: Final = 64 << 20
"""A longer line is an error: memory stays bounded whatever the file holds."""
GZIP_MAGIC: Final = b"\x1f\x8b"
ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"


class _Frame(Protocol):
    """Decompresses one gzip member or one Zstandard frame."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


class LineFile:
    """A file of lines, or standard input for ``-``; a context manager and an iterable of lists of lines.

    What the content is compressed with is told by its first bytes, not by its name. Lines come
    without their ``\\n``; blank lines are no records and are left out.
    Raises SettingsError if the file cannot be opened, StreamaggError if its content is damaged.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self.position = 0
        """Bytes read from the file so far, before decompression."""
        self._file = _open(source)
        self.size = _size(self._file)
        """Bytes of the whole file, None when it has no length: a pipe."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.source != STDIN:
            self._file.close()

    def __iter__(self) -> Iterator[list[bytes]]:
        """The lines in lists: those of one read, so that a slow pipe is not waited for."""
        try:
            yield from _split(self._plain(), self.source)
        except (zlib.error, zstandard.ZstdError, EOFError) as error:
            raise StreamaggError(
                f"{self.source} is damaged or cut short ({error}). Copy or generate it again."
            ) from error
        except OSError as error:
            raise StreamaggError(f"Reading {self.source} failed: {error.strerror or error}.") from error

    def rewind(self) -> None:
        """Begin again; only where ``size`` is known."""
        self._file.seek(0)
        self.position = 0

    def _plain(self) -> Iterator[bytes]:
        """The content, decompressed, block by block."""
        blocks = self._blocks()
        head = b""
        for block in blocks:
            head += block
            if len(head) >= len(ZSTD_MAGIC):
                break
        if head.startswith(GZIP_MAGIC):
            return _decompress(head, blocks, lambda: zlib.decompressobj(wbits=31))
        if head.startswith(ZSTD_MAGIC):
            decompressor = zstandard.ZstdDecompressor()
            return _decompress(head, blocks, lambda: cast(_Frame, decompressor.decompressobj()))
        return _chain(head, blocks)

    def _blocks(self) -> Iterator[bytes]:
        while block := self._file.read1(READ_BYTES):  # type: ignore[attr-defined]
            self.position += len(block)
            yield block


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
        return sys.stdin.buffer
    try:
        return open(source, "rb")
    except OSError as error:
        raise SettingsError(
            f"Cannot read {source}: {error.strerror}. Give a file of JSON lines, or - for standard input."
        ) from error


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


def _decompress(head: bytes, blocks: Iterator[bytes], frame_of: Callable[[], _Frame]) -> Iterator[bytes]:
    """The content of all members or frames, one after the other; EOFError if the last one is cut short."""
    frame, fresh = frame_of(), True
    for block in _chain(head, blocks):
        rest = block
        while rest:
            if frame.eof:
                frame, fresh = frame_of(), True
            fresh = False
            plain = frame.decompress(rest)
            rest = frame.unused_data if frame.eof else b""
            if plain:
                yield plain
    if not frame.eof and not fresh:
        raise EOFError("the end of the compressed data is missing")


def _chain(head: bytes, blocks: Iterator[bytes]) -> Iterator[bytes]:
    if head:
        yield head
    yield from blocks


def _split(blocks: Iterator[bytes], source: str) -> Iterator[list[bytes]]:
    """Cut blocks at ``\\n``; the last line may lack it."""
    begun = b""
    for block in blocks:
        *lines, begun = (begun + block).split(b"\n")
        if len(begun) > MAX_LINE_BYTES:
            raise StreamaggError(
                f"{source} has a line of more than {MAX_LINE_BYTES >> 20} MiB. Give a file of JSON lines."
            )
        if lines := [line for line in lines if line.strip()]:
            yield lines
    if begun.strip():
        yield [begun]
