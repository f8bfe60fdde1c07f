"""A terminal as programs see it (a pty), and as people do (what is left on its screen)."""

import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from fcntl import ioctl
from pathlib import Path
from typing import Final, Self

from tests.support.environment import CALM
from tests.support.instances import READY_S

_SEQUENCE: Final = re.compile(r"\x1b\[(\??)([0-9;]*)([A-Za-z])")


class Picture:
    """What a terminal that never scrolls shows; knows the few sequences that streamagg writes."""

    def __init__(self) -> None:
        self.rows: list[str] = [""]
        self._row = 0
        self._column = 0
        self._rest = ""

    def feed(self, text: str) -> None:
        """Obey what a program writes."""
        text, self._rest = self._rest + text, ""
        place = 0
        while place < len(text):
            if text[place] == "\x1b":
                found = _SEQUENCE.match(text, place)
                if found is None:
                    self._rest = text[place:]
                    return
                self._obey(*found.groups())
                place = found.end()
            else:
                self._put(text[place])
                place += 1

    @property
    def text(self) -> str:
        """All rows, without blanks at their ends."""
        return "\n".join(row.rstrip() for row in self.rows).rstrip("\n")

    def _put(self, char: str) -> None:
        if char == "\r":
            self._column = 0
        elif char == "\n":
            self._row += 1
            self._column = 0
            if self._row == len(self.rows):
                self.rows.append("")
        else:
            row = self.rows[self._row].ljust(self._column)
            self.rows[self._row] = row[: self._column] + char + row[self._column + 1 :]
            self._column += 1

    def _obey(self, private: str, number: str, letter: str) -> None:
        match letter:
            case "A":
                self._row -= int(number)
                assert self._row >= 0, "above the first line"
            case "K":
                self.rows[self._row] = ""
            case "J":
                self.rows[self._row] = self.rows[self._row][: self._column]
                del self.rows[self._row + 1 :]
            case _:
                assert letter == "m" or private, f"unknown: {private}{number}{letter}"


class Terminal:
    """A program on a pty of its own, which is its stdin, stdout and stderr."""

    def __init__(
        self,
        command: Sequence[str],
        env: Mapping[str, str] | None = None,
        *,
        size: tuple[int, int] = (80, 24),
        stderr: Path | None = None,
    ) -> None:
        """``size``: columns and rows; ``stderr`` goes to this file instead, if it is given."""
        self.picture = Picture()
        self.written = ""
        self._ours, theirs = pty.openpty()
        ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        # What is typed does not move the cursor.
        attributes = termios.tcgetattr(theirs)
        attributes[3] &= ~termios.ECHO
        termios.tcsetattr(theirs, termios.TCSANOW, attributes)
        unset = ("CI", "NO_COLOR", "STREAMAGG_LOG_FORMAT")
        inherited = {key: value for key, value in {**os.environ, **CALM}.items() if key not in unset}
        try:
            other = theirs if stderr is None else os.open(stderr, os.O_WRONLY | os.O_CREAT)
            self._process = subprocess.Popen(
                command,
                stdin=theirs,
                stdout=theirs,
                stderr=other,
                start_new_session=True,
                # Without it Ctrl-C would be a character like any other. Nothing else runs in the child.
                preexec_fn=lambda: ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509
                env={**inherited, "TERM": "xterm-256color", "PYTHONUTF8": "1", **(env or {})},
            )
            if stderr is not None:
                os.close(other)
        finally:
            os.close(theirs)
        self.pid = self._process.pid

    def wait_for(self, seen: str | Callable[[], bool], timeout_s: float = READY_S) -> None:
        """Read until this stands on the screen, or holds."""
        deadline = time.monotonic() + timeout_s
        while not (seen in self.picture.text if isinstance(seen, str) else seen()):
            more = self._read(max(0.0, deadline - time.monotonic()))
            assert more, f"not seen: {seen}\n{self.picture.text}"

    def press(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self._ours, keys)

    def wait(self, timeout_s: float = READY_S) -> int:
        """Read to the end; returns the exit code."""
        deadline = time.monotonic() + timeout_s
        while self._read(max(0.0, deadline - time.monotonic())):
            pass
        return self._process.wait(max(0.0, deadline - time.monotonic()))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        os.close(self._ours)

    def _read(self, timeout_s: float) -> bool:
        """False at the end."""
        if not select.select([self._ours], [], [], timeout_s)[0]:
            return False
        try:
            data = os.read(self._ours, 1 << 16)
        except OSError:
            # Nobody holds the other end any more.
            return False
        text = data.decode(errors="replace")
        self.written += text
        self.picture.feed(text)
        return True
