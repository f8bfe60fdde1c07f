"""The frozen corpus of decoding: tests/conformance/decode.jsonl.

A line of it is one case: ``name``, ``settings`` (other than the defaults), ``input`` and ``expect``. The
input is text, ``{"base64": ...}`` for bytes, ``{"parts": [[text, count], ...]}`` for repeated text, or null
for a record without a value. Expected are ``ts_ms`` and ``user`` (text or ``parts``; absent where no users
are counted), or a ``reason``; of groups the ``group``, a list of values (text, ``parts`` or null); of
measures ``values`` by column (null: none; of a ``hash:`` column the text that is hashed), and the columns
``ignored``.
"""

import base64
import json
from pathlib import Path
from typing import Any, Final

import orjson
from xxhash import xxh3_64_intdigest

from streamagg.model.settings import DecodeSettings, MeasureSettings
from tests.support.decoded import Outcome, Row

CORPUS: Final = Path(__file__).parents[1] / "conformance" / "decode.jsonl"
CASES: Final[list[dict[str, Any]]] = [json.loads(line) for line in CORPUS.read_bytes().split(b"\n") if line]


def settings_of(case: dict[str, Any]) -> DecodeSettings:
    """The settings that the record is decoded by."""
    return decode_settings(case.get("settings", {}))


def decode_settings(said: dict[str, Any]) -> DecodeSettings:
    """Settings as JSON has them."""
    measures = tuple(MeasureSettings(**measure) for measure in said.get("measures", ()))
    return DecodeSettings(**said | {"group_by": tuple(said.get("group_by", ())), "measures": measures})


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


def expected(case: dict[str, Any]) -> Outcome:
    """What the record has to come to."""
    expect, seed = case["expect"], settings_of(case).hash_seed
    if "reason" in expect:
        return str(expect["reason"])
    user = xxh3_64_intdigest(unfold(expect["user"]).encode(), seed) if "user" in expect else None
    group = None
    if "group" in expect:
        group = orjson.dumps([None if part is None else unfold(part) for part in expect["group"]])
    values = tuple(
        (column, xxh3_64_intdigest(unfold(value).encode(), seed) if column[:5] == "hash:" else float(value))
        for column, value in expect.get("values", {}).items()
        if value is not None
    )
    return Row(expect["ts_ms"], user, group, values, tuple(sorted(expect.get("ignored", ()))))
