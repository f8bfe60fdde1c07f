"""Leadership of a directory: one of several instances has a lock there."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from streamagg.errors import StreamaggError
from streamagg.model.measured import ClientNumbers
from streamagg.model.settings import RunSettings
from streamagg.sinks.directory.files import try_lock
from streamagg.sinks.directory.refusal import refused

NAME: Final = ".leader"


class DirectoryLock:
    """Implements ``sinks.leadership.Leadership``; the kernel takes the lock from a process that dies."""

    def __init__(self, settings: RunSettings) -> None:
        self._directory = Path(settings.sink.at)
        self._path = self._directory / NAME
        self._file: int | None = None
        self.leader = False
        self.rebalances = 0
        """How often this instance began to lead."""
        self.numbers = ClientNumbers()

    @property
    def joined(self) -> bool:
        """It is at the lock."""
        return self._file is not None

    @property
    def assignment_known(self) -> bool:
        """Who does not get the lock does not lead."""
        return self.joined

    def refuse_foreign(self) -> None:
        """Nobody else has files of this name."""

    def at_work(self) -> bool:
        """Somebody has the lock."""
        if not self._path.exists():
            return False
        file = self._opened()
        try:
            return not try_lock(file)
        finally:
            os.close(file)

    def join(self) -> None:
        """Take the lock if nobody has it; raises a StreamaggError."""
        self._file = self._opened()
        self._take()

    def poll(self) -> None:
        """Take the lock once it is free; raises a StreamaggError."""
        if self._file is None or not self._in_place(self._file):
            # Whoever removed the file lets others lock another one of its name.
            self.close()
            self.join()
        elif not self.leader:
            self._take()

    def close(self) -> None:
        """Give it back, so that a standby takes over at once."""
        self.leader = False
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _take(self) -> None:
        assert self._file is not None
        if try_lock(self._file):
            self.leader = True
            self.rebalances += 1

    def _opened(self) -> int:
        try:
            return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise self._refused(error) from error

    def _refused(self, error: OSError) -> StreamaggError:
        return refused(error, f"The directory {self._directory}")

    def _in_place(self, file: int) -> bool:
        with suppress(FileNotFoundError):
            return os.path.samestat(os.fstat(file), self._path.stat())
        return False
