"""Exact distinct counting in sorted columns, against Python's set."""

import tracemalloc

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from streamagg.core import uniques as module
from streamagg.core.uniques import Uniques

USERS = st.one_of(st.integers(0, 20), st.integers(0, 2**64 - 1), st.sampled_from([2**63, 2**64 - 1]))


def test_nothing_was_added() -> None:
    assert Uniques().count() == 0


@given(st.lists(st.lists(USERS, max_size=30), max_size=10))
def test_any_pieces_count_like_a_set(pieces: list[list[int]]) -> None:
    uniques, expected = Uniques(), set[int]()
    for piece in pieces:
        uniques.add(np.array(piece, np.uint64))
        expected.update(piece)
        assert uniques.count() == len(expected)


def test_counting_late_and_in_many_merges_is_the_same() -> None:
    rng = np.random.default_rng(1)
    pieces = [rng.integers(0, 200_000, 30_000, dtype=np.uint64) for _ in range(12)]
    uniques = Uniques()
    for piece in pieces:
        uniques.add(piece)
    assert uniques.count() == len(set(np.concatenate(pieces).tolist()))


def test_a_column_that_is_used_again_does_not_change_the_count() -> None:
    uniques, column = Uniques(), np.array([1, 2, 3], np.uint64)
    uniques.add(column)
    column[:] = 7
    assert uniques.count() == 3


def test_a_few_rows_of_large_blocks_do_not_keep_the_blocks() -> None:
    uniques = Uniques()
    tracemalloc.start()
    try:
        for number in range(100):
            uniques.add(np.full(50_000, number, np.uint64)[:3])
        held_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert uniques.count() == 100
    assert held_bytes < 1_000_000, "the blocks are 40 MB"


def test_repetitions_do_not_pile_up() -> None:
    uniques, column = Uniques(), np.arange(1_000, dtype=np.uint64)
    tracemalloc.start()
    try:
        for _ in range(1_000):
            uniques.add(column)
        held_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert uniques.count() == 1_000
    assert held_bytes < 16 * module._LEAST_ROWS, "a million rows are 8 MB"
