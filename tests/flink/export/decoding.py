"""Records, and what the decoder makes of them: the frozen corpus, and mutations of it."""

import base64
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from streamagg.decode import Decoder
from streamagg.model.columns import GROUP_COLUMN, USER_COLUMN, schema_of
from streamagg.model.settings import DecodeSettings
from tests.fuzz.documents import Maker
from tests.support.corpus import CASES, expected, payload_of, settings_of
from tests.support.decoded import Outcome, Row, decode_rows

_BATCHES: Final = 300
_DOCUMENTS: Final = 40
_LONGEST: Final = 20_000
"""Bytes of a made-up document: longer ones are in the corpus."""


def decoding() -> Iterator[dict[str, Any]]:
    """One object for each record."""
    for case in CASES:
        yield _line(case["name"], settings_of(case), payload_of(case), expected(case))
    maker = Maker(18)
    for number in range(_BATCHES):
        documents = [document for document in maker.batch(_DOCUMENTS) if len(document.payload) <= _LONGEST]
        settings, payloads = documents[0].settings, [document.payload for document in documents]
        outcomes = decode_rows(Decoder(settings), payloads, settings)
        for payload, outcome in zip(payloads, outcomes, strict=True):
            yield _line(f"made up {number}", settings, payload, outcome)


def _line(name: str, settings: DecodeSettings, payload: bytes | None, outcome: Outcome) -> dict[str, Any]:
    encoded = None if payload is None else base64.b64encode(payload).decode()
    said = msgspec.to_builtins(settings)
    expect = {"reason": outcome} if isinstance(outcome, str) else _row(outcome, settings)
    return {"name": name, "settings": said, "payload": encoded, "expect": expect}


def _row(row: Row, settings: DecodeSettings) -> dict[str, Any]:
    names = [name for name in schema_of(settings).names if name not in (USER_COLUMN, GROUP_COLUMN)]
    values = dict(row.values)
    return {
        "time_ms": row.time_ms,
        "user": row.user or 0,
        "group": None if row.group is None else row.group.decode(),
        "cells": [_cell(name, values) for name in names],
        "ignored": [name for name in names if name in row.ignored],
    }


def _cell(name: str, values: dict[str, float | int]) -> float | int | str:
    """A hash, 0 for none; or a number as hexadecimal text, which no reader of JSON rounds."""
    if name.startswith("hash:"):
        return values.get(name, 0)
    return float(values.get(name, "nan")).hex()
