"""Where a field is in a document: keys joined by dots, and a backslash makes a dot part of a key."""

import re
from typing import Final

_KEY: Final = r"(?:[^.\\]|\\[.\\])+"
_PATH: Final = re.compile(rf"{_KEY}(?:\.{_KEY})*", re.DOTALL)


def keys_of(path: str) -> tuple[str, ...]:
    r"""The keys of ``event.user\.id``: ``event`` and ``user.id``.

    Raises ValueError if one is empty, or a backslash stands before anything but a dot or a backslash.
    """
    if not _PATH.fullmatch(path):
        raise ValueError("not a path of keys")
    return tuple(re.sub(r"\\(.)", r"\1", key) for key in re.findall(_KEY, path, re.DOTALL))
