"""Logging: one line each on stderr; librdkafka logs through the same tree of loggers."""

import logging
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Literal

from streamagg.telemetry.log_lines import JsonLines, event_of, human_lines
from streamagg.telemetry.rate_limit import LeftOut, Limiter
from streamagg.telemetry.streams import write_stderr

if TYPE_CHECKING:
    from streamagg.model.settings import LogFormat

ROOT: Final = "streamagg"

Form = Literal["human", "json"]


def setup(level: str, form: Form = "human") -> None:
    """Sends the log to stderr from a level on: debug, info, warning or error. May be called again.

    At debug every line is written; otherwise those that repeat themselves are limited.
    """
    root = logging.getLogger(ROOT)
    root.setLevel(level.upper())
    root.propagate = False
    handler = _Handler(form, limited=level != "debug")
    for former in root.handlers[:]:
        former.close()
    root.handlers[:] = [handler]


def form_for(wanted: "LogFormat") -> Form:
    """The form that is wanted; ``auto`` is for people where stderr is a terminal, for programs elsewhere."""
    if wanted == "auto":
        return "human" if sys.stderr is not None and sys.stderr.isatty() else "json"
    return wanted


def close() -> None:
    """Report what has been left out so far, before the process ends without its usual clean-up."""
    for handler in logging.getLogger(ROOT).handlers:
        handler.close()


def tell(event: str, text: str, level: int = logging.INFO) -> None:
    """A line on stderr past all loggers, from a handler of signals or without memory to spare too."""
    with suppress(MemoryError):
        line = text
        if form() == "json":
            line = JsonLines().format(_record(event, text, level))
        write_stderr(line.encode() + b"\n")


class _Handler(logging.StreamHandler[Any]):
    """Writes lines, but of each event only so many in a minute."""

    def __init__(self, form: Form, *, limited: bool) -> None:
        super().__init__(sys.stderr)
        self.form = form
        self.setFormatter(JsonLines() if form == "json" else human_lines(debug=not limited))
        self._limiter = Limiter() if limited else None
        self._timer: threading.Timer | None = None

    def emit(self, record: logging.LogRecord) -> None:
        if self._limiter is None:
            super().emit(record)
            return
        self._tell(self._limiter.ended())
        if self._limiter.admits(event_of(record)):
            super().emit(record)
        elif self._timer is None:
            self._wait(self._limiter)

    def close(self) -> None:
        with self._locked():
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            if self._limiter is not None:
                self._tell(self._limiter.ended(all_of_them=True))
        super().close()

    def _wait(self, limiter: Limiter) -> None:
        wait_s = limiter.next_end_s()
        if wait_s is not None:
            timer = threading.Timer(wait_s, self._time_is_up)
            timer.daemon = True
            # Where there is no room for a thread, the next line brings it along.
            with suppress(RuntimeError):
                timer.start()
                self._timer = timer

    def _time_is_up(self) -> None:
        with self._locked():
            self._timer = None
            if self._limiter is not None:
                self._tell(self._limiter.ended())
                self._wait(self._limiter)

    def _tell(self, left_out: list[LeftOut]) -> None:
        for event, lines in left_out:
            text = f"{lines} more lines of {event} were left out"
            fields = {"left_out": event, "lines": lines}
            super().emit(_record("lines_left_out", text, logging.WARNING, fields))

    def _locked(self) -> Any:
        assert self.lock is not None
        return self.lock


def _record(event: str, text: str, level: int, fields: dict[str, object] | None = None) -> logging.LogRecord:
    return logging.makeLogRecord(
        {
            "name": __name__,
            "levelno": level,
            "levelname": logging.getLevelName(level),
            "msg": "%s",
            "args": (text,),
            "event": event,
            "fields": fields or {},
        }
    )


def debugging() -> bool:
    """Whether the user asked to see everything, tracebacks included."""
    return logging.getLogger(ROOT).level == logging.DEBUG


def level() -> str:
    """The level in force, for ``setup`` in a worker process."""
    return logging.getLevelName(logging.getLogger(ROOT).getEffectiveLevel()).lower()


def form() -> Form:
    """The form in force, for ``setup`` in a worker process."""
    for handler in logging.getLogger(ROOT).handlers:
        if isinstance(handler, _Handler):
            return handler.form
    return "human"
