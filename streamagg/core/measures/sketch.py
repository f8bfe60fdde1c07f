"""How many users there are, estimated from the smallest of their hashes: a theta sketch.

Hashes of users are uniform, so how dense the smallest are says how many there are in all. Which the
smallest are depends on the users alone: not on their order, on repetitions, on the number of shards.
The estimate and its bounds are those of Apache DataSketches (Dasgupta, Lang, Rhodes, Thaler:
A Framework for Estimating Stream Expression Cardinalities, 2016).
"""

import math
import struct
from dataclasses import dataclass
from typing import Final

import numpy as np

from streamagg.model.columns import UInt64Column
from streamagg.model.settings import SKETCH_USERS

KEPT_USERS: Final = SKETCH_USERS + 1
"""With the least hash that is not in it: what is below that is the sketch."""
DEVIATIONS: Final = 3
"""An estimate is within its error bound with 99.7 % probability."""
_ERROR_DIGITS: Final = 10_000
"""The error bound is rounded up to a hundredth of a per cent."""
_HEADER: Final = struct.Struct("<BBBxxBHIxxxxQ")
# The serialized form of DataSketches: a compact theta sketch of version 3, whose hashes have 63 bits.
_LONGS_OF_HEADER: Final = 3
_FORMAT_VERSION: Final = 3
_COMPACT_THETA: Final = 3
_READ_ONLY_COMPACT_ORDERED: Final = 0x02 | 0x08 | 0x10
_TO_63_BITS: Final = np.uint64(1)


@dataclass(frozen=True, slots=True)
class Estimate:
    """About how many users there are."""

    unique: int
    error: float
    """Greatest relative error, rounded up to 0.0001."""


def merged(one: UInt64Column, other: UInt64Column) -> UInt64Column:
    """The smallest of two shards, which share no user; ascending, shape ``(n,)``, ``n <= KEPT_USERS``."""
    users = np.concatenate([one, other])
    users.sort(kind="stable")
    return users[:KEPT_USERS]


def estimate(smallest: UInt64Column) -> Estimate:
    """Estimates from the ``KEPT_USERS`` smallest hashes, ascending; raises ValueError if they are fewer."""
    if len(smallest) != KEPT_USERS:
        raise ValueError(f"{len(smallest)} users are counted, not estimated")
    # An optional extra, which only an approximate count needs; the settings are refused without it.
    from datasketches import compact_theta_sketch  # type: ignore[import-untyped]

    sketch = compact_theta_sketch.deserialize(_serialized(smallest))
    found = sketch.get_estimate()
    bounds = (sketch.get_lower_bound(DEVIATIONS), sketch.get_upper_bound(DEVIATIONS))
    error = max(abs(bound - found) for bound in bounds) / found
    return Estimate(round(found), math.ceil(error * _ERROR_DIGITS) / _ERROR_DIGITS)


def _serialized(smallest: UInt64Column) -> bytes:
    """The sketch as DataSketches writes it, with our hashes in place of its own::

    0   1        2       3 4      5      6          8       12      16     24
    3   version  family  unused   flags  seed hash  hashes  unused  theta  hashes, uint64
    """
    from datasketches import update_theta_sketch

    hashes = smallest >> _TO_63_BITS
    header = _HEADER.pack(
        _LONGS_OF_HEADER,
        _FORMAT_VERSION,
        _COMPACT_THETA,
        _READ_ONLY_COMPACT_ORDERED,
        update_theta_sketch().compact().get_seed_hash(),
        SKETCH_USERS,
        int(hashes[-1]),
    )
    return header + hashes[:-1].tobytes()
