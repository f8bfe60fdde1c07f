"""What a checkpoint remembers of a place in a log of files: where its offset is, and which file that was.

Text, ASCII without blanks, fields separated by commas, names in percent-encoding::

    directory,name,last,base,byte,size,inode,hashed,digest,changed_ns,ahead,between
"""

from dataclasses import astuple, dataclass
from os import fsdecode, fsencode
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from streamagg.errors import CheckpointError

HASHED_BYTES: Final = 1 << 10
"""Of the front of a file: enough to tell it from another one."""

CHANGED: Final = "-"
"""In the place of the digest of a file that was no longer the same: nothing is read on in it."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a log; with an empty name, that of a directory which had no file yet."""

    directory: str
    """Below the root; empty for the root itself."""
    name: str = ""
    last: str = ""
    """The last file of the directory that had offsets by then."""
    base: int = 0
    """The offset of the front of the file."""
    byte: int = 0
    """What of it is behind the place."""
    size: int = 0
    """Bytes of the file on the disk, as last seen."""
    inode: int = 0
    hashed: int = 0
    """So many bytes of its front have the digest."""
    digest: str = ""
    changed_ns: int = 0
    """When any file of the directory that was seen by then had changed last, by the file system's clock."""
    ahead: int = 0
    """Every offset given to a file by then is below it."""
    between: int = 0
    """So many files had offsets by then behind that of the place."""

    def encode(self) -> str:
        """As it is stored."""
        directory, name, last, *others = astuple(self)
        return ",".join([_quoted(directory), _quoted(name), _quoted(last), *map(str, others)])


def decode(text: str) -> Mark:
    """Read back what ``Mark.encode`` wrote; raises CheckpointError."""
    try:
        directory, name, last, base, byte, size, inode, hashed, digest, *seen = text.split(",")
        changed_ns, ahead, between = map(int, seen)
        place = (int(base), int(byte), int(size), int(inode), int(hashed), digest)
        return Mark(
            _unquoted(directory), _unquoted(name), _unquoted(last), *place, changed_ns, ahead, between
        )
    except ValueError as error:
        raise CheckpointError(
            "the committed checkpoint does not say which file it is of; start anew with --from earliest"
        ) from error


def _quoted(name: str) -> str:
    return quote(fsencode(name), safe="/")


def _unquoted(text: str) -> str:
    return fsdecode(unquote_to_bytes(text))
