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
from streamagg.decode.fields import find_paths
from streamagg.decode.patient import PatientReader
from streamagg.model.field_path import keys_of
from streamagg.model.settings import DecodeSettings
from streamagg.tools.recount import Recounter, Rejected
from tests.support.blocks import outcomes

Outcome = tuple[int, int] | str
"""Event time in milliseconds and hash of the user, or the reason of the rejection."""
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
    opinions: dict[str, Outcome]

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
        self._patient = PatientReader(
            find_paths(self.settings), self.settings.time_unit, self.settings.framing
        )
        self._recounter = Recounter(self.settings)

    def outcomes(self, payloads: Sequence[bytes]) -> list[Outcome]:
        """What the decoder makes of them."""
        return outcomes(self.native.decode(payloads))

    def differences(self, payloads: Sequence[bytes]) -> Iterator[Difference]:
        """The documents about which opinions differ."""
        native, strict = self.outcomes(payloads), outcomes(self.strict.decode(payloads))
        placed = outcomes(self.native.decode(Placed(payloads)))
        for payload, one, other, third in zip(payloads, native, strict, placed, strict=True):
            opinions = {"native": one, "strict": other, "placed": third, "recount": self._recounted(payload)}
            if one != "too_large":
                opinions["patient"] = self._patient.read(payload)
            if not isinstance(one, str):
                opinions["json"] = by_json(payload, self.settings)
            if len(set(opinions.values())) > 1:
                yield Difference(payload, opinions)

    def _recounted(self, payload: bytes) -> Outcome:
        try:
            event = self._recounter.event(payload)
        except Rejected as rejected:
            return str(rejected)
        return event.time_ms, xxh3_64_intdigest(event.user.encode())


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


def by_json(payload: bytes, settings: DecodeSettings) -> Outcome:
    """Time and user as the standard library finds them, or why it finds none."""
    try:
        text = _document(payload, settings).decode("utf-8", "surrogateescape")
        document = json.loads(text, parse_int=_Number, parse_float=_Number)
        time, user = (_at(document, path) for path in (settings.time_field, settings.user_field))
        return _time_ms(time, settings.time_unit), xxh3_64_intdigest(str(user).encode())
    except (ValueError, LookupError, TypeError) as error:
        return f"json: {type(error).__name__}: {error}"


def _document(payload: bytes, settings: DecodeSettings) -> bytes:
    if settings.framing == "registry" or (settings.framing == "auto" and payload.startswith(b"\0")):
        if len(payload) < 5 or payload[0]:
            raise ValueError("no registry")
        payload = payload[5:]
    return payload.removeprefix(b"\xef\xbb\xbf")


def _at(document: Any, path: str) -> Any:
    for key in keys_of(path):
        document = document[key]
    if isinstance(document, _Number):
        return "0" if document == "-0" else str(document)
    if not isinstance(document, str):
        raise TypeError(type(document).__name__)
    return document


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
