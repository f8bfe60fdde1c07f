"""The strict reader: fast, and accepts only what is certainly right."""

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Annotated, Any, Final

import msgspec
import numpy as np
from msgspec import Meta
from xxhash import xxh3_64_intdigest

from streamagg.decode.depth import DEEPEST, may_be_too_deep
from streamagg.decode.event_time import UNITS, Iso8601, parse_iso8601
from streamagg.decode.fields import (
    MAX_USER_BYTES,
    Keys,
    Paths,
    Readings,
    Tree,
    find_paths,
    struct_type,
    tree_of,
)
from streamagg.decode.values import UNREADABLE
from streamagg.decode.wrapping import unwrapped
from streamagg.model.columns import schema_of
from streamagg.model.settings import DecodeSettings

_REFUSALS: Final = (*UNREADABLE, TypeError)
"""What msgspec raises of bad documents, and of None."""

# max_length counts code points, of at most four bytes each.
_USER_TYPE: Final[Any] = (
    Annotated[str, Meta(min_length=1, max_length=MAX_USER_BYTES // 4)]
    | Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
)


class StrictReader:
    """Reads certainly right records into rows: nested structs that follow the paths to time and user.

    It refuses all records of which more is wanted.
    """

    def __init__(self, settings: DecodeSettings) -> None:
        """Raises SettingsError as ``find_paths`` does."""
        self._schema = schema_of(settings)
        self._paths = paths = find_paths(settings)
        self._unit = UNITS[settings.time_unit]
        self._settings = settings
        tree = tree_of(paths.required)
        self._read: Callable[[Any], Any] = msgspec.json.Decoder(
            _row_type(tree, {paths.time: self._unit.json_type, paths.user: _USER_TYPE}),
            dec_hook=_decode_hook,
        ).decode
        self._time_of, *self._user_of = (attrgetter(_attribute(tree, keys)) for keys in paths.required)
        self._blank = self._read(_smallest_document(paths, self._unit.smallest))

    def read(self, payloads: Sequence[bytes | None]) -> Readings:
        """Records by column, and which were refused."""
        if self._paths.groups or self._paths.values:
            return self._nothing(len(payloads))
        rows: list[Any] = []
        refused: list[int] = []
        rest = map(self._read, self._documents(self._plausible(payloads)))
        while True:
            # When a payload is refused, extend has kept the rows before it, and the map goes on after it.
            try:
                rows.extend(rest)
                break
            except _REFUSALS:
                refused.append(len(rows))
                rows.append(self._blank)
        return self._readings(rows, refused)

    def _plausible(self, payloads: Sequence[bytes | None]) -> Sequence[bytes | None]:
        """None in the place of what is too large, or may be nested too deeply."""
        limit = self._settings.max_record_bytes
        if max(map(len, filter(None, payloads)), default=0) <= min(limit, DEEPEST):
            return payloads
        return [
            None if payload is None or len(payload) > limit or may_be_too_deep(payload) else payload
            for payload in payloads
        ]

    def _documents(self, payloads: Sequence[bytes | None]) -> Sequence[bytes | None]:
        """What is wrapped only here and there is refused, and left to the patient reader."""
        if self._settings.framing != "registry":
            return payloads
        return [None if payload is None else unwrapped(payload, "registry") for payload in payloads]

    def _nothing(self, count: int) -> Readings:
        return Readings(np.zeros(count, np.int64), self._schema.empty(count), list(range(count)))

    def _readings(self, rows: list[Any], refused: list[int]) -> Readings:
        event_time_ms = self._unit.to_ms(np.fromiter(map(self._time_of, rows), self._unit.dtype, len(rows)))
        seed = self._settings.hash_seed
        columns = [np.array(_hashes([*map(user, rows)], seed), np.uint64) for user in self._user_of]
        return Readings(event_time_ms, tuple(columns), refused)


def _row_type(tree: Tree, types: dict[Keys | None, Any]) -> Any:
    """A struct type with an attribute for each key, named by its place in the tree."""
    return struct_type(
        **{
            f"at{place}": (key, _row_type(below, types) if isinstance(below, dict) else types[below])
            for place, (key, below) in enumerate(tree.items())
        }
    )


def _attribute(tree: Tree, keys: Keys) -> str:
    """The dotted attribute of the row type that a path leads to."""
    names = []
    for key in keys:
        names.append(f"at{list(tree).index(key)}")
        tree = tree[key]
    return ".".join(names)


def _decode_hook(_: type, value: Any) -> Iso8601:
    if not isinstance(value, str):
        raise ValueError("not text")
    return Iso8601(parse_iso8601(value))


def _smallest_document(paths: Paths, time: int | str) -> bytes:
    document: dict[str, Any] = {}
    for keys, value in zip(paths.required, (time, "-"), strict=False):
        place = document
        for key in keys[:-1]:
            place = place.setdefault(key, {})
        place[keys[-1]] = value
    return msgspec.json.encode(document)


def _hashes(users: list[Any], seed: int) -> list[int]:
    try:
        return [xxh3_64_intdigest(user.encode(), seed) for user in users]
    except AttributeError:
        return [xxh3_64_intdigest(str(user).encode(), seed) for user in users]
