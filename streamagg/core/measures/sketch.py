"""How many users there are, estimated from the smallest of their hashes: a theta sketch.

Hashes of users are uniform, so how dense the smallest are says how many there are in all. Which the
smallest are depends on the users alone: not on their order, on repetitions, on the number of shards.
The estimate and its bounds are those of Apache DataSketches (Dasgupta, Lang, Rhodes, Thaler:
A Framework for Estimating Stream Expression Cardinalities, 2016).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from streamagg.core.measures.theta import written
from streamagg.model.columns import UInt64Column
from streamagg.model.settings import SKETCH_USERS

KEPT_USERS: Final = SKETCH_USERS + 1
"""With the least hash that is not in it: what is below that is the sketch."""
DEVIATIONS: Final = 3
"""An estimate is within its error bound with 99.7 % probability."""
_ERROR_DIGITS: Final = 10_000
"""The error bound is rounded up to a hundredth of a per cent."""
_TO_63_BITS: Final = np.uint64(1)


@dataclass(frozen=True, slots=True)
class Estimate:
    """About how many users there are."""

    unique: int
    error: float
    """Greatest relative error, rounded up to 0.0001."""


def merged(parts: Sequence[UInt64Column]) -> UInt64Column:
    """The smallest of shards, which share no user; ascending, shape ``(n,)``, ``n <= KEPT_USERS``."""
    users = np.concatenate(parts)
    users.sort(kind="stable")
    return users[:KEPT_USERS]


def estimate(smallest: UInt64Column) -> Estimate:
    """Estimates from the ``KEPT_USERS`` smallest hashes, ascending; raises ValueError if they are fewer."""
    if len(smallest) != KEPT_USERS:
        raise ValueError(f"{len(smallest)} users are counted, not estimated")
    # An optional extra, which only an approximate count needs; the settings are refused without it.
    from datasketches import compact_theta_sketch  # type: ignore[import-untyped]

    hashes = smallest >> _TO_63_BITS
    sketch = compact_theta_sketch.deserialize(written(hashes[:-1], int(hashes[-1])))
    found = sketch.get_estimate()
    bounds = (sketch.get_lower_bound(DEVIATIONS), sketch.get_upper_bound(DEVIATIONS))
    error = max(abs(bound - found) for bound in bounds) / found
    return Estimate(round(found), math.ceil(error * _ERROR_DIGITS) / _ERROR_DIGITS)
