"""A file system that forgets what was not made to last, and whose callers take one step at a time.

A call is a step: between any two a process may stand still for long, or die. What a process has written stays
when it dies, but not when the machine does: then every file that was written to and not synced, and every
name in a folder that was not, is as it was or as it should be, by chance.
"""

import errno
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

WAIT_S: Final = 60.0


class Killed(BaseException):
    """The process is no more; nothing of it may catch that."""


class Machine:
    """All files, as they are and as they last."""

    def __init__(self) -> None:
        self.files: dict[str, bytearray] = {}
        """By path; two paths never have the same one."""
        self.folders: set[str] = {""}
        self.holder: Process | None = None
        """Who has the lock."""
        self._lasting: dict[str, bytearray] = {}
        """What the names lead to that last."""
        self._content: dict[int, bytes] = {}
        """What lasts of a file, by its identity."""

    def sync(self, path: str) -> None:
        """The content of a file lasts."""
        file = self.files[path]
        self._content[id(file)] = bytes(file)

    def sync_folder(self, folder: str) -> None:
        """The names in it last."""
        self._lasting = {path: f for path, f in self._lasting.items() if _folder(path) != folder}
        self._lasting |= {path: f for path, f in self.files.items() if _folder(path) == folder}

    def lose_power(self, chance: random.Random) -> None:
        """What does not last may be gone; all processes are."""
        self.holder = None
        paths = sorted(self.files.keys() | self._lasting.keys())
        after: dict[str, bytearray] = {}
        for path in paths:
            found = chance.choice((self.files, self._lasting)).get(path)
            if found is not None:
                after[path] = self._after_loss(found, chance)
        self.files = after
        self._lasting = dict(after)
        self._content = {id(file): bytes(file) for file in after.values()}

    def _after_loss(self, file: bytearray, chance: random.Random) -> bytearray:
        lasting = self._content.get(id(file), b"")
        if bytes(file) == lasting:
            return bytearray(file)
        # What was written since may have got there in part; what lasts before it is not touched by that.
        shorter = min(len(lasting), len(file))
        untouched = next((at for at in range(shorter) if lasting[at] != file[at]), shorter)
        part = bytes(file)[: chance.randint(untouched, len(file))]
        return bytearray(chance.choice((lasting, bytes(file), part)))


class Process:
    """One process on the machine; implements ``sinks.directory.files.FileSystem``."""

    def __init__(self, machine: Machine, chance: random.Random, fails: Callable[[], bool]) -> None:
        """``fails``: the next write finds no room."""
        self._machine = machine
        self._chance = chance
        self._fails = fails
        self._thread: threading.Thread | None = None
        self._go, self._stands = threading.Semaphore(0), threading.Semaphore(0)
        self._killed = False
        self.replaced: Callable[[str], None] = lambda target: None
        """Told of every file that has got the name of another one."""

    @property
    def works(self) -> bool:
        """It stands before a call."""
        return self._thread is not None

    def begin(self, work: Callable[[], None]) -> None:
        """Do this, one call in each step."""

        def run() -> None:
            self._go.acquire()
            try:
                work()
            except Killed:
                pass
            finally:
                self._thread = None
                self._stands.release()

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()

    def step(self) -> None:
        """Up to the next call."""
        self._go.release()
        assert self._stands.acquire(timeout=WAIT_S)

    def kill(self) -> None:
        """The kernel takes the lock from it."""
        self._killed = True
        while self.works:
            self.step()
        if self._machine.holder is self:
            self._machine.holder = None

    def read(self, path: str) -> bytes:
        return bytes(self._file(path))

    def size(self, path: str) -> int:
        return len(self._file(path))

    def names(self, folder: str) -> list[str]:
        self._pause()
        machine = self._machine
        every = [*machine.files, *(machine.folders - {""})]
        return [path.rpartition("/")[2] for path in every if _folder(path) == folder]

    def make_folder(self, path: str) -> bool:
        self._pause()
        fresh = path not in self._machine.folders
        self._machine.folders.add(path)
        return fresh

    def write(self, path: str, offset: int, content: bytes) -> None:
        self._pause()
        file = self._machine.files.setdefault(path, bytearray())
        if self.works and self._fails():
            content = content[: self._chance.randrange(len(content) + 1)]
            file[offset : offset + len(content)] = content
            raise OSError(errno.ENOSPC, "no room")
        file[offset : offset + len(content)] = content

    def truncate(self, path: str, size: int) -> None:
        del self._file(path)[size:]

    def sync(self, path: str) -> None:
        self._file(path)
        self._machine.sync(path)

    def sync_folder(self, path: str) -> None:
        self._pause()
        self._machine.sync_folder(path)

    def replace(self, path: str, target: str) -> None:
        file = self._file(path)
        del self._machine.files[path]
        self._machine.files[target] = file
        self.replaced(target)

    def remove(self, path: str) -> None:
        self._pause()
        self._machine.files.pop(path, None)

    @contextmanager
    def locked(self, waiting: Callable[[], bool]) -> Iterator[bool]:
        machine: Any = self._machine
        self._pause()
        while machine.holder is not None:
            if self.works:
                self._pause()
            else:
                # Who waits for another one does nothing else.
                machine.holder.step()
        machine.holder = self
        try:
            yield True
        finally:
            machine.holder = None

    def _file(self, path: str) -> bytearray:
        self._pause()
        file = self._machine.files.get(path)
        if file is None:
            raise FileNotFoundError(errno.ENOENT, "no such file", path)
        return file

    def _pause(self) -> None:
        if threading.current_thread() is self._thread:
            self._stands.release()
            self._go.acquire()
        if self._killed:
            raise Killed


def _folder(path: str) -> str:
    return path.rpartition("/")[0]
