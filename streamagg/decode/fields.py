"""Where the two fields are in a document, struct types that read them, and what readers return."""

import re
from typing import Any, Final, NamedTuple

import msgspec

from streamagg.errors import SettingsError
from streamagg.model.columns import Columns, Int64Column
from streamagg.model.field_path import keys_of
from streamagg.model.settings import DecodeSettings

MAX_USER_BYTES: Final = 512
"""docs/decoding.md promises it. A UUID has 36; what is longer is text from the wrong field."""


class Readings(NamedTuple):
    """What a reader makes of ``n`` payloads; the rows of those it refuses hold anything."""

    event_time_ms: Int64Column
    """Shape ``(n,)``."""
    columns: Columns
    """Those of ``model.columns.ROWS``, shape ``(n,)``."""
    refused: list[int]
    """Positions of the payloads that are not certainly right, ascending."""


class Paths(NamedTuple):
    """Where the two fields are: the keys that both paths share, then the rest of each (never empty)."""

    shared: tuple[str, ...]
    time: tuple[str, ...]
    user: tuple[str, ...]


def find_paths(settings: DecodeSettings) -> Paths:
    """Raises SettingsError if the two field paths are malformed or one contains the other."""
    time = _split("time_field", settings.time_field)
    user = _split("user_field", settings.user_field or "")
    depth = 0
    while depth < min(len(time), len(user)) and time[depth] == user[depth]:
        depth += 1
    if depth in (len(time), len(user)):
        raise SettingsError(
            f"time_field {settings.time_field!r} and user_field {settings.user_field!r} are the same field,"
            " or one contains the other. Name two separate fields."
        )
    return Paths(time[:depth], time[depth:], user[depth:])


def _split(setting: str, path: str) -> tuple[str, ...]:
    """Cut a dotted path into keys; raises SettingsError if no document could hold them as they are."""
    try:
        keys = keys_of(path)
    except ValueError:
        raise SettingsError(
            f"{setting} {path!r} is empty or has an empty part, or a backslash before no dot."
            " Give the name of a field, or names joined by single dots such as event.user.id;"
            " a dot in a name is written \\."
        ) from None
    if any(re.search(r'["\\\x00-\x1f\ud800-\udfff]', key) for key in keys):
        raise SettingsError(
            f"{setting} {path!r} contains a quote, a backslash, a control character or half a surrogate pair."
            " Name a field that does without them."
        )
    return keys


def struct_type(**fields: tuple[Any, ...]) -> Any:
    """A struct type whose attributes are read from keys: ``attribute=(key, type)`` or with a default."""
    return msgspec.defstruct(
        "Row",
        [(attribute, *type_and_default) for attribute, (_, *type_and_default) in fields.items()],
        rename={attribute: key for attribute, (key, *_) in fields.items()},
        gc=False,
    )
