"""A user lives in one shard, so the counts of shards add up."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamagg.core import sharding
from streamagg.model.columns import UInt64Column


def split(users: UInt64Column, shards: int) -> list[UInt64Column]:
    """Users by shard; a second column goes along with each."""
    parts = sharding.split((users, users.astype(np.float64)), users, shards)
    assert all((part[0].astype(np.float64) == part[1]).all() for part in parts)
    return [part[0] for part in parts]


@given(st.lists(st.integers(0, 2**64 - 1), max_size=60), st.integers(1, 9))
def test_the_shards_hold_every_row_once_and_every_user_in_one_place(numbers: list[int], shards: int) -> None:
    parts = split(np.array(numbers * 2, np.uint64), shards)
    assert len(parts) == shards
    assert sorted(np.concatenate(parts).tolist()) == sorted(numbers * 2)
    assert sum(len(set(part.tolist())) for part in parts) == len(set(numbers))


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=20), st.integers(1, 9))
def test_the_shard_of_a_user_does_not_depend_on_its_neighbours(numbers: list[int], shards: int) -> None:
    alone = [[len(part) for part in split(np.array([n], np.uint64), shards)].index(1) for n in numbers]
    together = split(np.array(numbers, np.uint64), shards)
    assert all(n in together[shard].tolist() for n, shard in zip(numbers, alone, strict=True))


@pytest.mark.parametrize("shards", [2, 3, 8])
def test_shards_are_about_equal(shards: int) -> None:
    users = np.random.default_rng(0).integers(0, 2**64 - 1, 30_000, dtype=np.uint64)
    sizes = [len(part) for part in split(users, shards)]
    assert max(sizes) < 1.1 * len(users) / shards
