"""What is wrong with how documents are decoded: every reader against every other, and against json.

The opinions: the decoder with the reader in C, on objects and on places in memory, the one with the reader
in Python, the patient reader alone, and the recount of ``verify``, which shares no code with them. The
standard library's json is asked only about documents that are accepted.
"""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Final, overload

import numpy as np
from xxhash import xxh3_64_intdigest

from streamagg.decode import Decoder
from streamagg.decode.patient import PatientReader
from streamagg.model.field_path import keys_of
from streamagg.model.settings import DecodeSettings
from streamagg.tools.recount import Recounter, Rejected
from tests.support.decoded import Row, decode_rows, row_of, row_of_event

Opinion = Row | str
"""What was read of a record, or why it is rejected."""
MS_PER_UNIT: Final = {
    "s": Fraction(1_000),
    "ms": Fraction(1),
    "us": Fraction(1, 1_000),
    "ns": Fraction(1, 10**6),
}


@dataclass
class Difference:
    """A document about which opinions differ."""

    payload: bytes
    opinions: dict[str, Opinion]

    def __str__(self) -> str:
        start = self.payload[:200]
        return (
            f"{start!r}{'...' if start != self.payload else ''} ({len(self.payload)} bytes): {self.opinions}"
        )


@dataclass
class Judge:
    """Compares opinions on documents that are decoded by the same settings."""

    settings: DecodeSettings
    native: Decoder = field(init=False)
    strict: Decoder = field(init=False)

    def __post_init__(self) -> None:
        self.native = Decoder(self.settings, native=True)
        self.strict = Decoder(self.settings, native=False)
        self._patient = PatientReader(self.settings)
        self._recounter = Recounter(self.settings)

    def outcomes(self, payloads: Sequence[bytes]) -> list[Opinion]:
        """What the decoder makes of them."""
        return decode_rows(self.native, payloads, self.settings)

    def differences(self, payloads: Sequence[bytes]) -> Iterator[Difference]:
        """The documents about which opinions differ."""
        native, strict = self.outcomes(payloads), decode_rows(self.strict, payloads, self.settings)
        placed = decode_rows(self.native, Placed(payloads), self.settings)
        for payload, one, other, third in zip(payloads, native, strict, placed, strict=True):
            opinions = {"native": one, "strict": other, "placed": third, "recount": self._recounted(payload)}
            if one != "too_large":
                opinions["patient"] = row_of(self._patient.read(payload), self.settings)
            if not isinstance(one, str):
                opinions["json"] = by_json(payload, self.settings)
            if len(set(opinions.values())) > 1:
                yield Difference(payload, opinions)

    def _recounted(self, payload: bytes) -> Opinion:
        try:
            event = self._recounter.event(payload)
        except Rejected as rejected:
            return str(rejected)
        return row_of_event(event, self.settings)


class Placed(Sequence[bytes]):
    """Payloads that lie one behind the other in a block of memory, as fetched ones do."""

    def __init__(self, payloads: Sequence[bytes]) -> None:
        self._payloads = payloads
        self._block = np.frombuffer(b"".join(payloads) or b" ", np.uint8)
        sizes = np.array([len(payload) for payload in payloads], np.int64)
        starts = np.cumsum(sizes) - sizes + self._block.__array_interface__["data"][0]
        self.places = np.stack((starts, sizes), axis=1)
        """Address and size of each, shape ``(n, 2)``."""

    def __len__(self) -> int:
        return len(self._payloads)

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | Sequence[bytes]:
        return self._payloads[index]


class _Number(str):
    """A JSON number as it is written."""


def by_json(payload: bytes, settings: DecodeSettings) -> Opinion:
    """What the standard library finds of an accepted record, or why it finds it is none."""
    try:
        text = _document(payload, settings).decode("utf-8", "surrogateescape")
        document = json.loads(text, parse_int=_Number, parse_float=_Number)
        time_ms = _time_ms(_text(_at(document, settings.time_field)), settings.time_unit)
        user = None
        if settings.user_field is not None:
            user = _hash(_text(_at(document, settings.user_field)), settings)
        group = [_part(_at(document, path)) for path in settings.group_by]
        values, ignored = _values(document, settings)
        compact = json.dumps(group, ensure_ascii=False, separators=(",", ":")).encode() if group else None
    except (ValueError, LookupError, TypeError) as error:
        return f"json: {type(error).__name__}: {error}"
    return Row(time_ms, user, compact, values, ignored)


def _document(payload: bytes, settings: DecodeSettings) -> bytes:
    if settings.framing == "registry" or (settings.framing == "auto" and payload.startswith(b"\0")):
        if len(payload) < 5 or payload[0]:
            raise ValueError("no registry")
        payload = payload[5:]
    return payload.removeprefix(b"\xef\xbb\xbf")


def _at(document: Any, path: str) -> Any:
    """None if it is not there."""
    for key in keys_of(path):
        if isinstance(document, list):
            document = dict(zip(map(str, range(len(document))), document, strict=True))
        document = document.get(key) if isinstance(document, dict) else None
    return document


def _text(value: Any) -> str:
    if isinstance(value, _Number):
        return "0" if value == "-0" else str(value)
    if not isinstance(value, str):
        raise TypeError(type(value).__name__)
    return value


def _hash(text: str, settings: DecodeSettings) -> int:
    return xxh3_64_intdigest(text.encode(), settings.hash_seed)


def _is_integer(value: Any) -> bool:
    return isinstance(value, _Number) and not set(value) & set(".eE")


def _part(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    text = repr(float(value)) if isinstance(value, _Number) and not _is_integer(value) else _text(value)
    if len(text.encode()) > 256 or (isinstance(value, _Number) and "inf" in text):
        raise ValueError("no group")
    return text


def _values(
    document: Any, settings: DecodeSettings
) -> tuple[tuple[tuple[str, float | int], ...], tuple[str, ...]]:
    """Those that are there, by column, and the columns that have something else."""
    found, ignored = dict[str, float | int](), dict[str, None]()
    for measure in settings.measures:
        kind = "hash" if measure.op == "uniques" else "number"
        value, column = _at(document, measure.path), f"{kind}:{measure.path}"
        if value is None:
            continue
        try:
            found[column] = _hash(_id(value), settings) if kind == "hash" else _double(value)
        except (ValueError, TypeError):
            ignored[column] = None
    return tuple(found.items()), tuple(sorted(ignored))


def _id(value: Any) -> str:
    text = _text(value)
    if not 0 < len(text.encode()) <= 512 or (isinstance(value, _Number) and not _is_integer(value)):
        raise ValueError("no id")
    return text


def _double(value: Any) -> float:
    if not isinstance(value, _Number) or not math.isfinite(float(value)):
        raise ValueError("no number")
    return float(value) or 0.0


def _time_ms(value: str, unit: str) -> int:
    if unit == "iso8601":
        # What ISO 8601 text means is the recount's to say; json only has to have found the same text.
        return (
            Recounter(DecodeSettings(time_unit="iso8601"))
            .event(json.dumps({"ts": value, "uid": "u"}).encode())
            .time_ms
        )
    if not set(value) & set(".eE"):
        return math.floor(Fraction(value) * MS_PER_UNIT[unit])
    return math.floor(Fraction(repr(float(value))) * MS_PER_UNIT[unit])
