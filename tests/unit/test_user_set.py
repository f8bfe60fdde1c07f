"""Exact distinct counting in sorted columns, against Python's set."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamagg.core.measures import user_set as module
from streamagg.core.measures.user_set import UserSet

USERS = st.one_of(st.integers(0, 20), st.integers(0, 2**64 - 1), st.sampled_from([2**63, 2**64 - 1]))


def test_nothing_was_added() -> None:
    assert UserSet().count() == 0


@given(st.lists(st.lists(USERS, max_size=30), max_size=10))
def test_any_pieces_count_like_a_set(pieces: list[list[int]]) -> None:
    uniques, expected = UserSet(), set[int]()
    for piece in pieces:
        uniques.add(np.array(piece, np.uint64))
        expected.update(piece)
        assert uniques.count() == len(expected)


def test_counting_late_and_in_many_merges_is_the_same() -> None:
    rng = np.random.default_rng(1)
    pieces = [rng.integers(0, 200_000, 30_000, dtype=np.uint64) for _ in range(12)]
    uniques = UserSet()
    for piece in pieces:
        uniques.add(piece)
    assert uniques.count() == len(set(np.concatenate(pieces).tolist()))


def test_a_column_that_is_used_again_does_not_change_the_count() -> None:
    uniques, column = UserSet(), np.array([1, 2, 3], np.uint64)
    uniques.add(column)
    column[:] = 7
    assert uniques.count() == 3


def test_a_few_rows_of_large_blocks_do_not_keep_the_blocks() -> None:
    uniques = UserSet()
    tracemalloc.start()
    try:
        for number in range(100):
            uniques.add(np.full(50_000, number, np.uint64)[:3])
        held_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert uniques.count() == 100
    assert held_bytes < 1_000_000, "the blocks are 40 MB"


PIECES = st.lists(st.lists(USERS, max_size=30), max_size=10)


@pytest.mark.parametrize("rows_worth_a_merge", [1, 7, 1_000])
@given(PIECES, st.integers(0, 40), st.integers(0, 20))
def test_above_the_ceiling_the_smallest_are_known(
    rows_worth_a_merge: int, pieces: list[list[int]], most: int, keep: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_LEAST_ROWS", rows_worth_a_merge)
        uniques, expected = UserSet(most, keep), set[int]()
        for piece in pieces:
            uniques.add(np.array(piece, np.uint64))
            expected.update(piece)
        assert uniques.count() == (len(expected) if len(expected) <= most else None)
        assert uniques.smallest(keep).tolist() == sorted(expected)[:keep]


def test_above_the_ceiling_memory_does_not_grow() -> None:
    rng = np.random.default_rng(1)
    uniques = UserSet(100_000, 1_000)
    tracemalloc.start()
    try:
        for _ in range(100):
            uniques.add(rng.integers(0, 2**64, 20_000, dtype=np.uint64))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert uniques.count() is None
    assert peak_bytes < 100_000 * 24 + (1 << 20), "two million users are 16 MB"


@pytest.mark.parametrize("times", [1, 5])
def test_a_user_takes_at_most_24_bytes(times: int) -> None:
    users = np.random.default_rng(1).integers(0, 2**64, 1_000_000, dtype=np.uint64)
    uniques = UserSet()
    tracemalloc.start()
    try:
        for rows in np.array_split(np.tile(users, times), 3_000):
            uniques.add(rows)
        # Of the columns alone: what the aggregator needs on top is measured with processes.
        assert uniques.count() == len(users)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (peak_bytes - times * users.nbytes) / len(users) <= 24


def test_repetitions_do_not_pile_up() -> None:
    uniques, column = UserSet(), np.arange(1_000, dtype=np.uint64)
    tracemalloc.start()
    try:
        for _ in range(1_000):
            uniques.add(column)
        held_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert uniques.count() == 1_000
    assert held_bytes < 16 * module._LEAST_ROWS, "a million rows are 8 MB"


@pytest.mark.parametrize("rows_worth_a_merge", [1, 7, 1_000])
@given(st.lists(st.tuples(st.booleans(), st.sets(USERS, max_size=30)), max_size=10))
def test_of_another_set_the_new_users_are_told(
    rows_worth_a_merge: int, pieces: list[tuple[bool, set[int]]]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_LEAST_ROWS", rows_worth_a_merge)
        uniques, expected = UserSet(), set[int]()
        for looked, piece in pieces:
            users = np.array(sorted(piece), np.uint64)
            if looked:
                assert uniques.fresh(users).tolist() == sorted(piece - expected)
            else:
                uniques.add(users)
            expected |= piece
        assert uniques.count() == len(expected)
        # Before and behind a merge.
        for _ in range(2):
            assert [uniques.smallest(keep).tolist() for keep in (0, 3)] == [[], sorted(expected)[:3]]
            assert uniques.members().tolist() == sorted(expected)
        assert uniques.rows == len(expected)


@pytest.mark.parametrize("rows_worth_a_merge", [1, 7, 1_000])
@given(st.lists(st.sets(USERS, max_size=30), max_size=10), st.integers(0, 40), st.integers(0, 20))
def test_above_the_ceiling_the_smallest_of_other_sets_are_known(
    rows_worth_a_merge: int, pieces: list[set[int]], most: int, keep: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_LEAST_ROWS", rows_worth_a_merge)
        uniques, expected = UserSet(most, keep), set[int]()
        for piece in pieces:
            new = set(uniques.fresh(np.array(sorted(piece), np.uint64)).tolist())
            smallest = set(sorted(expected | piece)[:keep])
            assert (piece - expected) & smallest <= new <= piece - expected
            expected |= piece
        assert uniques.count() == (None if len(expected) > most else len(expected))
        assert uniques.smallest(keep).tolist() == sorted(expected)[:keep]


def test_looking_leaves_a_column_that_is_used_again_alone() -> None:
    uniques, column = UserSet(), np.array([1, 2, 3], np.uint64)
    assert uniques.fresh(column).tolist() == [1, 2, 3]
    column[:] = 7
    assert uniques.members().tolist() == [1, 2, 3]
