"""Pairs of window and user against plain sets: any rows, any cut into runs, any room in memory."""

import random
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamagg.core import pairs as module
from streamagg.core.measures import sketch
from streamagg.core.measures.uniques import Uniques
from streamagg.core.pairs import Pairs, counted, merged, unique
from streamagg.core.window_tables import WindowTables
from streamagg.model.columns import USER
from streamagg.model.settings import PLAIN, CeilingSettings
from tests.support.blocks import answer, columns_of

Row = tuple[int, int]
"""Window and user."""

# The corners of both columns, digits that overflow into the next one, and small numbers that meet often.
WINDOWS = st.one_of(st.integers(0, 3), st.sampled_from([-7, 0xFFFF, 0x10000, 0x10001, 1 << 47]))
USERS = st.one_of(st.integers(0, 5), st.sampled_from([(1 << 63) - 1, 1 << 63, (1 << 64) - 1]))
ROWS = st.lists(st.tuples(WINDOWS, USERS), max_size=60)


def pairs_of(rows: Sequence[Row]) -> Pairs:
    window, user = [row[0] for row in rows], [row[1] for row in rows]
    return Pairs(np.array(window, np.int64), np.array(user, np.uint64), np.ones(len(rows), np.int64))


def rows_of(pairs: Pairs) -> list[tuple[Row, int]]:
    columns = (pairs.window.tolist(), pairs.user.tolist(), pairs.records.tolist())
    return [((window, user), records) for window, user, records in zip(*columns, strict=True)]


def expected(rows: Sequence[Row]) -> list[tuple[Row, int]]:
    return sorted(Counter(rows).items())


def runs_of(rows: Sequence[Row], cuts: Sequence[int]) -> list[Pairs]:
    """Each part sorted by itself."""
    bounds = [0, *sorted(cut % (len(rows) + 1) for cut in cuts), len(rows)]
    parts = [rows[start:stop] for start, stop in pairwise(bounds)]
    return [unique([pairs_of(part)]) for part in parts if part]


@given(ROWS.filter(bool))
def test_unique_is_sorted_and_counts(rows: list[Row]) -> None:
    assert rows_of(unique([pairs_of(rows)])) == expected(rows)


@given(ROWS, st.lists(st.integers(0, 60), max_size=6), st.integers(1, 4))
def test_merged_is_the_same_however_it_was_cut(rows: list[Row], cuts: list[int], share: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_LEAST_SHARE", share)
        pieces = list(merged(runs_of(rows, cuts), 0))
    assert [row for piece in pieces for row in rows_of(piece)] == expected(rows)
    assert all(len(piece) for piece in pieces)


@given(ROWS, st.lists(st.integers(0, 60), max_size=6), st.integers(1, 4), st.integers(0, 3))
def test_windows_are_counted_across_pieces(rows: list[Row], cuts: list[int], share: int, keep: int) -> None:
    users: dict[int, list[int]] = {}
    users_kept = Uniques(USER)
    users_kept.keep = keep
    for window, user in rows:
        users.setdefault(window, []).append(user)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_LEAST_SHARE", share)
        patch.setattr(sketch, "KEPT_USERS", keep)
        found = list(counted(merged(runs_of(rows, cuts), 0), keep))
        tables = WindowTables(PLAIN, CeilingSettings(0, "approximate"))
        summaries = [tables.combined(one.answers).summaries for one in found]
    expected_of = sorted(users.items())
    for one, found_summaries, (window, those) in zip(found, summaries, expected_of, strict=True):
        smallest = columns_of(sorted(set(those))[:keep])[0].tobytes()
        assert (one.window, found_summaries) == (window, answer(len(set(those)), len(those), smallest))


class _Watched:
    """A run that notes how much of it is asked for."""

    def __init__(self, pairs: Pairs) -> None:
        self._pairs = pairs
        self.first = pairs.first
        self.asked = 0
        self.most = 0

    def __len__(self) -> int:
        return len(self._pairs)

    def read(self, start: int, stop: int) -> Pairs:
        found = self._pairs.read(start, stop)
        self.asked += len(found)
        self.most = max(self.most, stop - start)
        return found


def test_a_merge_reads_each_row_once_and_its_share_at_a_time() -> None:
    chance = random.Random(7)
    runs = [
        _Watched(unique([pairs_of([(chance.randrange(50), chance.getrandbits(64)) for _ in range(5_000)])]))
        for _ in range(4)
    ]
    pieces = list(merged(runs, 8_000))
    assert [run.asked for run in runs] == [5_000] * 4
    assert {run.most for run in runs} == {2_000}
    assert max(map(len, pieces)) <= 8_000


def test_runs_one_behind_the_other_are_opened_one_after_the_other() -> None:
    runs = [_Watched(unique([pairs_of([(hour, user) for user in range(3_000)])])) for hour in range(9)]
    for number, piece in enumerate(merged(runs, 0)):
        if number == 0:
            assert [run.asked > 0 for run in runs] == [True] + [False] * 8
        assert len(set(piece.window.tolist())) == 1
