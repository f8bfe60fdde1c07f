"""Processes on a simulated disk that take one step at a time, and whose writes may find no room."""

import errno
import random
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final

from tests.support import simulated_files
from tests.support.simulated_files import Dies, World

WAIT_S: Final = 60.0


class Process(simulated_files.Process):
    """Each operation is a step: between any two the process may stand still for long, or die."""

    def __init__(self, world: World, chance: random.Random, fails: Callable[[], bool]) -> None:
        """``fails``: the next write finds no room."""
        super().__init__(world, lambda operation: self._pause())
        self._disk = world
        self._chance = chance
        self._fails = fails
        self._thread: threading.Thread | None = None
        self._go, self._stands = threading.Semaphore(0), threading.Semaphore(0)
        self._killed = False
        self.replaced: Callable[[str], None] = lambda target: None
        """Told of every file that has got the name of another one."""

    @property
    def works(self) -> bool:
        """It stands before an operation."""
        return self._thread is not None

    def begin(self, work: Callable[[], None]) -> None:
        """Do this, one operation in each step."""

        def run() -> None:
            self._go.acquire()
            try:
                work()
            except Dies:
                pass
            finally:
                self._thread = None
                self._stands.release()

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()

    def step(self) -> None:
        """Up to the next operation."""
        self._go.release()
        assert self._stands.acquire(timeout=WAIT_S)

    def kill(self) -> None:
        """The kernel takes the lock from it."""
        self._killed = True
        while self.works:
            self.step()
        if self._disk.holder is self:
            self._disk.holder = None

    def write(self, path: str, offset: int, content: bytes) -> None:
        if not (self.works and self._fails()):
            super().write(path, offset, content)
            return
        super().write(path, offset, content[: self._chance.randrange(len(content) + 1)])
        raise OSError(errno.ENOSPC, "no room")

    def replace(self, path: str, target: str) -> None:
        super().replace(path, target)
        self.replaced(target)

    @contextmanager
    def locked(self, waiting: Callable[[], bool]) -> Generator[bool]:
        def waits() -> bool:
            holder = self._disk.holder
            if self.works:
                self._pause()
            elif isinstance(holder, Process):
                # Who waits for another one does nothing else.
                holder.step()
            return True

        with super().locked(waits) as alone:
            yield alone

    def _pause(self) -> None:
        if threading.current_thread() is self._thread:
            self._stands.release()
            self._go.acquire()
        if self._killed:
            raise Dies
