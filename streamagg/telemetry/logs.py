"""Logging: one line each on stderr; librdkafka logs through the same tree of loggers."""

import io
import logging
import os
import sys
from contextlib import suppress
from typing import Any, Final

ROOT: Final = "streamagg"


def setup(level: str) -> None:
    """Sends the log to stderr from a level on: debug, info, warning or error. May be called again."""
    root = logging.getLogger(ROOT)
    root.setLevel(level.upper())
    root.propagate = False
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    root.handlers[:] = [handler]


def keep_going_without_stderr() -> None:
    """A log that cannot be written, for a full disk or a closed pipe, changes neither work nor exit code."""
    if sys.stderr is not None:
        raw = _Stderr(2, "w", closefd=False)
        sys.stderr = io.TextIOWrapper(raw, sys.stderr.encoding, "backslashreplace", write_through=True)


def tell(line: bytes) -> None:
    """A line on stderr, from a handler of signals too."""
    _write(line + b"\n")


class _Stderr(io.FileIO):
    """Standard error, unbuffered: what is left in a buffer would fail once more at the exit."""

    def write(self, data: Any) -> int:
        _write(data)
        return len(data)


def _write(data: bytes) -> None:
    with suppress(OSError):
        os.write(2, data)


def debugging() -> bool:
    """Whether the user asked to see everything, tracebacks included."""
    return logging.getLogger(ROOT).level == logging.DEBUG


def level() -> str:
    """The level in force, for ``setup`` in a worker process."""
    return logging.getLevelName(logging.getLogger(ROOT).getEffectiveLevel()).lower()
