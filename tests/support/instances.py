"""``streamagg run`` as a process that a test can watch, hit with signals, and end by its pid."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Self

from tests.support.environment import CALM

READY_S: Final = 40.0
"""How long anything that has to happen may take on a busy machine."""
LOG_TAIL_CHARS: Final = 4_000
_STARTED: Final = re.compile(r"started ((?:unmarshaller|aggregator)-\d+) as process (\d+)")


def wait_until(condition: Callable[[], bool], what: str, timeout_s: float = READY_S) -> float:
    """Look again and again until the condition holds; returns the seconds it took."""
    began = time.monotonic()
    while not condition():
        waited = time.monotonic() - began
        assert waited < timeout_s, f"{what}: not within {timeout_s:g} s"
        time.sleep(0.02)
    return time.monotonic() - began


def alive(pid: int) -> bool:
    """The process exists and is no zombie."""
    return _state(pid) not in "ZX"


def stopped(pid: int) -> bool:
    """SIGSTOP has reached the process."""
    return _state(pid) == "T"


def _state(pid: int) -> str:
    """The kernel's letter, X for a process that is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return "X"
    return stat.rpartition(")")[2].split()[0]


class Instance:
    """One ``streamagg run`` in a process group of its own; its log goes to a file."""

    def __init__(
        self,
        arguments: Sequence[str],
        log: Path,
        *,
        level: str = "debug",
        env: Mapping[str, str] | None = None,
    ) -> None:
        """With another ``level`` than debug errors have no traceback, and ``workers`` finds nobody.

        ``env``: variables beside those of this process.
        """
        self.log_path = log
        command = [sys.executable, "-m", "streamagg", "run", *arguments, "--log-level", level]
        with log.open("wb") as stderr:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=stderr,
                stderr=stderr,
                start_new_session=True,
                env={**os.environ, **CALM, **(env or {})},
            )
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self.kill()

    @property
    def log(self) -> str:
        """What it has logged so far."""
        return self.log_path.read_text(errors="replace")

    @property
    def running(self) -> bool:
        """It has not ended."""
        return self._process.poll() is None

    def workers(self, kind: str = "") -> list[int]:
        """Process ids of the living workers of a kind (``unmarshaller``, ``aggregator``, all)."""
        return [
            int(pid) for name, pid in _STARTED.findall(self.log) if name.startswith(kind) and alive(int(pid))
        ]

    def wait_for(self, text: str, times: int = 1, timeout_s: float = READY_S) -> float:
        """Wait until a text stands so often in the log; fails if the process ends before."""

        def seen() -> bool:
            if self.log.count(text) >= times:
                return True
            assert self.running, f"ended with {self._process.poll()} before {text!r}:\n{self.log}"
            return False

        try:
            return wait_until(seen, f"{text!r} in the log", timeout_s)
        except AssertionError as error:
            error.add_note(self.log[-LOG_TAIL_CHARS:])
            raise

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the main process only."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL to the whole process group."""
        os.killpg(self.pid, signal.SIGKILL)
        self._process.wait(READY_S)

    def wait(self, timeout_s: float = READY_S) -> int:
        """The exit code; fails with the log if it does not end in time."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"still running after {timeout_s:g} s:\n{self.log[-LOG_TAIL_CHARS:]}"
            ) from None
