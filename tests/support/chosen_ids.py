"""Ids of users made to have the hashes that somebody wants: xxh3 with no seed, run backwards.

A text of 8 bytes is one 64-bit number to xxh3, and every step from that to the hash can be undone
(https://github.com/Cyan4973/xxHash, ``XXH3_len_4to8_64b``).
"""

import numpy as np
from xxhash import xxh3_64_intdigest

from streamagg.model.columns import UInt64Column

_LENGTH = 8
_SECRET = 0x1CAD21F72C81017C ^ 0xDB979083E96DD4DE
_MULTIPLIER = 0x9FB21C651E98DF25
_BACK = np.uint64(pow(_MULTIPLIER, -1, 1 << 64))
_ALL_ASCII = np.uint64(0x8080808080808080)
_TRIED = 1 << 20


def ids_of_least_hashes(number: int) -> list[str]:
    """So many texts of 8 ASCII characters whose hashes are the least even ones: one of 256 has such a text.

    Even, for a sketch of DataSketches drops the last bit.
    """
    found: list[str] = []
    first = 0
    while len(found) < number:
        inputs = _undone(np.arange(first, first + _TRIED, 2, dtype=np.uint64))
        found += [_text(value) for value in inputs[inputs & _ALL_ASCII == 0].tolist()]
        first += _TRIED
    assert xxh3_64_intdigest(found[0].encode()) < _TRIED
    return found[:number]


def _undone(hashes: UInt64Column) -> UInt64Column:
    """What has these hashes."""
    value: UInt64Column = hashes ^ (hashes >> np.uint64(28)) ^ (hashes >> np.uint64(56))
    value = value * _BACK
    value ^= (value >> np.uint64(35)) + np.uint64(_LENGTH)
    value = value * _BACK
    # The rotations are 1 + x^24 + x^49 modulo x^64 - 1, whose 64th power is 1: its inverse is the 63rd.
    for doublings in range(6):
        value = value ^ _rotated(value, 24 << doublings) ^ _rotated(value, 49 << doublings)
    value ^= np.uint64(_SECRET)
    return value


def _rotated(value: UInt64Column, by: int) -> UInt64Column:
    left = by % 64
    rotated: UInt64Column = (value << np.uint64(left)) | (value >> np.uint64((64 - left) % 64))
    return rotated


def _text(value: int) -> str:
    """The first half of the text is the upper half of the number."""
    return ((value >> 32).to_bytes(4, "little") + (value & 0xFFFFFFFF).to_bytes(4, "little")).decode("ascii")
