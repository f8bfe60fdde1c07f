"""What fills a generated record beside its two real fields: texts made once and used for many records."""

import json
from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np

FIRST_TIME_S: Final = 1_468_244_384
"""2016-07-11: the time in the record of docs and examples."""
SHAPES: Final = 64
"""Ways to spread the filling before, between and behind the two real fields."""
VARIANTS: Final = 8
"""Texts for each of the three places of a shape."""
TRIES: Final = 4
"""So many fields are tried before a plain text fills the rest of a place."""
DEEPEST: Final = 4
"""Objects within each other: what people nest by hand."""

NAMES: Final = (
    "account", "browser", "city", "device", "experiment", "feature", "group", "höhe", "item", "journey",
    "kanal", "locale", "market", "network", "origin", "profil", "query", "région", "session", "tariff",
)  # fmt: skip
TEXTS: Final = (
    'say "hello"', "C:\\data\\in", "first\nsecond\tline", "Zürich", "naïve café", "東京都", "Привет, мир",
    "🙂 fine", "a/b?c=d&e=f", "{[mobile]}, 64-bit", '{"ts":0,"uid":"not me"}', "\u2028", "",
)  # fmt: skip

LONG_TEXTS: Final = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/51.0.2704.103 Safari/537",
    "https://shop.example/de/damen/schuhe?sort=price&page=3&utm_source=newsletter&utm_campaign=2016-07",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 9_3_2 like Mac OS X) AppleWebKit/601.1.46 Version/9.0 Mobile/13F69",
    "https://news.example/2016/07/11/article-that-has-a-rather-long-title-and-a-number-4711.html#comments",
    "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
    "The parcel was handed over to the neighbour on the second floor, who signed for it at half past four.",
    "Grüße aus Österreich: die Lieferung kam pünktlich, nur die Verpackung war auf einer Seite eingedrückt.",
    "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ.c2ln",
)


class Shape(NamedTuple):
    """Texts for the three places; each is empty or made of whole fields with their commas."""

    before: list[bytes]
    between: list[bytes]
    behind: list[bytes]


class _Draw:
    """Whole numbers by chance, one at a time."""

    def __init__(self, seed: int) -> None:
        self._words = np.random.PCG64([seed, 1])

    def below(self, limit: int) -> int:
        return (int(self._words.random_raw()) >> 32) * limit >> 32


def shapes_of(seed: int, length: int) -> list[Shape]:
    """All shapes of a seed; the three places of a shape have together about ``length`` bytes."""
    draw = _Draw(seed)
    shapes = []
    for number in range(SHAPES):
        one, two = sorted((draw.below(length + 1), draw.below(length + 1)))
        if number % 8 == 0:
            one = 0
        if number % 8 == 1:
            two = length
        before, between, behind = (
            [_fields(draw, room, place) for _ in range(VARIANTS)]
            for place, room in (("a", one), ("b", two - one), ("c", length - two))
        )
        shapes.append(Shape(before, between, [b"," + text[:-1] if text else b"" for text in behind]))
    return shapes


def _fields(draw: _Draw, room: int, place: str) -> bytes:
    """Root fields of ``room`` bytes in all, or a few less, each followed by a comma."""
    text = b""
    for number in range(room):
        name = f"{place}{number}_{NAMES[draw.below(len(NAMES))]}"
        left = room - len(text)
        tried = (_field(name, _value(draw, 0), escape=draw.below(2) == 0) for _ in range(TRIES))
        field = next((field for field in tried if len(field) <= left), None)
        if field is None:
            return text + _plain_field(f"{place}{number}", left)
        text += field
    return text


def _field(name: str, value: object, *, escape: bool) -> bytes:
    rendered = json.dumps(value, ensure_ascii=escape, separators=(",", ":"))
    return f"{json.dumps(name, ensure_ascii=escape)}:{rendered},".encode()


def _plain_field(name: str, length: int) -> bytes:
    """A field of exactly ``length`` bytes, nothing if that is too short for one."""
    spare = length - len(_field(name, "", escape=True))
    return _field(name, ("lorem ipsum " * (spare // 12 + 1))[:spare], escape=True) if spare >= 0 else b""


def _value(draw: _Draw, depth: int) -> object:
    """A value of any JSON type; one kind of object holds decoys of the two real fields."""
    scalars: tuple[Callable[[], object], ...] = (
        lambda: TEXTS[draw.below(len(TEXTS))],
        # Most bytes of a real record are in its long texts: addresses, browsers, messages, tokens.
        *[lambda: LONG_TEXTS[draw.below(len(LONG_TEXTS))]] * 6,
        lambda: draw.below(1_000_000) - 500_000,
        lambda: draw.below(1_000_000) / 1_000,
        lambda: float(f"{draw.below(1_000)}.5e-7"),
        lambda: (True, False, None)[draw.below(3)],
    )
    nested: tuple[Callable[[], object], ...] = (
        lambda: [_value(draw, depth + 1) for _ in range(draw.below(5))],
        lambda: {NAMES[draw.below(len(NAMES))]: _value(draw, depth + 1) for _ in range(draw.below(4))},
        lambda: _decoy(draw, depth),
    )
    makers = scalars + nested if depth < DEEPEST else scalars
    return makers[draw.below(len(makers))]()


def _decoy(draw: _Draw, depth: int) -> object:
    """An object with fields of the same names as the real ones, which mean nothing here."""
    return {
        "uid": f"{draw.below(1 << 32):010x}",
        NAMES[draw.below(len(NAMES))]: _value(draw, depth + 1),
        "ts": FIRST_TIME_S + draw.below(100_000_000),
    }
