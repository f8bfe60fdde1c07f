"""Documents that a decoder would rather not see: mutations of the conformance corpus, and JSON made up."""

import gzip
import json
from collections.abc import Callable
from random import Random
from typing import Final, NamedTuple

from streamagg.model.field_path import keys_of
from streamagg.model.settings import DecodeSettings, MeasureSettings
from tests.support.corpus import CASES, payload_of, settings_of

LONGEST: Final = 1_200_000
"""Bytes of a document: a little more than what is decoded at all."""
_USUAL: Final = 4_096

_TOKENS: Final = [
    *(b'{ } [ ] , : " \\ 0 -0 1 -1 1e5 1E-5 1e999 0.1 1.0 NaN Infinity -Infinity null true false'.split()),
    *(b'"ts": "uid": "event": "time": "user": "id": "\\u0074s": "u\\u0069d": "1468244384"'.split()),
    *(b"\\u0000 \\ud83d \\ude00 \\ud83d\\ude00 \\u00e9 \\/ \\b \\x \\u12 253402300799.999".split()),
    *(b'"2016-07-11T13:39:44Z" "9999-12-31T23:59:59.999Z" 9223372036854775807 18446744073709551616'.split()),
    *(
        b"\x00 \xef\xbb\xbf \xff \xc3 \xc0\x80 \xed\xa0\x80 \xf4\x90\x80\x80 \xe2\x80\xa8 \x7f \x1f".split(
            b" "
        )
    ),
    b" ",
    b"\t",
    b"\r\n",
    b'{"ts":1,"uid":"u"}',
    "é😀".encode(),
]
_KEYS: Final = [
    "ts",
    "uid",
    "value",
    "event",
    "time",
    "user",
    "id",
    "meta",
    "x",
    "",
    "é",
    "t\\u0073",
    "\\u0075id",
]
RICH: Final = DecodeSettings(
    group_by=("x", "event.0", "user.id", "uid"),
    measures=(
        MeasureSettings("a", "sum", "value"),
        MeasureSettings("b", "uniques", "value"),
        MeasureSettings("c", "max", "event.2"),
        MeasureSettings("d", "min", "ts"),
        MeasureSettings("e", "uniques", "x"),
    ),
    hash_seed=17,
)
"""Everything that can be wanted, in equal places and in others."""


class Document(NamedTuple):
    """A payload, and by which settings to decode it."""

    settings: DecodeSettings
    payload: bytes


def corpus() -> list[Document]:
    """The cases of the conformance corpus that have a value."""
    made = ((settings_of(case), payload_of(case)) for case in CASES)
    return [Document(settings, payload) for settings, payload in made if payload is not None]


