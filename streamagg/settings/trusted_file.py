"""Files that decide what streamagg does: read only when nobody else can have written them."""

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from streamagg.errors import SettingsError

TRUST_VARIABLE: Final = "STREAMAGG_TRUST_FILES"
"""``true``: files that others may write are read all the same."""
LARGEST_BYTES: Final = 1 << 20
"""Settings and secrets have kilobytes; what is larger is another file."""


@dataclass(frozen=True, slots=True)
class TrustedFile:
    """What was in the file."""

    text: str = field(repr=False)
    readable_by_all: bool
    """Every user of this machine may read it."""


def read_trusted(path: Path, what: str, *, trusting: bool) -> TrustedFile:
    """Reads a file as UTF-8; ``what`` begins the sentences of errors ("The settings file").

    A byte order mark before the text is left out.

    Raises ``SettingsError`` when it cannot be read, is larger than 1 MiB, is not text, or may be written by
    others than its reader and root, unless ``trusting``. What is judged is what was opened, so that
    nobody can exchange it in between.
    """
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if not trusting:
                _refuse_foreign_hands(path, what, status)
            content = file.read(LARGEST_BYTES + 1)
    except OSError as exc:
        raise SettingsError(f"{what} {path} cannot be read: {exc.strerror}.") from exc
    if len(content) > LARGEST_BYTES:
        raise SettingsError(f"{what} {path} is larger than {LARGEST_BYTES >> 20} MiB.")
    text = _decoded(content)
    if text is None:
        raise SettingsError(f"{what} {path} is not text in UTF-8.")
    return TrustedFile(text, bool(status.st_mode & stat.S_IROTH))


def _decoded(content: bytes) -> str | None:
    """None instead of an error, which would hold the content."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None


def _refuse_foreign_hands(path: Path, what: str, status: os.stat_result) -> None:
    if status.st_uid not in (0, os.geteuid()):
        who = f"belongs to the user with number {status.st_uid}, neither to this one nor to root"
        remedy = "Make it yours (chown)"
    elif status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        who = f"can be written by others (mode {stat.S_IMODE(status.st_mode):04o})"
        remedy = f"Run: chmod go-w {path}"
    else:
        return
    raise SettingsError(f"{what} {path} {who}. {remedy}, or set {TRUST_VARIABLE}=true to use it as it is.")
