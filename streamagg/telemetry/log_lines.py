"""What a line of the log looks like: for people, or as a JSON object for programs."""

import json
import logging
from datetime import UTC, datetime


def human_lines(*, debug: bool) -> logging.Formatter:
    """Time, level and text; for somebody looking for a defect, milliseconds and the logger, too."""
    if debug:
        return logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    return logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%Y-%m-%d %H:%M:%S")


class JsonLines(logging.Formatter):
    """One object a line: ``ts``, ``level``, ``event``, ``message``, ``logger``, ``fields``."""

    def format(self, record: logging.LogRecord) -> str:
        """A line without its end."""
        line = {
            "ts": datetime.fromtimestamp(record.created, UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "event": event_of(record),
            "message": record.getMessage(),
            "logger": record.name,
            "fields": getattr(record, "fields", {}),
        }
        return json.dumps(line, default=str, separators=(",", ":"))


def event_of(record: logging.LogRecord) -> str:
    """The name of an event; lines that a library has written have the name ``other``."""
    event: str = getattr(record, "event", "other")
    return event
