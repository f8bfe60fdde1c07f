"""Where the fields are in a document, struct types that read them, and what readers return."""

import re
from collections.abc import Iterable, Mapping
from itertools import combinations
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import msgspec

from streamagg.errors import SettingsError
from streamagg.model.columns import Columns, Int64Column, column_of
from streamagg.model.field_path import keys_of
from streamagg.model.groups import NO_TEXTS, GroupTexts
from streamagg.model.settings import DecodeSettings, MeasureSettings

MAX_USER_BYTES: Final = 512
"""docs/decoding.md promises it. A UUID has 36; what is longer is text from the wrong field."""
MAX_GROUP_FIELDS: Final = 4
MAX_VALUES: Final = 24
"""Columns of values. The reader in C has a bit for each field."""

Keys = tuple[str, ...]
"""From the root of the document to a field."""
Tree = dict[str, Any]
"""What is below a key: another tree; of the last key of a path, the path."""


class Readings(NamedTuple):
    """What a reader makes of ``n`` payloads; the rows of those it refuses hold anything."""

    event_time_ms: Int64Column
    """Shape ``(n,)``."""
    columns: Columns
    """Those of ``model.columns.schema_of``, shape ``(n,)``."""
    refused: list[int]
    """Positions of the payloads that are not certainly right, ascending."""
    groups: GroupTexts = NO_TEXTS
    """At least those of the rows."""
    ignored: Mapping[str, int] = MappingProxyType({})
    """Rows whose value is none and not null, by column; without zeros."""


class Value(NamedTuple):
    """A field whose values are a column."""

    column: str
    keys: Keys
    hashed: bool
    """As ids; else as numbers."""


class Paths(NamedTuple):
    """Where all fields are: no path is the beginning of another one, but some may be equal."""

    time: Keys
    user: Keys | None
    groups: tuple[Keys, ...]
    values: tuple[Value, ...]
    """In the order of their columns."""

    @property
    def required(self) -> tuple[Keys, ...]:
        """Those of the fields that every record must have."""
        return (self.time,) if self.user is None else (self.time, self.user)

    @property
    def all(self) -> tuple[Keys, ...]:
        """Those of all fields."""
        return (*self.required, *self.groups, *(value.keys for value in self.values))


def find_paths(settings: DecodeSettings) -> Paths:
    """Raises SettingsError if a path is malformed, contains another one or may not be equal to it, or if
    there are too many of them."""
    time = _split("time_field", settings.time_field)
    user = None if settings.user_field is None else _split("user_field", settings.user_field)
    groups = tuple(_split("group_by", path) for path in settings.group_by)
    values = tuple(dict.fromkeys(map(_value, settings.measures)))
    if len(groups) > MAX_GROUP_FIELDS:
        raise SettingsError(f"group_by names {len(groups)} fields. Name {MAX_GROUP_FIELDS} at most.")
    if len(values) > MAX_VALUES:
        raise SettingsError(
            f"The measures take {len(values)} different values of a record. Take {MAX_VALUES} at most."
        )
    named = [("time_field", time), *([("user_field", user)] if user else [])]
    named += [("group_by", keys) for keys in groups]
    named += [("measure", value.keys) for value in values]
    _refuse_overlaps(named)
    return Paths(time, user, groups, values)


def _value(measure: MeasureSettings) -> Value:
    keys, hashed = _split(f"measure {measure.name}", measure.path), measure.op == "uniques"
    return Value(column_of(measure), keys, hashed)


def _refuse_overlaps(named: Iterable[tuple[str, Keys]]) -> None:
    """Raises SettingsError if a field contains another one, or is the time and something that cannot be."""
    for (setting, keys), (other, other_keys) in combinations(named, 2):
        same = keys == other_keys
        depth = min(len(keys), len(other_keys))
        if (not same and keys[:depth] == other_keys[:depth]) or (
            same and setting == "time_field" and other != "measure"
        ):
            raise SettingsError(
                f"{setting} {_joined(keys)!r} and {other} {_joined(other_keys)!r} are the same field, or one"
                " contains the other. Name two separate fields."
            )


def _joined(keys: Keys) -> str:
    return ".".join(key.replace(".", r"\.") for key in keys)


def _split(setting: str, path: str) -> Keys:
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


def tree_of(paths: Iterable[Keys]) -> Tree:
    """These paths, by their keys."""
    tree: Tree = {}
    for keys in paths:
        below = tree
        for key in keys[:-1]:
            below = below.setdefault(key, {})
        below[keys[-1]] = keys
    return tree


def index_of(key: str) -> int | None:
    """The number of the element that a key names where the document has an array; None: it names none."""
    return int(key) if re.fullmatch("0|[1-9][0-9]{0,17}", key) else None


def struct_type(**fields: tuple[Any, ...]) -> Any:
    """A struct type whose attributes are read from keys: ``attribute=(key, type)`` or with a default."""
    return msgspec.defstruct(
        "Row",
        [(attribute, *type_and_default) for attribute, (_, *type_and_default) in fields.items()],
        rename={attribute: key for attribute, (key, *_) in fields.items()},
        gc=False,
    )
