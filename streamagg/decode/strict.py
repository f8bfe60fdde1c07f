"""The strict reader: fast, and accepts only what is certainly right."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final

import msgspec
import numpy as np
from msgspec import Meta
from xxhash import xxh3_64_intdigest

from streamagg.decode.depth import DEEPEST, may_be_too_deep
from streamagg.decode.event_time import Iso8601, Unit, parse_iso8601
from streamagg.decode.fields import MAX_USER_BYTES, Paths, Readings, struct_type
from streamagg.decode.wrapping import unwrapped
from streamagg.model.settings import Framing

_REFUSALS: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, TypeError)
"""What msgspec raises: wrong JSON or type, not UTF-8, nested too deeply, None."""

# max_length counts code points, of at most four bytes each.
_USER_TYPE: Final[Any] = (
    Annotated[str, Meta(min_length=1, max_length=MAX_USER_BYTES // 4)]
    | Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
)


class StrictReader:
    """Reads certainly right records into rows: nested structs that follow the paths to the two fields."""

    def __init__(self, paths: Paths, unit: Unit, max_record_bytes: int, framing: Framing = "auto") -> None:
        self._paths = paths
        self._unit = unit
        self._max_record_bytes = max_record_bytes
        self._framing = framing
        row_type = struct_type(
            time=(paths.time[0], _nest(unit.json_type, "time", paths.time[1:])),
            user=(paths.user[0], _nest(_USER_TYPE, "user", paths.user[1:])),
        )
        row_type = _nest(row_type, "shared", paths.shared)
        self._read: Callable[[Any], Any] = msgspec.json.Decoder(row_type, dec_hook=_decode_hook).decode
        self._blank = self._read(_smallest_document(paths, unit.smallest))

    def read(self, payloads: Sequence[bytes | None]) -> Readings:
        """Records by column, and which were refused."""
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
        limit = self._max_record_bytes
        if max(map(len, filter(None, payloads)), default=0) <= min(limit, DEEPEST):
            return payloads
        return [
            None if payload is None or len(payload) > limit or may_be_too_deep(payload) else payload
            for payload in payloads
        ]

    def _documents(self, payloads: Sequence[bytes | None]) -> Sequence[bytes | None]:
        """What is wrapped only here and there is refused, and left to the patient reader."""
        if self._framing != "registry":
            return payloads
        return [None if payload is None else unwrapped(payload, "registry") for payload in payloads]

    def _readings(self, rows: list[Any], refused: list[int]) -> Readings:
        for _ in self._paths.shared:
            rows = [row.shared for row in rows]
        times = users = rows
        for _ in self._paths.time:
            times = [row.time for row in times]
        for _ in self._paths.user:
            users = [row.user for row in users]
        event_time_ms = self._unit.to_ms(np.fromiter(times, self._unit.dtype, len(rows)))
        user = np.fromiter(_hashes(users), np.uint64, len(rows))
        return Readings(event_time_ms, (user,), refused)


def _nest(inner: Any, attribute: str, keys: tuple[str, ...]) -> Any:
    for key in reversed(keys):
        inner = struct_type(**{attribute: (key, inner)})
    return inner


def _decode_hook(_: type, value: Any) -> Iso8601:
    if not isinstance(value, str):
        raise ValueError("not text")
    return Iso8601(parse_iso8601(value))


def _smallest_document(paths: Paths, time: int | str) -> bytes:
    document: dict[str, Any] = {}
    for path, value in ((paths.time, time), (paths.user, "-")):
        place = document
        for key in (*paths.shared, *path[:-1]):
            place = place.setdefault(key, {})
        place[path[-1]] = value
    return msgspec.json.encode(document)


def _hashes(users: list[Any]) -> list[int]:
    try:
        return [xxh3_64_intdigest(user.encode()) for user in users]
    except AttributeError:
        return [xxh3_64_intdigest(str(user).encode()) for user in users]
