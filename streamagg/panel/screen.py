"""Lines at the foot of a terminal, drawn again in place; whatever else is written there goes above them.

Standard error, and standard output where that is the same terminal, become a pipe as long as the lines
stand: whoever writes, a logger, a handler of signals, a worker process or a library in C, cannot break them.
The thread that reads the pipe also draws. The cursor stays visible and waits below the lines, so that nothing
is left to mend when the process is killed.
"""

import os
import select
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from time import monotonic
from types import FrameType
from typing import Any, Final, Protocol, Self

from rich.console import Console
from rich.text import Text

from streamagg.panel.canvas import Canvas
from streamagg.panel.glyphs import Glyphs, glyphs_for
from streamagg.panel.terminal import in_foreground, same_terminal, size
from streamagg.telemetry.streams import PLAIN

_EVERY_S: Final = 0.25
"""Four draws a second at the most take 1.2 % of a core, one takes 0.2 % (docs/status.md)."""
_READ_BYTES: Final = 1 << 16
"""What a pipe holds on Linux."""


class Foot(Protocol):
    """What stands at the foot of a terminal; asked in a thread of its own."""

    def lines(self, width: int, height: int, glyphs: Glyphs) -> Sequence[Text] | None:
        """At most ``height`` - 1 lines of at most ``width``; None: as before."""

    def hear(self, line: str) -> str | None:
        """A line that somebody has written; returns what goes above."""

    def last(self, width: int, height: int, glyphs: Glyphs) -> Sequence[Text]:
        """What is left at the end."""


class Screen:
    """Shows a foot; a context, in the main thread."""

    def __init__(self, foot: Foot) -> None:
        self._foot = foot
        self._terminal = os.dup(2)
        self._encoding = sys.stderr.encoding
        self._glyphs = glyphs_for(self._encoding)
        # Never written to: it knows the colours of the terminal.
        file = open(self._terminal, "w", encoding=self._encoding, closefd=False)  # noqa: SIM115
        self._console = Console(file=file, highlight=False)
        self._taken = [2, 1] if same_terminal(1, 2) else [2]
        self._pipe, self._write = os.pipe()
        self._wake, self._waker = os.pipe()
        os.set_blocking(self._pipe, False)
        self._canvas = Canvas()
        self._frame: list[tuple[str, int]] = []
        self._unfinished = b""
        self._next_s = 0.0
        self._before: Any = None
        self._thread = threading.Thread(target=self._work, name="screen", daemon=True)

    def __enter__(self) -> Self:
        for fileno in self._taken:
            os.dup2(self._write, fileno)
        os.close(self._write)
        self._before = signal.signal(signal.SIGCONT, self._on_continue)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if 1 in self._taken:
            sys.stdout.flush()
        self._give_back()
        os.close(self._waker)
        self._thread.join()
        signal.signal(signal.SIGCONT, self._before)
        for fileno in (self._pipe, self._wake, self._terminal):
            os.close(fileno)

    def _on_continue(self, _signal: int, _frame: FrameType | None) -> None:
        """The shell has written below the lines while the process was stopped."""
        self._canvas.forget()

    def _work(self) -> None:
        try:
            while self._wake not in select.select([self._pipe, self._wake], [], [], _EVERY_S)[0]:
                self._turn()
            above = "".join(self._heard_last())
            self._frame = self._rendered(self._foot.last(*size(self._terminal), self._glyphs))
            self._write_all(above)
        finally:
            # Were this thread to end otherwise, whoever writes would wait for it.
            self._give_back()

    def _turn(self) -> None:
        above = "".join(self._heard())
        changed = False
        if monotonic() >= self._next_s:
            self._next_s = monotonic() + _EVERY_S
            lines = self._foot.lines(*size(self._terminal), self._glyphs)
            changed = lines is not None
            self._frame = self._frame if lines is None else self._rendered(lines)
        if above or changed:
            self._write_all(above)

    def _heard(self) -> Iterator[str]:
        """What goes above of some of that which was written: there may always be more."""
        with suppress(BlockingIOError):
            yield from self._above(os.read(self._pipe, _READ_BYTES))

    def _heard_last(self) -> Iterator[str]:
        """What goes above of all the rest, whether its last line has an end or not."""
        with suppress(BlockingIOError):
            while data := os.read(self._pipe, _READ_BYTES):
                yield from self._above(data)
        if self._unfinished:
            yield from self._above(b"\n")

    def _above(self, data: bytes) -> Iterator[str]:
        *lines, self._unfinished = (self._unfinished + data).split(b"\n")
        for line in lines:
            above = self._foot.hear(line.decode(errors="replace"))
            if above is not None:
                yield above + "\n"

    def _rendered(self, lines: Sequence[Text]) -> list[tuple[str, int]]:
        if not lines:
            return []
        with self._console.capture() as captured:
            self._console.print(Text("\n").join(lines), soft_wrap=True)
        return list(zip(captured.get().split("\n")[:-1], (line.cell_len for line in lines), strict=True))

    def _write_all(self, above: str) -> None:
        text = above
        if in_foreground(self._terminal):
            text = self._canvas.draw(self._frame, size(self._terminal)[0], above)
        else:
            self._canvas.forget()
        data = text.encode(self._encoding, PLAIN)
        # A terminal that is gone must not keep anybody from working.
        with suppress(OSError):
            while data:
                data = data[os.write(self._terminal, data) :]

    def _give_back(self) -> None:
        for fileno in self._taken:
            os.dup2(self._terminal, fileno)
