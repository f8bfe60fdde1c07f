"""Estimates from the smallest hashes."""

import math
import random

import numpy as np
import pytest
from xxhash import xxh3_64_intdigest

from streamagg.core.measures.sketch import KEPT_USERS, estimate, merged
from streamagg.model.columns import UInt64Column
from streamagg.model.settings import SKETCH_USERS, CeilingSettings
from streamagg.tools.recount import counted_users

pytest.importorskip("datasketches", reason="no wheel for this Python")


def hashes(number: int, seed: int) -> UInt64Column:
    return np.random.default_rng(seed).integers(0, 2**64, number, dtype=np.uint64)


def smallest(users: UInt64Column) -> UInt64Column:
    return np.sort(users)[:KEPT_USERS]


@pytest.mark.parametrize("number", [70_000, 200_000, 500_000])
def test_an_estimate_is_within_its_error_bound(number: int) -> None:
    """Three standard deviations: one of 370 is beyond it, and these seeds are none of those."""
    errors = []
    for seed in range(10):
        found = estimate(smallest(hashes(number, seed)))
        errors.append(abs(found.unique - number) / number)
        assert errors[-1] <= found.error
    expected = 3 * math.sqrt((1 - SKETCH_USERS / number) / SKETCH_USERS)
    assert found.error == pytest.approx(expected, rel=0.1)
    assert max(errors) > expected / 10, "too good to be an estimate"


def test_the_recount_comes_to_the_same_number_on_its_own_way() -> None:
    users = {f"user-{number}" for number in range(150_000)}
    column = np.array([xxh3_64_intdigest(user.encode()) for user in users], np.uint64)
    about = estimate(smallest(column))
    assert counted_users(users, CeilingSettings(100_000, "approximate")) == (about.unique, True)
    for ceiling in (CeilingSettings(150_000, "approximate"), CeilingSettings(10, "stop"), CeilingSettings()):
        assert counted_users(users, ceiling) == (150_000, False)


def test_shards_in_any_order_come_to_the_same_sketch() -> None:
    users = hashes(200_000, 3)
    whole = smallest(users)
    parts = [smallest(part) for part in np.array_split(users, 5)]
    for seed in range(3):
        random.Random(seed).shuffle(parts)
        joined = np.empty(0, np.uint64)
        for part in parts:
            joined = merged([joined, part])
        assert np.array_equal(joined, whole)


def test_too_few_users_are_no_sketch() -> None:
    with pytest.raises(ValueError, match="65536 users are counted"):
        estimate(np.arange(SKETCH_USERS, dtype=np.uint64))
