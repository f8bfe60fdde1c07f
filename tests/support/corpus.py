"""The frozen corpus of decoding: tests/conformance/decode.jsonl.

A line of it is one case: ``name``, ``settings`` (other than the defaults), ``input`` and ``expect``. The
input is text, ``{"base64": ...}`` for bytes, ``{"parts": [[text, count], ...]}`` for repeated text, or null
for a record without a value. Expected are ``ts_ms`` and ``user`` (text or ``parts``), or a ``reason``.
"""

import base64
import json
from pathlib import Path
from typing import Any, Final

from streamagg.model.settings import DecodeSettings

CORPUS: Final = Path(__file__).parents[1] / "conformance" / "decode.jsonl"
CASES: Final[list[dict[str, Any]]] = [json.loads(line) for line in CORPUS.read_bytes().split(b"\n") if line]


def settings_of(case: dict[str, Any]) -> DecodeSettings:
    """The settings that the record is decoded by."""
    return DecodeSettings(**case.get("settings", {}))


def unfold(text: str | dict[str, Any]) -> str:
    """A text that may be written as its parts."""
    return text if isinstance(text, str) else "".join(part * count for part, count in text["parts"])


def payload_of(case: dict[str, Any]) -> bytes | None:
    """The value of the record."""
    match case["input"]:
        case None:
            return None
        case {"base64": encoded}:
            return base64.b64decode(encoded)
        case text:
            return unfold(text).encode()
