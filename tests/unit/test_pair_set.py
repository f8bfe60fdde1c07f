"""Exact distinct counting by group in sorted columns, against Python's set."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamagg.core.measures import pair_set, user_set
from streamagg.core.measures.contract import Places
from streamagg.core.measures.pair_set import PairSet
from streamagg.model.columns import UInt64Column

Pair = tuple[int, int]
"""Place and user."""
PLACES = 4


def with_key(place: int, key: int) -> Pair:
    """The pair that is kept under a key; every place has one."""
    return place, key ^ (((place + 1) * int(pair_set._SPREAD)) % 2**64)


PAIR = st.one_of(
    st.tuples(st.integers(0, PLACES - 1), st.integers(0, 9) | st.integers(0, 2**64 - 1)),
    st.builds(with_key, st.integers(0, PLACES - 1), st.sampled_from([0, 5, 6, 2**64 - 1])),
)
STEPS = st.lists(st.tuples(st.booleans(), st.lists(PAIR, max_size=30)), max_size=8)


def columns(pairs: list[Pair]) -> tuple[Places, UInt64Column]:
    return np.array([pair[0] for pair in pairs], np.intp), np.array([pair[1] for pair in pairs], np.uint64)


def pairs_of(places: Places, users: UInt64Column) -> list[Pair]:
    return list(zip(places.tolist(), users.tolist(), strict=True))


@pytest.mark.parametrize("rows_worth_a_merge", [1, 7, 1_000])
@given(STEPS)
def test_any_pieces_and_any_other_sets_count_like_a_set(
    rows_worth_a_merge: int, steps: list[tuple[bool, list[Pair]]]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pair_set, "_LEAST_ROWS", rows_worth_a_merge)
        patch.setattr(user_set, "_LEAST_ROWS", rows_worth_a_merge)
        held, expected = PairSet(), set[Pair]()
        for looked, piece in steps:
            if looked:
                new = pairs_of(*held.fresh(*columns(list(set(piece)))))
                assert sorted(new) == sorted(set(piece) - expected)
            else:
                held.add(*columns(piece))
            expected |= set(piece)
        of_place = [sum(pair[0] == place for pair in expected) for place in range(PLACES)]
        assert held.counts(PLACES).tolist() == of_place
        assert held.users.count() == len({user for _, user in expected})
        assert sorted(pairs_of(*held.members())) == sorted(expected)
        assert held.waiting == 0


def test_many_rows_with_equal_high_bits() -> None:
    """What the sort of high bits leaves undone."""
    rng = np.random.default_rng(1)
    places, users = rng.integers(0, PLACES, 30_000), rng.integers(0, 4_000, 30_000, dtype=np.uint64)
    held = PairSet()
    for start in range(0, 30_000, 10_000):
        held.add(places[start : start + 10_000], users[start : start + 10_000])
        held.merge()
    expected = set(pairs_of(places, users))
    assert sorted(pairs_of(*held.members())) == sorted(expected)


def test_a_pair_takes_12_bytes_and_its_user_8() -> None:
    rng = np.random.default_rng(1)
    held = PairSet()
    held.add(rng.integers(0, 1_000, 100_000), rng.integers(0, 2**64, 100_000, dtype=np.uint64))
    assert held.counts(1_000).sum() == held.users.count() == 100_000
    assert held.nbytes == 100_000 * (12 + 8)


def test_where_users_are_given_up_pairs_are_too() -> None:
    rng = np.random.default_rng(1)
    held = PairSet(100_000)
    for _ in range(50):
        held.add(rng.integers(0, 1_000, 20_000), rng.integers(0, 2**64, 20_000, dtype=np.uint64))
    held.counts(1_000)
    assert held.users.count() is None
    assert held.nbytes < 300_000 * 12, "a million pairs are 12 MB"
    assert not len(held.fresh(*columns([(1, 1)]))[0])
