"""Log lines with a name that programs can rely on: docs/logs.md lists them all."""

import logging
from typing import Final


class Log:
    """Writes events to a logger.

    Each has a name that never changes, a text for people, with ``{fields}`` filled in, and the fields
    themselves for programs. How that looks is up to the handlers.
    """

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def debug(self, event: str, text: str, /, **fields: object) -> None:
        """For somebody who looks for a defect."""
        self.write(logging.DEBUG, event, text, **fields)

    def info(self, event: str, text: str, /, **fields: object) -> None:
        """As it should be."""
        self.write(logging.INFO, event, text, **fields)

    def warning(self, event: str, text: str, /, **fields: object) -> None:
        """Worth a look; the run goes on."""
        self.write(logging.WARNING, event, text, **fields)

    def error(self, event: str, text: str, /, **fields: object) -> None:
        """Something is lost or ends."""
        self.write(logging.ERROR, event, text, **fields)

    def write(self, level: int, event: str, text: str, /, **fields: object) -> None:
        """With a level of ``logging``."""
        if self._logger.isEnabledFor(level):
            extra = {"event": event, "fields": fields}
            shown = {name: _NONE if value is None else value for name, value in fields.items()}
            self._logger.log(level, "%s", text.format(**shown), extra=extra)


class _None:
    """How a field without a value reads, whatever form the text gives it; programs find a null."""

    def __format__(self, form: str) -> str:
        return "none"


_NONE: Final = _None()
