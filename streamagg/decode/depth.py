"""How deep a document is nested: a limit of our own, as those of the readers vary with Python."""

import re
from typing import Final

import numpy as np

DEEPEST: Final = 512
"""Nested objects and arrays, the document itself included: about half of the depth at which the recursion of
Python ends, so that every reader can promise it."""

_STRING: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_STEP: Final = np.zeros(256, np.int8)
_STEP[list(b"[{")] = 1
_STEP[list(b"]}")] = -1


def may_be_too_deep(document: bytes) -> bool:
    """False if it certainly is not; cheap."""
    if len(document) <= DEEPEST:
        return False
    return document.count(b"[") + document.count(b"{") > DEEPEST


def is_too_deep(document: bytes) -> bool:
    """True of a JSON document that is nested deeper than ``DEEPEST``; of other text, anything."""
    if not may_be_too_deep(document):
        return False
    steps = _STEP[np.frombuffer(_STRING.sub(b"", document), np.uint8)]
    return bool(np.cumsum(steps, dtype=np.int64).max(initial=0) > DEEPEST)
