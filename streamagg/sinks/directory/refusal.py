"""What a file system means by an error."""

import errno
from typing import Final

from streamagg.errors import AccessDenied, PlaceError, StreamaggError, Unreachable

_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
_DENIED: Final = (errno.EACCES, errno.EPERM, errno.EROFS)
_GONE: Final = (errno.ENOENT, errno.ENOTDIR)


def refused(cause: OSError, name: str) -> StreamaggError:
    """What it means that a file system does not do something."""
    reason = cause.strerror or str(cause)
    if cause.errno in _DENIED:
        return AccessDenied(
            f"{name} cannot be written to as this user: {cause.filename or 'a file'}: {reason}."
        )
    if cause.errno in _GONE:
        return PlaceError(
            f"{name} has lost {cause.filename or 'a file'}: restore it, or start anew in another directory."
        )
    if cause.errno in _FULL:
        return Unreachable(f"{name} is on a disk that is full: make room there.")
    return Unreachable(f"{name} cannot be used: {reason}.")
