"""The files of a log whose offsets are given: columns, for there may be a million."""

from array import array
from bisect import bisect_left, bisect_right


class FileTable:
    """Files in order of their names, and so of their offsets."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.bases = array("q")
        """The offset of the front of each."""
        self.sizes = array("q")
        """Bytes on the disk, as last seen."""
        self.inodes = array("Q")
        self.modified = array("q")
        """When each was written to last, in nanoseconds: an inode may be used again."""

    def __len__(self) -> int:
        return len(self.names)

    def add(self, name: str, base: int, size: int, inode: int, modified_ns: int) -> None:
        """Behind all others."""
        self.names.append(name)
        self.bases.append(base)
        self.sizes.append(size)
        self.inodes.append(inode)
        self.modified.append(modified_ns)

    def find(self, offset: int) -> int:
        """The last file that begins there or before; -1 if there is none."""
        return bisect_right(self.bases, offset) - 1

    def index(self, name: str) -> int | None:
        """Where it is, if it is there."""
        at = bisect_left(self.names, name)
        return at if at < len(self.names) and self.names[at] == name else None

    def drop(self, count: int) -> None:
        """Forget the first ones."""
        for column in (self.names, self.bases, self.sizes, self.inodes, self.modified):
            del column[:count]
