"""Sketches as ``serve`` reads and merges them, against exact sets."""

from math import sqrt

import numpy as np
import pytest

from streamagg.core.measures.theta import compact_theta
from streamagg.serve import theta

TRIALS = 2_000


def drawn(rng: np.random.Generator, number: int) -> theta.UInt64Column:
    return np.unique(rng.integers(0, 2**64, number, dtype=np.uint64))


def sketch(users: theta.UInt64Column, nominal: int = theta.NOMINAL) -> theta.Sketch:
    return theta.read(compact_theta(np.sort(users), nominal))


@pytest.mark.parametrize("size", [0, 1, 2, 5, theta.NOMINAL, theta.NOMINAL + 1, 50_000])
def test_what_is_published_is_read_and_written(size: int) -> None:
    found = sketch(drawn(np.random.default_rng(size), size))
    again = theta.read(theta.written(found))
    assert again.theta == found.theta
    assert np.array_equal(again.hashes, found.hashes)
    assert found.exact == (size <= theta.NOMINAL)
    if found.exact:
        assert theta.estimate(found) == theta.Estimate(size, size, size, exact=True)


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"1234567",
        bytes(8),
        compact_theta(np.arange(1, 9, dtype=np.uint64) << np.uint64(8))[:-1],
        compact_theta(np.arange(1, 9, dtype=np.uint64) << np.uint64(8)) + b"0",
        theta.written(theta.Sketch(np.array([5, 3], np.uint64))),
        theta.written(theta.Sketch(np.array([3, 5], np.uint64), theta=5)),
    ],
)
def test_what_is_no_sketch_is_refused(broken: bytes) -> None:
    with pytest.raises(ValueError):
        theta.read(broken)


def test_a_union_of_parts_is_the_sketch_of_all() -> None:
    """However many there are, and however they are cut."""
    rng = np.random.default_rng(3)
    users = drawn(rng, 60_000)
    for parts in (1, 2, 31, 32, 33, 100):
        cut = [sketch(part) for part in np.array_split(rng.permutation(users), parts)]
        united, whole = theta.union(cut), sketch(users)
        assert united.theta == whole.theta
        assert np.array_equal(united.hashes, whole.hashes)


def test_small_sets_stay_exact() -> None:
    one, other = np.arange(10, 60, dtype=np.uint64) << 40, np.arange(40, 90, dtype=np.uint64) << 40
    both = (sketch(one), sketch(other))
    assert theta.estimate(theta.union(both)).users == 80
    assert theta.estimate(theta.intersection(*both)).users == 20
    assert theta.estimate(theta.difference(*both)).users == 30


def test_the_bounds_hold_as_often_as_is_promised() -> None:
    """From a handful of users to many, as far as so many trials can tell (four standard deviations)."""
    rng = np.random.default_rng(11)
    held: dict[str, int] = dict.fromkeys(("union", "intersection", "difference"), 0)
    nominal = 64
    for _ in range(TRIALS):
        common, left, right = (int(2 ** rng.uniform(0, 9)) for _ in range(3))
        users = rng.permutation(drawn(rng, common + left + right))
        one, other = users[: common + left], np.concatenate([users[:common], users[common + left :]])
        sketches = sketch(one, nominal), sketch(other, nominal)
        results = {
            "union": (theta.union(sketches, nominal), len(users)),
            "intersection": (theta.intersection(*sketches), common),
            "difference": (theta.difference(*sketches), left),
        }
        for name, (result, truth) in results.items():
            found = theta.estimate(result)
            assert found.low <= found.users <= found.high
            assert not found.exact or found.users == truth
            held[name] += found.low <= truth <= found.high
    least = theta.CONFIDENCE - 4 * sqrt(theta.CONFIDENCE * (1 - theta.CONFIDENCE) / TRIALS)
    assert {name: count / TRIALS >= least for name, count in held.items()} == dict.fromkeys(held, True), held
    # Bounds that are much too wide would hold, too.
    wide = theta.estimate(theta.Sketch(np.arange(1, 1_001, dtype=np.uint64), theta.WHOLE // 100))
    assert (wide.high - wide.low) / wide.users < 0.14
