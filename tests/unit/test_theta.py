"""Theta sketches that we write, as Apache DataSketches reads them, against exact sets."""

from itertools import permutations
from typing import Any

import numpy as np
import pytest

from streamagg.core.measures.theta import NOMINAL, SEED_HASH, compact_theta
from streamagg.model.columns import UInt64Column

datasketches = pytest.importorskip("datasketches", reason="no wheel for this Python")

SIZES = (0, 1, 2, 3, NOMINAL - 1, NOMINAL, NOMINAL + 1, 100_000)
GREATEST = (1 << 64) - 1


def users(number: int, seed: int) -> UInt64Column:
    """So many, ascending and distinct."""
    drawn = np.random.default_rng(seed).integers(0, 2**64, number, dtype=np.uint64)
    assert len(set(drawn.tolist())) == number
    return np.sort(drawn)


def read(written: bytes) -> Any:
    return datasketches.compact_theta_sketch.deserialize(written)


def sketch(of: UInt64Column | list[int], nominal: int = NOMINAL) -> Any:
    return read(compact_theta(np.array(of, np.uint64), nominal))


def check(result: Any, truth: int) -> None:
    """Exactly if nothing has been left out, else within three standard deviations, as these seeds are."""
    if result.is_estimation_mode():
        assert result.get_lower_bound(3) <= truth <= result.get_upper_bound(3)
    else:
        assert result.get_estimate() == truth


@pytest.mark.parametrize("size", SIZES)
class TestOneSketch:
    def test_the_bytes_are_those_of_the_library(self, size: int) -> None:
        """What we write is what it writes after it has read it: nothing in it has another meaning."""
        written = compact_theta(users(size, size))
        assert read(written).serialize() == written

    def test_it_holds_all_or_the_smallest(self, size: int) -> None:
        found = sketch(users(size, size))
        assert list(found) == (users(size, size)[:NOMINAL] >> np.uint64(1)).tolist()
        assert found.is_empty() == (size == 0)
        assert found.is_ordered()
        assert found.is_estimation_mode() == (size > NOMINAL)
        check(found, size)

    def test_it_is_a_function_of_the_set(self, size: int) -> None:
        """Also if only the smallest are given, as above a ceiling."""
        every = users(size, size)
        assert compact_theta(every[: 2 * NOMINAL + 6]) == compact_theta(every)


@pytest.mark.parametrize("one", SIZES)
@pytest.mark.parametrize("other", SIZES)
@pytest.mark.parametrize("shared", [0.0, 0.3, 1.0])
def test_set_operations_of_the_library_agree_with_exact_sets(one: int, other: int, shared: float) -> None:
    both = int(min(one, other) * shared)
    every = users(one + other - both, 7 * one + other)
    np.random.default_rng(one + other).shuffle(every)
    first, second = np.sort(every[:one]), np.sort(every[one - both :])
    assert len(second) == other
    left, right = sketch(first), sketch(second)

    union = datasketches.theta_union()
    union.update(left)
    union.update(right)
    check(union.get_result(), len(every))
    intersection = datasketches.theta_intersection()
    intersection.update(left)
    intersection.update(right)
    check(intersection.get_result(), both)
    check(datasketches.theta_a_not_b().compute(left, right), one - both)
    check(datasketches.theta_a_not_b().compute(right, left), other - both)


def test_a_union_of_parts_is_the_sketch_of_all() -> None:
    """In any order: an hour that is merged from its minutes is no worse than one counted at once."""
    every = users(30_000, 1)
    parts = [sketch(np.sort(part)) for part in np.array_split(np.random.default_rng(2).permutation(every), 3)]
    whole = sketch(every)
    for order in permutations(parts):
        union = datasketches.theta_union()
        for part in order:
            union.update(part)
        merged = union.get_result()
        check(merged, len(every))
        assert list(merged)[:1_000] == list(whole)[:1_000]


class TestTheEdges:
    def test_the_seed_hash_is_that_of_the_default_seed(self) -> None:
        assert datasketches.update_theta_sketch().compact().get_seed_hash() == SEED_HASH

    def test_two_users_that_share_63_bits_are_one(self) -> None:
        assert list(sketch([10, 11, 12])) == [5, 6]
        assert sketch([10, 11]).get_estimate() == 1

    @pytest.mark.parametrize(("of", "held"), [([0], 1), ([0, 1, 2, 3], 1), ([GREATEST], 2**63 - 2)])
    def test_no_hash_is_0_nor_theta(self, of: list[int], held: int) -> None:
        assert list(sketch(of)) == [held]

    def test_users_that_share_63_bits_neither_shorten_a_sketch_nor_make_it_whole(self) -> None:
        """Nominal 4: the least five are 1 (of 0 to 3), 2, 3, 4 and theta 5."""
        for most in (10, 14, 1_000):
            found = sketch(list(range(most)), 4)
            assert list(found) == [1, 2, 3, 4][: (most - 2) // 2]
            assert found.is_estimation_mode() == (most > 10)

    def test_as_few_users_as_can_fill_a_sketch(self) -> None:
        """Four at either end, all others in pairs: 14 of them are five hashes, so that there is a theta."""
        nominal = 4
        of = [0, 1, 2, 3, 10, 11, 12, 13, 14, 15, GREATEST - 3, GREATEST - 2, GREATEST - 1, GREATEST]
        assert len(of) == 2 * nominal + 6
        found = sketch(of, nominal)
        assert (found.num_retained, found.is_estimation_mode()) == (nominal, True)
