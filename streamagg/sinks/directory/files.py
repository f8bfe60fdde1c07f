"""What is done to the files of a directory, so that tests can break off between any two of it."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Final, Protocol

from streamagg.events import Log

LOCK: Final = ".lock"
_LOOK_EVERY_S: Final = 0.02
_TELL_AFTER_S: Final = 5.0

log = Log(__name__)


class FileSystem(Protocol):
    """All paths are relative to one directory; every call may raise OSError."""

    def read(self, path: str) -> bytes:
        """All of a file."""

    def size(self, path: str) -> int:
        """Bytes of a file."""

    def names(self, folder: str) -> list[str]:
        """What is in a folder; nothing if there is none."""

    def make_folder(self, path: str) -> bool:
        """False if it is there."""

    def write(self, path: str, offset: int, content: bytes) -> None:
        """From this byte on, into a file that is made if there is none."""

    def truncate(self, path: str, size: int) -> None:
        """Cut off what is behind this byte."""

    def sync(self, path: str) -> None:
        """What was written to a file lasts from now on."""

    def sync_folder(self, path: str) -> None:
        """Which names are in a folder lasts from now on."""

    def replace(self, path: str, target: str) -> None:
        """Give a file another name, whose file is gone then, in one act."""

    def remove(self, path: str) -> None:
        """A file, or a folder that is empty; nothing if it is gone."""

    @contextmanager
    def locked(self, waiting: Callable[[], bool]) -> Iterator[bool]:
        """Nobody else is here meanwhile; False if ``waiting`` was false before that came."""


class Disk:
    """Implements ``FileSystem`` on a real one."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, path: str) -> bytes:
        return (self._root / path).read_bytes()

    def size(self, path: str) -> int:
        return (self._root / path).stat().st_size

    def names(self, folder: str) -> list[str]:
        try:
            return os.listdir(self._root / folder)
        except FileNotFoundError:
            return []

    def make_folder(self, path: str) -> bool:
        try:
            (self._root / path).mkdir()
        except FileExistsError:
            return False
        return True

    def write(self, path: str, offset: int, content: bytes) -> None:
        with self._open(path, os.O_WRONLY | os.O_CREAT) as file:
            view = memoryview(content)
            while view:
                written = os.pwrite(file, view, offset)
                view, offset = view[written:], offset + written

    def truncate(self, path: str, size: int) -> None:
        os.truncate(self._root / path, size)

    def sync(self, path: str) -> None:
        with self._open(path, os.O_RDONLY) as file:
            os.fsync(file)

    def sync_folder(self, path: str) -> None:
        with self._open(path, os.O_RDONLY | os.O_DIRECTORY) as folder:
            os.fsync(folder)

    def replace(self, path: str, target: str) -> None:
        (self._root / path).replace(self._root / target)

    def remove(self, path: str) -> None:
        whole = self._root / path
        with suppress(FileNotFoundError):
            whole.rmdir() if whole.is_dir() else whole.unlink()

    @contextmanager
    def locked(self, waiting: Callable[[], bool]) -> Iterator[bool]:
        # The kernel gives the lock up with the process that has it, however that ends.
        with self._open(LOCK, os.O_RDWR | os.O_CREAT) as file:
            yield _lock(file, waiting, self._root)

    @contextmanager
    def _open(self, path: str, flags: int) -> Iterator[int]:
        file = os.open(self._root / path, flags | os.O_CLOEXEC, 0o666)
        try:
            yield file
        finally:
            os.close(file)


def make_root(path: Path) -> None:
    """A directory, to last, in one that is there; raises OSError."""
    above = Disk(path.parent)
    if above.make_folder(path.name):
        above.sync_folder("")


def _lock(file: int, waiting: Callable[[], bool], root: Path) -> bool:
    tell_s = monotonic() + _TELL_AFTER_S
    while not try_lock(file):
        if not waiting():
            return False
        if monotonic() > tell_s:
            tell_s = float("inf")
            log.warning(
                "directory_locked",
                "waiting for a process that is in the middle of a publication to {directory}, or was stopped"
                " there",
                directory=str(root),
            )
        sleep(_LOOK_EVERY_S)
    return True


def try_lock(file: int) -> bool:
    """Take the exclusive lock of an open file; False if somebody else has it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
