"""A file system in memory that breaks off between any two things done to it, and forgets what was not synced.

What a real one may have kept when the machine dies: of a file what was synced, and any part of what was
written since; of a folder the names that were synced, and any of the changes since.
"""

import errno
import random
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


class Dies(BaseException):
    """The process, at this place."""


@dataclass
class _File:
    content: bytes = b""
    lasting: bytes = b""


_Names = dict[str, _File]


@dataclass
class World:
    """The disk that all processes share."""

    names: dict[str, _Names] = field(default_factory=lambda: {"": {}})
    """By folder."""
    lasting: dict[str, _Names] = field(default_factory=lambda: {"": {}})
    holder: object | None = None
    """Who has the lock."""

    def content(self, path: str) -> bytes | None:
        """Of a file; None if there is none."""
        folder, _, name = path.rpartition("/")
        found = self.names.get(folder, {}).get(name)
        return None if found is None else found.content

    def lose_power(self, chance: random.Random) -> None:
        """Only what lasts is there, and by chance some of the rest."""
        self.holder = None
        self.names = {
            folder: _either(self.lasting[folder], names, chance) for folder, names in self._kept(chance)
        }
        for names in self.names.values():
            for file in names.values():
                file.content = _partly(file, chance)
                file.lasting = file.content
        self.lasting = {folder: dict(names) for folder, names in self.names.items()}

    def _kept(self, chance: random.Random) -> Iterator[tuple[str, _Names]]:
        """Folders: one that nobody has synced the name of may be gone with all that is in it, or back."""
        gone: set[str] = set()
        for folder in sorted({*self.names, *self.lasting}):
            above = folder.rpartition("/")[0]
            sure = folder == "" or (folder in self.names and folder in self.lasting)
            if above in gone or not (sure or chance.random() < 0.5):
                gone.add(folder)
                continue
            self.lasting.setdefault(folder, {})
            yield folder, self.names.get(folder, {})


def _either(lasting: _Names, names: _Names, chance: random.Random) -> _Names:
    found: _Names = {}
    for name in sorted({*lasting, *names}):
        # Changes of one name are kept in order: the last one, or the one that lasts.
        source = names if chance.random() < 0.5 else lasting
        if name in source:
            found[name] = source[name]
    return found


def _partly(file: _File, chance: random.Random) -> bytes:
    if file.content == file.lasting:
        return file.lasting
    # What was written since may have got there in part; what lasts before it is not touched by that.
    shorter = min(len(file.content), len(file.lasting))
    untouched = next((at for at in range(shorter) if file.content[at] != file.lasting[at]), shorter)
    part = file.content[: chance.randint(untouched, len(file.content))]
    return chance.choice([file.lasting, file.content, part])


class Process:
    """One that works on the disk: implements ``FileSystem``, and dies or is stopped where it is told to."""

    def __init__(self, world: World, step: Callable[[str], None]) -> None:
        """``step`` is called before each operation, with what that is."""
        self._world = world
        self._step = step

    def read(self, path: str) -> bytes:
        self._step("read")
        return self._file(path).content

    def size(self, path: str) -> int:
        return len(self._file(path).content)

    def names(self, folder: str) -> list[str]:
        self._step("names")
        inside = f"{folder}/"
        below = [name.removeprefix(inside) for name in self._world.names if name.startswith(inside)]
        return [*self._world.names.get(folder, ()), *(name for name in below if "/" not in name)]

    def make_folder(self, path: str) -> bool:
        self._step("make_folder")
        if path in self._world.names:
            return False
        self._world.names[path] = {}
        return True

    def write(self, path: str, offset: int, content: bytes) -> None:
        self._step("write")
        folder, _, name = path.rpartition("/")
        file = self._folder(folder).setdefault(name, _File())
        self._put(file, offset, content[: len(content) // 2])
        self._step("write on")
        self._put(file, offset, content)

    def _put(self, file: _File, offset: int, content: bytes) -> None:
        before = file.content.ljust(offset, b"\0")
        file.content = before[:offset] + content + before[offset + len(content) :]

    def truncate(self, path: str, size: int) -> None:
        self._step("truncate")
        self._file(path).content = self._file(path).content[:size]

    def sync(self, path: str) -> None:
        self._step("sync")
        file = self._file(path)
        file.lasting = file.content

    def sync_folder(self, path: str) -> None:
        self._step("sync_folder")
        world = self._world
        world.lasting[path] = dict(self._folder(path))
        for folder in [*world.names, *world.lasting]:
            if not folder or folder.rpartition("/")[0] != path:
                continue
            if folder in world.names:
                world.lasting.setdefault(folder, {})
            else:
                world.lasting.pop(folder, None)

    def replace(self, path: str, target: str) -> None:
        self._step("replace")
        self._world.names[""][target] = self._world.names[""].pop(path)

    def remove(self, path: str) -> None:
        self._step("remove")
        folder, _, name = path.rpartition("/")
        self._world.names.get(folder, {}).pop(name, None)
        if self._world.names.get(path):
            raise OSError(errno.ENOTEMPTY, "Directory not empty", path)
        self._world.names.pop(path, None)

    @contextmanager
    def locked(self, waiting: Callable[[], bool]) -> Generator[bool]:
        self._step("lock")
        while self._world.holder is not None:
            if not waiting():
                yield False
                return
        self._world.holder = self
        try:
            yield True
        finally:
            # Of one that died the kernel takes it, and of one that was stopped it does not.
            if self._world.holder is self:
                self._world.holder = None

    def _file(self, path: str) -> _File:
        folder, _, name = path.rpartition("/")
        try:
            return self._folder(folder)[name]
        except KeyError:
            raise FileNotFoundError(errno.ENOENT, "No such file", path) from None

    def _folder(self, path: str) -> _Names:
        try:
            return self._world.names[path]
        except KeyError:
            raise FileNotFoundError(errno.ENOENT, "No such folder", path) from None
