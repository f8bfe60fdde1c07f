"""The shape of a document: the names of its fields and their types, never a value.

A name can also be a value, where users are the keys of an object: what looks like one is not shown.
"""

import json
import re
from collections import deque
from typing import Final, NoReturn

from streamagg.decode.fields import Keys, index_of

MOST_FIELDS: Final = 200
"""Fields of a document that are looked at: it bounds the time that one document takes, whatever is in it."""
_SHOWN: Final = 24
"""Fields listed: some six lines of a terminal."""
_MOST_KEYS: Final = 16
"""An object inside the document that has more is taken for a table, whose keys are values, not names."""
_DEEPEST: Final = 6
"""Keys in a path. Deeper objects are listed as such."""
_LONGEST: Final = 64
"""Characters of a name. What is longer may be a value, and is not shown."""
_NAME: Final = re.compile(r"[@$#_]?[^\W\d_][\w.$: -]*", re.UNICODE)
_MOST_DIGITS: Final = 3
"""Digits in a name: `address_2` is one, `1468244384` a value."""
_KINDS: Final[dict[type, str]] = {
    str: "text",
    bool: "boolean",
    int: "integer",
    float: "number with a fraction",
    list: "array",
    dict: "object",
}


class Digits(str):
    """The text of an integer, which may be longer than Python reads."""

    __slots__ = ()


def parse(text: str) -> object:
    """What JSON text says; integers as ``Digits``.

    Raises ValueError, of which json.JSONDecodeError is one, and RecursionError.
    """
    return json.loads(text, parse_int=Digits, parse_constant=_refuse)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def kind(value: object) -> str:
    """The type of a value, in words."""
    if isinstance(value, Digits):
        return "integer"
    return _KINDS.get(type(value), "null")


def at(document: object, keys: Keys, absent: object) -> object:
    """The value at a path, or ``absent``."""
    for key in keys:
        index = index_of(key)
        if isinstance(document, dict):
            document = document.get(key, absent)
        elif isinstance(document, list) and index is not None and index < len(document):
            document = document[index]
        else:
            return absent
    return document


class Shape:
    """The fields of one document, those near its root first."""

    def __init__(self, document: dict[str, object]) -> None:
        self.fields = _fields(document)
        """Values that are not objects, or objects that are not looked into, by path."""
        self._values = {str(value) for value in self.fields.values() if isinstance(value, str)}

    def name(self, keys: Keys) -> str | None:
        """A path as a setting writes it; None where one of its keys may be a value."""
        if any(self._is_value(key) for key in keys):
            return None
        return ".".join(key.replace(".", r"\.") for key in keys)

    def names(self) -> list[str]:
        """The fields that can be named."""
        return [name for keys in self.fields if (name := self.name(keys)) is not None]

    def text(self) -> str:
        """Names and types, no more than a person would read."""
        named = [(self.name(keys), kind(value)) for keys, value in self.fields.items()]
        shown = [f"`{name}` ({type_})" for name, type_ in named if name is not None][:_SHOWN]
        rest = len(named) - len(shown)
        more = [f"{rest} more field{'s' if rest > 1 else ''}"] if rest else []
        return ", ".join(shown + more) or "no fields"

    def _is_value(self, key: str) -> bool:
        many_digits = sum(map(str.isdigit, key)) > _MOST_DIGITS
        odd = len(key) > _LONGEST or not key.isprintable() or not _NAME.fullmatch(key)
        return many_digits or odd or key in self._values


def _fields(document: dict[str, object]) -> dict[Keys, object]:
    found: dict[Keys, object] = {}
    waiting = deque[tuple[Keys, object]](((key,), value) for key, value in document.items())
    while waiting and len(found) < MOST_FIELDS:
        keys, value = waiting.popleft()
        if isinstance(value, dict) and 0 < len(value) <= _MOST_KEYS and len(keys) < _DEEPEST:
            waiting.extend(((*keys, key), inner) for key, inner in value.items())
        else:
            found[keys] = value
    return found
