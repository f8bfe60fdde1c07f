"""The patient reader: judges any payload by the rules, one at a time."""

import re
from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw
from xxhash import xxh3_64_intdigest

from streamagg.decode.depth import is_too_deep
from streamagg.decode.event_time import parse_time
from streamagg.decode.fields import MAX_USER_BYTES, Paths, struct_type
from streamagg.decode.wrapping import unwrapped
from streamagg.model.settings import Framing, TimeUnit

_INTEGER: Final = re.compile(rb"-?(?:0|[1-9][0-9]*)")
_TEXT: Final = msgspec.json.Decoder(str)

Verdict = tuple[int, ...] | str
"""Event time in milliseconds and what else the record carries, or the reason of the rejection."""


class PatientReader:
    """Reads any payload: cuts the two values out of the document as text, then judges them."""

    def __init__(self, paths: Paths, unit: TimeUnit, framing: Framing = "auto") -> None:
        self._framing = framing
        self._unit = unit
        self._shared = [_knife(value=key) for key in paths.shared]
        self._fork = _knife(time=paths.time[0], user=paths.user[0])
        self._time = [_knife(value=key) for key in paths.time[1:]]
        self._user = [_knife(value=key) for key in paths.user[1:]]

    def read(self, payload: bytes) -> Verdict:
        """The first that applies of: bad_json, missing_field, bad_time, bad_user, accepted."""
        document = unwrapped(payload, self._framing)
        if document is None:
            return "bad_json"
        try:
            time, user = self._cut(document)
            # Only now: what is no document at all is found out at less cost.
            if is_too_deep(document):
                return "bad_json"
            if time is UNSET or user is UNSET:
                return "missing_field"
            time_value, user_value = _unquote(time), _unquote(user)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return "bad_json"
        try:
            event_time_ms = _event_time_ms(time_value, self._unit)
        except ValueError:
            return "bad_time"
        try:
            return event_time_ms, xxh3_64_intdigest(_user_bytes(user_value))
        except ValueError:
            return "bad_user"

    def _cut(self, document: bytes) -> tuple[Any, Any]:
        """The two values as raw JSON (the last ones, of duplicates), UNSET where there is none."""
        document = document.lstrip(b" \t\r\n")
        if not _is_object(document):
            raise msgspec.DecodeError("not an object")
        fork = _descend(document, self._shared)
        if not _is_object(fork):
            return UNSET, UNSET
        row = self._fork.decode(fork)
        return _descend(row.time, self._time), _descend(row.user, self._user)


def _knife(**keys: str) -> msgspec.json.Decoder[Any]:
    """Reads raw values of an object as attributes, UNSET if absent, and checks the rest for structure."""
    return msgspec.json.Decoder(
        struct_type(**{attribute: (key, Raw, UNSET) for attribute, key in keys.items()})
    )


def _descend(value: Any, knives: list[msgspec.json.Decoder[Any]]) -> Any:
    for knife in knives:
        value = knife.decode(value).value if _is_object(value) else UNSET
    return value


def _is_object(value: Any) -> bool:
    return value is not UNSET and bytes(value)[:1] == b"{"


def _unquote(value: Raw) -> str | bytes:
    """The text of a JSON string; of any other value the JSON itself."""
    json = bytes(value)
    return _TEXT.decode(json) if json[:1] == b'"' else json


def _event_time_ms(value: str | bytes, unit: TimeUnit) -> int:
    """Raises ValueError if the value is not a time."""
    if isinstance(value, str):
        return parse_time(value, unit)
    if unit == "iso8601":
        raise ValueError("not text")
    return parse_time(value.decode("ascii"), unit)


def _user_bytes(value: str | bytes) -> bytes:
    """Raises ValueError if the value is not a user id."""
    if isinstance(value, str):
        user = value.encode()
    elif _INTEGER.fullmatch(value):
        user = b"0" if value == b"-0" else value
    else:
        raise ValueError("neither text nor integer")
    if not 0 < len(user) <= MAX_USER_BYTES:
        raise ValueError("empty or too long")
    return user
