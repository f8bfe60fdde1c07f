"""Processes on a simulated disk that take one step at a time, and whose writes may find no room."""

import errno
import random
from collections.abc import Callable, Generator
from contextlib import contextmanager

from tests.simulation.stepper import Stepper
from tests.support import simulated_files
from tests.support.simulated_files import World


class Process(Stepper, simulated_files.Process):
    """Each operation is a step: between any two the process may stand still for long, or die."""

    def __init__(self, world: World, chance: random.Random, fails: Callable[[], bool]) -> None:
        """``fails``: the next write finds no room."""
        Stepper.__init__(self)
        simulated_files.Process.__init__(self, world, lambda operation: self.pause())
        self._disk = world
        self._chance = chance
        self._fails = fails
        self.replaced: Callable[[str], None] = lambda target: None
        """Told of every file that has got the name of another one."""

    def kill(self) -> None:
        """The kernel takes the lock from it."""
        super().kill()
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
                self.pause()
            elif isinstance(holder, Process):
                # Who waits for another one does nothing else.
                holder.step()
            return True

        with super().locked(waits) as alone:
            yield alone
