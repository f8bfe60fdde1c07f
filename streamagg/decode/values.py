"""What the value of a field counts as, given as JSON: a user, part of a group, a number, an id."""

import math
import re
from typing import Final

import msgspec
from xxhash import xxh3_64_intdigest

from streamagg.decode.fields import MAX_USER_BYTES
from streamagg.model.groups import MAX_GROUP_BYTES

UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What msgspec raises: wrong JSON or type, not UTF-8, nested too deeply."""
NO_NUMBER: Final = math.nan
NO_HASH: Final = 0

_INTEGER: Final = re.compile(rb"-?(?:0|[1-9][0-9]*)")
_TEXT: Final = msgspec.json.Decoder(str)


def unquoted(json: bytes) -> str | bytes:
    """The text of a JSON string, or one of ``UNREADABLE``; any other value as it is."""
    return _TEXT.decode(json) if json[:1] == b'"' else json


def user_bytes(value: str | bytes) -> bytes:
    """Raises ValueError if the value, unquoted, is not a user id."""
    if isinstance(value, str):
        user = value.encode()
    elif _INTEGER.fullmatch(value):
        user = b"0" if value == b"-0" else value
    else:
        raise ValueError("neither text nor integer")
    if not 0 < len(user) <= MAX_USER_BYTES:
        raise ValueError("empty or too long")
    return user


def group_value(value: str | bytes | None) -> str | None:
    """What a value, unquoted, is as part of a group; raises ValueError if it cannot be."""
    if value is None or value == b"null":
        return None
    text = value if isinstance(value, str) else _scalar_text(value)
    if len(text.encode()) > MAX_GROUP_BYTES:
        raise ValueError("too long")
    return text


def _scalar_text(json: bytes) -> str:
    if json in (b"true", b"false"):
        return json.decode()
    if _INTEGER.fullmatch(json):
        return "0" if json == b"-0" else json.decode()
    number = float(json)
    if not math.isfinite(number):
        raise ValueError("beyond all range")
    return repr(number)


def number_in(json: bytes) -> float:
    """The nearest double, NO_NUMBER for null; raises ValueError if the value is to be ignored."""
    if json == b"null":
        return NO_NUMBER
    number = float(json)
    if not math.isfinite(number):
        raise ValueError("beyond all range")
    # -0 is 0.
    return number + 0.0


def hash_in(json: bytes, seed: int) -> int:
    """The hash of an id, NO_HASH for null; raises ValueError if the value is to be ignored."""
    if json == b"null":
        return NO_HASH
    try:
        value = unquoted(json)
    except UNREADABLE:
        raise ValueError("not UTF-8") from None
    return xxh3_64_intdigest(user_bytes(value), seed) or 1