class Maker:
    """Makes documents out of a seed."""

    def __init__(self, seed: int | str) -> None:
        self._chance = Random(seed)
        self._corpus = corpus()
        self._short = [document for document in self._corpus if len(document.payload) <= _USUAL]
        found = {document.settings: None for document in self._corpus}
        self._settings = [DecodeSettings(), DecodeSettings(time_unit="iso8601"), *[RICH] * 20, *found]
        self._mutations: list[Callable[[bytearray], None]] = [
            *[self._flip, self._put_token, self._cut_out, self._copy_part, self._splice] * 4,
            *[self._swap_digits, self._truncate, self._wrap, self._stretch],
        ]

    def batch(self, size: int) -> list[Document]:
        """So many documents that are decoded by the same settings."""
        settings = self._chance.choice(self._settings)
        return [Document(settings, self._payload(settings)) for _ in range(size)]

    def _payload(self, settings: DecodeSettings) -> bytes:
        chance = self._chance
        luck = chance.random()
        if luck < 0.1:
            payload = bytearray(self._made_up(4).encode("utf-8", "surrogatepass"))
        elif luck < 0.5:
            payload = bytearray(self._likely(settings).encode("utf-8", "surrogatepass"))
        elif luck < 0.998:
            payload = bytearray(chance.choice(self._short).payload)
        else:
            payload = bytearray(chance.choice(self._corpus).payload)
        for _ in range(chance.choice([0, 0, 0, 1, 1, 1, 2, 3, 8])):
            chance.choice(self._mutations)(payload)
        if luck > 0.995:
            return self._encoded(bytes(payload[:LONGEST]))
        if settings.framing == "registry" and luck > 0.05:
            return b"\0\0\0\0\7" + bytes(payload[:LONGEST])
        return bytes(payload[:LONGEST])

    def _encoded(self, payload: bytes) -> bytes:
        text = payload.decode("utf-8", "replace")
        encoders: list[Callable[[], bytes]] = [
            lambda: text.encode("utf-16"),
            lambda: text.encode("utf-32-le"),
            lambda: b"\xef\xbb\xbf" + payload,
            lambda: gzip.compress(payload, 1, mtime=0),
            lambda: payload + b"\0",
            lambda: b"\0\0\0\0\7" + payload,
            lambda: b"\0\0\0\0\7\xef\xbb\xbf" + payload,
        ]
        return self._chance.choice(encoders)()

    def _likely(self, settings: DecodeSettings) -> str:
        """An object that has all fields where they belong, with values that may be good."""
        time, user = self._value(1), self._value(0)
        if self._chance.random() < 0.7:
            user = self._chance.choice(['"u1"', "17", "-5", '"\\u00e9"', '"é"', f'"{"a" * 140}"'])
        if self._chance.random() < 0.7:
            ts = self._chance.randrange(10 ** self._chance.choice([9, 11, 11, 13, 16, 18]))
            time = json.dumps("2016-07-11T13:39:44.123Z") if settings.time_unit == "iso8601" else str(ts)
        others = [*settings.group_by, *(measure.path for measure in settings.measures)]
        values = {path: self._value(self._chance.choice([0, 0, 1])) for path in others}
        values |= {settings.user_field or "uid": user, settings.time_field: time}
        return self._nested([(list(keys_of(path)), value) for path, value in values.items()], 2)

    def _nested(self, fields: list[tuple[list[str], str]], depth: int) -> str:
        """An object with values at these paths, and others beside them."""
        below = self._below(fields, depth)
        members = [self._member(depth) for _ in range(self._chance.choice([0, 0, 1, 2]))]
        members += [f'"{key}":{value}' for key, value in below.items()]
        self._chance.shuffle(members)
        return "{" + ",".join(members) + "}"

    def _listed(self, fields: list[tuple[list[str], str]], depth: int) -> str:
        """The same as an array, which has those whose keys are small numbers."""
        below = self._below(fields, depth)
        size = self._chance.randrange(5)
        return "[" + ",".join(below.get(str(at)) or self._value(1) for at in range(size)) + "]"

    def _below(self, fields: list[tuple[list[str], str]], depth: int) -> dict[str, str]:
        """By the first key, what is there."""
        made = {}
        for key in dict.fromkeys(path[0] for path, _ in fields):
            below = [(path[1:], value) for path, value in fields if path[0] == key]
            listed = below[0][0][:1] == ["0"] and self._chance.random() < 0.8
            make = self._listed if listed else self._nested
            made[key] = make(below, depth) if below[0][0] else below[0][1]
        return made

    def _made_up(self, depth: int) -> str:
        """An object with keys that matter, in any order and number."""
        members = [self._member(depth) for _ in range(self._chance.randrange(6))]
        blank = self._chance.choice(["", "", " ", "\n\t "])
        return "{" + f",{blank}".join(members) + blank + "}"

    def _member(self, depth: int) -> str:
        key = self._chance.choice(_KEYS)
        return f'"{key}":{self._value(depth)}'

    def _value(self, depth: int) -> str:
        chance = self._chance
        match chance.randrange(9 if depth else 7):
            case 0:
                return json.dumps(chance.choice(["u1", "", "1468244384.5", "é", "\x00", "\ud800", "a" * 129]))
            case 1 | 2:
                return self._number()
            case 3:
                return chance.choice(["true", "false", "null", "nul", "NaN"])
            case 4:
                return json.dumps(self._number())
            case 5:
                return json.dumps(
                    chance.choice(["2016-07-11T13:39:44Z", "2016-07-11 13:39:44.1239+02:00", "24"])
                )
            case 6:
                return json.dumps("".join(chr(chance.randrange(0x250)) for _ in range(chance.randrange(9))))
            case 7:
                return "[" + ",".join(self._value(depth - 1) for _ in range(chance.randrange(3))) + "]"
            case _:
                return self._made_up(depth - 1)

    def _number(self) -> str:
        chance = self._chance
        digits = str(chance.randrange(10 ** chance.choice([1, 10, 13, 16, 19, 22, 40])))
        sign = chance.choice(["", "", "", "-"])
        fraction = f".{chance.randrange(10 ** chance.choice([1, 3, 9, 20]))}" if chance.random() < 0.4 else ""
        exponent = f"{chance.choice('eE')}{chance.randrange(-330, 330)}" if chance.random() < 0.15 else ""
        return sign + digits + fraction + exponent

    def _place(self, payload: bytearray) -> int:
        return self._chance.randrange(len(payload) + 1)

    def _flip(self, payload: bytearray) -> None:
        if payload:
            payload[self._chance.randrange(len(payload))] ^= 1 << self._chance.randrange(8)

    def _put_token(self, payload: bytearray) -> None:
        at = self._place(payload)
        payload[at : at + self._chance.choice([0, 0, 1, 4])] = self._chance.choice(_TOKENS)

    def _cut_out(self, payload: bytearray) -> None:
        at = self._place(payload)
        del payload[at : at + self._chance.randrange(1, 12)]

    def _copy_part(self, payload: bytearray) -> None:
        first, at = self._place(payload), self._place(payload)
        payload[at:at] = payload[first : first + self._chance.randrange(1, 60)]

    def _splice(self, payload: bytearray) -> None:
        other = self._chance.choice(self._short).payload
        payload[self._place(payload) :] = other[self._chance.randrange(len(other) + 1) :]

    def _swap_digits(self, payload: bytearray) -> None:
        places = [at for at, byte in enumerate(payload[:_USUAL]) if 0x30 <= byte <= 0x39]
        for at in self._chance.sample(places, min(3, len(places))):
            payload[at] = self._chance.choice(b"0123456789-+.eE")

    def _truncate(self, payload: bytearray) -> None:
        del payload[self._place(payload) :]

    def _wrap(self, payload: bytearray) -> None:
        """Into arrays, or behind the key of an object, around the limit of depth or far beyond it."""
        levels = self._chance.choice([1, 2, 3, 8, 510, 511, 512, 513, self._chance.choice([900, 30_000])])
        opening, closing = self._chance.choice([(b"[", b"]"), (b'{"x":', b"}")])
        nest = opening * levels + b"1" + closing * self._chance.choice([levels, levels, levels - 1])
        at = payload.find(b"{") + 1
        payload[at:at] = b'"x":' + nest + b","

    def _stretch(self, payload: bytearray) -> None:
        """One byte or token, very often."""
        often = self._chance.choice([600, 5_000, 60_000])
        times = self._chance.choice([15, 16, 17, 120, 128, 130, 513, 600, often])
        at = self._place(payload)
        payload[at:at] = (
            self._chance.choice([*_TOKENS, b"7", b"a", b"\\u0061", b"[]", b"[],", b'"",']) * times
        )
