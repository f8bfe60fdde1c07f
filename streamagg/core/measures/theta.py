"""Theta sketches in the binary format of Apache DataSketches, written without that library.

A sketch of a set of users is the smallest of their hashes, and theta, which all of these are below: every
user whose hash is below theta is in it. Which they are depends on the set alone. Sketches can be united,
intersected and subtracted (Dasgupta, Lang, Rhodes, Thaler: A Framework for Estimating Stream Expression
Cardinalities, 2016). What is written is a compact theta sketch of version 3, ordered, not compressed::

    0          1        2       3       5      6          8       12      16     24
    preamble   version  family  unused  flags  seed hash  hashes  unused  theta  hashes, uint64

The preamble is that many times 8 bytes: 1 for a set of at most one user, whose hash follows at 8; 2 for one
that is whole, whose hashes follow at 16; 3 with theta. Numbers are little-endian, hashes have 63 bits.
"""

import struct
from typing import Final

import numpy as np

from streamagg.model.columns import UInt64Column

NOMINAL: Final = 4_096
"""Hashes of a published sketch, at most: 32 KB, and a standard error of 1.6 %."""
SEED_HASH: Final = 0x93CC
"""Of the default seed, 9001: readers refuse to merge sketches that differ in it. It stands for our hashes,
which are not those of DataSketches: such sketches can be merged with each other only."""
_WHOLE: Final = (1 << 63) - 1
"""Theta of a sketch that holds all hashes."""
_LEAST, _MOST = np.uint64(1), np.uint64(_WHOLE - 1)
_TO_63_BITS: Final = np.uint64(1)
_VERSION: Final = 3
_COMPACT: Final = 3
_FLAGS: Final = 0x02 | 0x08 | 0x10
"""Read-only, compact, ordered."""
_EMPTY: Final = 0x04
_START: Final = struct.Struct("<BBBxxBH")
_NUMBER: Final = struct.Struct("<Ixxxx")
_THETA: Final = struct.Struct("<Q")


def compact_theta(users: UInt64Column, nominal: int = NOMINAL) -> bytes:
    """The sketch of users; ascending and distinct, shape ``(n,)``.

    It holds all of them if they are no more than ``nominal``, else so many of the smallest. Of more than
    twice as many, the smallest ``2 * nominal + 6`` are enough.
    """
    hashes = _hashes(users[: 2 * nominal + 6])
    return written(hashes[:nominal], int(hashes[nominal]) if len(hashes) > nominal else _WHOLE)


def written(hashes: UInt64Column, theta: int) -> bytes:
    """A sketch of these hashes of 63 bits, ascending, all below ``theta``."""
    if theta != _WHOLE:
        return _start(3) + _NUMBER.pack(len(hashes)) + _THETA.pack(theta) + hashes.tobytes()
    if len(hashes) > 1:
        return _start(2) + _NUMBER.pack(len(hashes)) + hashes.tobytes()
    return _start(1, 0 if len(hashes) else _EMPTY) + hashes.tobytes()


def _start(longs: int, flags: int = 0) -> bytes:
    return _START.pack(longs, _VERSION, _COMPACT, _FLAGS | flags, SEED_HASH)


def _hashes(users: UInt64Column) -> UInt64Column:
    """Their hashes of 63 bits, ascending and distinct: neither 0 nor theta of a whole sketch.

    Two users share one at most, but four the least and four the greatest.
    """
    hashes = np.minimum(np.maximum(users >> _TO_63_BITS, _LEAST), _MOST)
    fresh = hashes[1:] != hashes[:-1]
    return hashes if fresh.all() else np.concatenate([hashes[:1], hashes[1:][fresh]])
