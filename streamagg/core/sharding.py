"""Which aggregator owns a user."""

import numpy as np

from streamagg.model.columns import UInt64Column

_HIGH_BITS = np.uint64(32)
"""The upper half of a hash decides the shard: multiplied by the number of shards, it fits into 64 bits."""


def split(users: UInt64Column, shards: int) -> list[UInt64Column]:
    """Users by shard, shape ``(n,)`` in, ``shards`` columns out; a user is always in the same one."""
    if shards == 1:
        return [users]
    shard = ((users >> _HIGH_BITS) * np.uint64(shards)) >> _HIGH_BITS
    return [users[shard == number] for number in range(shards)]
