"""Logging: one line each on stderr; librdkafka logs through the same tree of loggers."""

import logging
import sys
from typing import Final

ROOT: Final = "streamagg"


def setup(level: str) -> None:
    """Sends the log to stderr from a level on: debug, info, warning or error. May be called again."""
    root = logging.getLogger(ROOT)
    root.setLevel(level.upper())
    root.propagate = False
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    root.handlers[:] = [handler]


def debugging() -> bool:
    """Whether the user asked to see everything, tracebacks included."""
    return logging.getLogger(ROOT).level == logging.DEBUG


def level() -> str:
    """The level in force, for ``setup`` in a worker process."""
    return logging.getLevelName(logging.getLogger(ROOT).getEffectiveLevel()).lower()
