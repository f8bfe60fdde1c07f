"""The patient reader: judges any payload by the rules, one at a time."""

from typing import Any, Final, NamedTuple

import msgspec
from msgspec import UNSET, Raw
from xxhash import xxh3_64_intdigest

from streamagg.decode.depth import is_too_deep
from streamagg.decode.event_time import parse_time
from streamagg.decode.fields import Keys, Tree, Value, find_paths, index_of, struct_type, tree_of
from streamagg.decode.values import (
    NO_HASH,
    NO_NUMBER,
    UNREADABLE,
    group_value,
    hash_in,
    number_in,
    unquoted,
    user_bytes,
)
from streamagg.decode.wrapping import unwrapped
from streamagg.model.groups import group_id, group_text
from streamagg.model.settings import DecodeSettings, TimeUnit

_ELEMENTS: Final = msgspec.json.Decoder(list[Raw])


class Accepted(NamedTuple):
    """A record that is counted."""

    row: tuple[int | float, ...]
    """Event time in milliseconds and the columns of ``model.columns.schema_of``."""
    group: bytes | None = None
    """Text of its group, if there are groups."""
    ignored: tuple[str, ...] = ()
    """Columns of which the value is none, and not null."""


Verdict = Accepted | str
"""What a record comes to, or the reason of the rejection."""


class PatientReader:
    """Reads any payload: cuts the values out of the document as JSON, then judges them."""

    def __init__(self, settings: DecodeSettings) -> None:
        """Raises SettingsError as ``find_paths`` does."""
        self._settings = settings
        self._paths = paths = find_paths(settings)
        self._knife = _Knife(tree_of(paths.all))
        self._texts = {*paths.required, *paths.groups}
        """Where text has to be UTF-8."""

    def read(self, payload: bytes) -> Verdict:
        """The first that applies of: bad_json, missing_field, bad_time, bad_user, bad_group, accepted."""
        document = unwrapped(payload, self._settings.framing)
        if document is None:
            return "bad_json"
        try:
            found = self._cut(document)
            # Only now: what is no document at all is found out at less cost.
            if is_too_deep(document):
                return "bad_json"
            if not all(keys in found for keys in self._paths.required):
                return "missing_field"
            texts = {keys: unquoted(found[keys]) for keys in self._texts & found.keys()}
        except UNREADABLE:
            return "bad_json"
        return self._judge(texts, found)

    def _cut(self, document: bytes) -> dict[Keys, bytes]:
        """The values as JSON, by their paths (the last ones, of duplicates)."""
        document = document.lstrip(b" \t\r\n")
        if document[:1] != b"{":
            raise msgspec.DecodeError("not an object")
        found: dict[Keys, bytes] = {}
        self._knife.cut(document, found)
        return found

    def _judge(self, texts: dict[Keys, str | bytes], found: dict[Keys, bytes]) -> Verdict:
        paths, seed = self._paths, self._settings.hash_seed
        try:
            row: list[int | float] = [_event_time_ms(texts[paths.time], self._settings.time_unit)]
        except ValueError:
            return "bad_time"
        try:
            if paths.user is not None:
                row.append(xxh3_64_intdigest(user_bytes(texts[paths.user]), seed))
        except ValueError:
            return "bad_user"
        group = None
        try:
            if paths.groups:
                group = group_text(group_value(texts.get(keys)) for keys in paths.groups)
                row.append(group_id(group, seed))
        except ValueError:
            return "bad_group"
        ignored = []
        for value in paths.values:
            try:
                row.append(_cell(value, found.get(value.keys, b"null"), seed))
            except ValueError:
                row.append(NO_HASH if value.hashed else NO_NUMBER)
                ignored.append(value.column)
        return Accepted(tuple(row), group, tuple(ignored))


class _Knife:
    """Cuts the values at some paths out of an object, or out of an array by the keys that are indexes."""

    def __init__(self, tree: Tree) -> None:
        attributes = {f"at{number}": key for number, key in enumerate(tree)}
        # Raw values, UNSET if absent; the rest is checked for structure.
        self._decoder: Any = msgspec.json.Decoder(
            struct_type(**{attribute: (key, Raw, UNSET) for attribute, key in attributes.items()})
        )
        self._attributes = tuple(attributes)
        self._indexes = [index_of(key) for key in tree]
        self._below = [_Knife(below) if isinstance(below, dict) else below for below in tree.values()]

    def cut(self, json: bytes, found: dict[Keys, bytes]) -> None:
        """Add what is there, by its path."""
        for value, below in zip(self._values(json), self._below, strict=False):
            if value is UNSET:
                continue
            if isinstance(below, _Knife):
                below.cut(bytes(value), found)
            else:
                found[below] = bytes(value)

    def _values(self, json: bytes) -> list[Any]:
        """By key, in the order of the tree; UNSET if absent. None where it is neither object nor array."""
        if json[:1] == b"{":
            row = self._decoder.decode(json)
            return [getattr(row, attribute) for attribute in self._attributes]
        if json[:1] != b"[" or not any(index is not None for index in self._indexes):
            return []
        elements = _ELEMENTS.decode(json)
        return [
            UNSET if index is None or index >= len(elements) else elements[index] for index in self._indexes
        ]


def _event_time_ms(value: str | bytes, unit: TimeUnit) -> int:
    """Raises ValueError if the value is not a time."""
    if isinstance(value, str):
        return parse_time(value, unit)
    if unit == "iso8601":
        raise ValueError("not text")
    return parse_time(value.decode("ascii"), unit)


def _cell(value: Value, json: bytes, seed: int) -> float | int:
    return hash_in(json, seed) if value.hashed else number_in(json)
