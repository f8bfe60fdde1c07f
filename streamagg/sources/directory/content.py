"""What has to be known of the content of a file before it is read."""

from hashlib import sha256
from typing import BinaryIO, Final

import msgspec
import numpy as np

from streamagg.sources.directory.disk import Disk

_STEP_BYTES: Final = 64 << 10
_LONGEST_BYTES: Final = 1 << 20
"""Of a line without an end that is looked at."""
_DIGITS: Final = 16


NOTHING: Final = sha256().hexdigest()[:_DIGITS]
"""The digest of no bytes."""


def digest_of(disk: Disk, path: str, size: int) -> str:
    """Of the first bytes of a file; empty if it is gone, or shorter."""
    opened = disk.open(path)
    if opened is None:
        return ""
    with opened[0] as file:
        head = file.read(size)
    return sha256(head).hexdigest()[:_DIGITS] if len(head) == size else ""


def whole_lines(disk: Disk, path: str, begin: int, size: int, *, csv: bool) -> int:
    """Where the last whole record ends of those that begin at the byte ``begin`` or later.

    A line of JSON without an end is one if it is a whole document: whatever follows, it stays that.
    """
    opened = disk.open(path)
    if opened is None:
        return begin
    with opened[0] as file:
        return _last_record(file, begin, size) if csv else _last_line(file, begin, size)


def _last_line(file: BinaryIO, begin: int, size: int) -> int:
    at = size
    while at > begin:
        step = max(begin, at - _STEP_BYTES)
        file.seek(step)
        newline = file.read(at - step).rfind(b"\n")
        if newline >= 0:
            at = step + newline + 1
            break
        at = step
    if size - at > _LONGEST_BYTES:
        return at
    file.seek(at)
    return size if _is_document(file.read(size - at)) else at


def _is_document(line: bytes) -> bool:
    if not line.rstrip().endswith(b"}"):
        return not line.strip()
    try:
        msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True


def _last_record(file: BinaryIO, begin: int, size: int) -> int:
    """Behind the last newline that is not between quotes."""
    file.seek(begin)
    found, at, odd = begin, begin, 0
    while at < size and (block := file.read(min(_LONGEST_BYTES, size - at))):
        octets = np.frombuffer(block, np.uint8)
        quotes, newlines = np.flatnonzero(octets == ord('"')), np.flatnonzero(octets == ord("\n"))
        outside = newlines[(np.searchsorted(quotes, newlines) + odd) % 2 == 0]
        if len(outside):
            found = at + int(outside[-1]) + 1
        at, odd = at + len(block), (odd + len(quotes)) % 2
    return found
