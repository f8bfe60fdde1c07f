"""What the directory source asks of a file system."""

import os
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol, cast

from streamagg.errors import FileUnreadable


class Stat(NamedTuple):
    """What is known of a file without reading it."""

    inode: int
    size: int
    modified_ns: int
    """When its content was written last."""
    changed_ns: int
    """When it was written, renamed or given other rights last."""


class Entries(NamedTuple):
    """What a directory holds, but for names that begin with a dot."""

    files: dict[str, int]
    """Inodes by name."""
    directories: list[str]


class Disk(Protocol):
    """A file system; who raises, raises FileUnreadable."""

    def stat(self, path: str) -> Stat | None:
        """None: there is no such file."""

    def entries(self, path: str) -> Entries | None:
        """None: there is no such directory."""

    def open(self, path: str) -> tuple[BinaryIO, Stat] | None:
        """Unbuffered; None: there is no such file."""

    def move(self, path: str, to: str) -> bool:
        """False if there is something under the other name, which stays; one that is gone needs no move."""


class LocalDisk:
    """That of this machine."""

    def stat(self, path: str) -> Stat | None:
        """Of what a symbolic link points to."""
        try:
            return _stat_of(os.stat(path))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _unreadable(path, error) from error

    def entries(self, path: str) -> Entries | None:
        """A symbolic link to a directory is not followed: it might lead back."""
        found = Entries({}, [])
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        found.directories.append(entry.name)
                    elif entry.is_file():
                        found.files[entry.name] = entry.inode()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _unreadable(path, error) from error
        return found

    def open(self, path: str) -> tuple[BinaryIO, Stat] | None:
        """A descriptor that nobody else closes."""
        try:
            file = open(path, "rb", buffering=0)  # noqa: SIM115 - whoever asked closes it
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _unreadable(path, error) from error
        return cast(BinaryIO, file), _stat_of(os.fstat(file.fileno()))

    def move(self, path: str, to: str) -> bool:
        """Within one file system."""
        if os.path.lexists(to):
            return False
        try:
            Path(to).parent.mkdir(parents=True, exist_ok=True)
            Path(path).rename(to)
        except FileNotFoundError:
            return True
        except OSError as error:
            raise FileUnreadable(f"Moving {path} to {to} failed: {error.strerror or error}.") from error
        return True


def below(path: str, *names: str) -> str:
    """The path of what is in a directory; empty names are left out."""
    return "/".join((path.rstrip("/") if path != "/" else "", *(name for name in names if name)))


def _stat_of(found: os.stat_result) -> Stat:
    return Stat(found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _unreadable(path: str, error: OSError) -> FileUnreadable:
    return FileUnreadable(f"Reading {path} failed: {error.strerror or error}.")
