"""Which aggregator owns a user."""

import numpy as np

from streamagg.model.columns import Columns, UInt64Column, selected

_HIGH_BITS = np.uint64(32)
"""The upper half of a hash decides the shard: multiplied by the number of shards, it fits into 64 bits."""


def split(columns: Columns, users: UInt64Column, shards: int) -> list[Columns]:
    """Rows by shard, columns of shape ``(n,)`` in, ``shards`` times columns out.

    ``users``: that column of them; all rows of a user are always in the same shard.
    """
    if shards == 1:
        return [columns]
    shard = shards_of(users, shards)
    return [selected(columns, shard == number) for number in range(shards)]


def shards_of(users: UInt64Column, shards: int) -> UInt64Column:
    """The shard of each user, shape ``(n,)``."""
    return ((users >> _HIGH_BITS) * np.uint64(shards)) >> _HIGH_BITS
