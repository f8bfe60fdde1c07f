"""The three standard streams, whatever the program was started with.

One that is closed (``>&-``) would leave its number to the next socket or file; a terminal may not know the
characters that are shown to it; and whoever reads may go away.
"""

import codecs
import io
import os
import sys
from contextlib import suppress
from typing import Any, Final, TextIO

PLAIN: Final = "streamagg-plain"
"""How characters are encoded that the encoding of a stream does not have."""
_PLAIN_FORMS: Final = {"█": "#", "░": ".", "━": "-", "←": "<-", "…": "...", "±": "+-"}


class ReaderGone(Exception):
    """Nobody reads standard output any more, as behind ``| head``."""


def prepare() -> None:
    """To be called before anything is opened or written."""
    closed = _occupied()
    codecs.register_error(PLAIN, _plainly)
    prepare_stderr()
    # A stream closed at the start is None, and what is written to it must fail: a result would be lost.
    sys.stdout = _stdout(sys.stdout, closed=1 in closed)


def prepare_stderr() -> None:
    """A log that cannot be written, for a full disk or a closed pipe, changes neither work nor exit code."""
    codecs.register_error(PLAIN, _plainly)
    encoding = sys.stderr.encoding if sys.stderr is not None else "utf-8"
    raw = _Stderr(2, "w", closefd=False)
    sys.stderr = io.TextIOWrapper(raw, encoding, PLAIN, write_through=True)


def write_stderr(data: bytes) -> None:
    """Past all buffers; if that fails, not at all."""
    with suppress(OSError):
        os.write(2, data)


class _Stdout(io.FileIO):
    """Distinguishes a reader that went away from every other failure, and does not fail again at the exit."""

    closed_at_start = False

    def write(self, data: Any) -> int:
        if self.closed_at_start:
            # Whatever is left in the buffer would fail once more at the exit.
            self.closed_at_start = False
            raise OSError("standard output is closed")
        try:
            return super().write(data)
        except BrokenPipeError:
            divert_stdout()
            raise ReaderGone from None


class _Stderr(io.FileIO):
    """Unbuffered: what is left in a buffer would fail once more at the exit."""

    def write(self, data: Any) -> int:
        write_stderr(data)
        return len(data)


def divert_stdout() -> None:
    """What is still in its buffer goes nowhere; the interpreter flushes once more at the exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


def _occupied() -> set[int]:
    """The numbers of the streams that are closed, each of which leads nowhere from here on."""
    closed = set()
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            closed.add(number)
            # It gets the lowest number that is free: this one.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    return closed


def _stdout(former: TextIO | None, *, closed: bool) -> TextIO:
    raw = _Stdout(1, "w", closefd=False)
    raw.closed_at_start = closed
    if not isinstance(former, io.TextIOWrapper):
        return io.TextIOWrapper(io.BufferedWriter(raw), "utf-8", PLAIN)
    return io.TextIOWrapper(
        raw if former.write_through else io.BufferedWriter(raw),
        former.encoding,
        PLAIN,
        line_buffering=former.line_buffering,
        write_through=former.write_through,
    )


def _plainly(error: UnicodeError) -> tuple[str | bytes, int]:
    """What is close to the character, or else its number."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    piece = error.object[error.start : error.end]
    return "".join(_PLAIN_FORMS.get(c) or ascii(c)[1:-1] for c in piece), error.end
