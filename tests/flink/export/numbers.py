"""Doubles, and how they are written and read."""

import random
import struct
from collections.abc import Iterator
from typing import Any, Final

import orjson

_LINES: Final = 1_000
_IN_A_LINE: Final = 100


def numbers() -> Iterator[dict[str, Any]]:
    """One object for every hundred: the bits of each, and its text in JSON, of Python, and a longer one."""
    chance = random.Random(18)
    for _ in range(_LINES):
        values = [_double(chance) for _ in range(_IN_A_LINE)]
        yield {
            "bits": [struct.unpack("<q", struct.pack("<d", value))[0] for value in values],
            "json": [orjson.dumps(value).decode() for value in values],
            "python": [repr(value) for value in values],
            "long": [f"{value:.{chance.choice([16, 17, 20, 40])}e}" for value in values],
        }


def _double(chance: random.Random) -> float:
    """Finite; of any size, of few digits, or at the edge of a power."""
    match chance.randrange(5):
        case 0:
            return float(f"{chance.randrange(10 ** chance.randrange(1, 18))}e{_power(chance)}")
        case 1:
            edge = 2.0 ** chance.randrange(-1_074, 1_024)
            return _neighbour(edge, chance.randrange(-2, 3))
        case 2:
            return _neighbour(float(f"1e{_power(chance)}"), chance.randrange(-2, 3))
        case 3:
            return float(f"{chance.randrange(10**6)}e-{chance.randrange(8)}")
        case _:
            return _of_bits(chance.randrange(0x7FF << 52) | chance.randrange(2) << 63)


def _power(chance: random.Random) -> int:
    return chance.randrange(-340, 290) if chance.random() < 0.5 else chance.randrange(-25, 25)


def _neighbour(value: float, steps: int) -> float:
    bits: int = struct.unpack("<Q", struct.pack("<d", value))[0]
    return _of_bits(min(max(0, bits + steps), (0x7FF << 52) - 1))


def _of_bits(bits: int) -> float:
    (value,) = struct.unpack("<d", struct.pack("<Q", bits))
    return float(value)
