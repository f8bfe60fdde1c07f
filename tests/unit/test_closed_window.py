"""What the answers of shards add up to, below, at and above the ceiling."""

import numpy as np
import pytest

from streamagg.core.closed_window import ClosedWindow, empty_window
from streamagg.core.measures.published import measures_of
from streamagg.core.windows import Windows
from streamagg.errors import ExitCode
from streamagg.model.messages import ShardCount
from streamagg.model.results import ALL
from streamagg.model.settings import NO_CEILING, CeilingSettings, DecodeSettings, WindowSettings
from tests.support.blocks import answer, window_table

WINDOWS = Windows(WindowSettings())


def closed(*uniques: int | None, ceiling: CeilingSettings = NO_CEILING) -> ClosedWindow:
    closing = ClosedWindow(5, False, set(range(len(uniques))), measures_of(DecodeSettings(), ceiling))
    for shard, unique in enumerate(uniques):
        assert closing.missing
        closing.add(ShardCount(1, 5, {ALL: answer(unique, 33)}), shard)
    assert not closing.missing
    return closing


def test_shards_add_up() -> None:
    assert closed(3, 0, 4).table() == window_table(5, 7, 99)


@pytest.mark.parametrize(
    ("uniques", "stops"), [((10,), False), ((11,), True), ((5, 5), False), ((5, 6), True), ((None, 1), True)]
)
def test_what_counts_is_the_sum(uniques: tuple[int | None, ...], stops: bool) -> None:
    closing = closed(*uniques, ceiling=CeilingSettings(10))
    assert (closing.refusal(WINDOWS) is not None) == stops


def test_without_a_ceiling_nothing_stops() -> None:
    assert closed(1 << 40).refusal(WINDOWS) is None


def test_the_refusal_names_the_window_and_the_way_out() -> None:
    error = closed(None, ceiling=CeilingSettings(1_000)).refusal(WINDOWS)
    assert error is not None
    assert error.exit_code == ExitCode.TOO_MANY_USERS == 6
    assert str(error) == (
        "The window of 1970-01-01T00:05:00Z has more than 1,000 unique users, so neither it nor a later one"
        " is published. Run again with a higher --max-users, or with --above-max-users approximate."
    )


def test_above_the_ceiling_it_is_an_estimate_with_its_error() -> None:
    pytest.importorskip("datasketches", reason="no wheel for this Python")
    users = np.sort(np.random.default_rng(1).integers(0, 2**64, 200_000, dtype=np.uint64))

    def closed_at(most: int) -> ClosedWindow:
        ceiling = CeilingSettings(most, "approximate")
        closing = ClosedWindow(5, False, {0, 1}, measures_of(DecodeSettings(), ceiling))
        for shard, half in enumerate(np.array_split(users, 2)):
            smallest = half[:65_537].tobytes()
            closing.add(ShardCount(1, 5, {ALL: answer(len(half), 49 + shard, smallest)}), shard)
        assert closing.refusal(WINDOWS) is None
        return closing

    table = closed_at(150_000).table()
    assert table.users.error == pytest.approx(0.0096, abs=0.0002)
    assert table.users.number != 200_000
    assert abs(table.users.number / 200_000 - 1) < table.users.error
    assert table.records == 99
    assert closed_at(200_000).table() == window_table(5, 200_000, 99)


def test_groups_are_combined_apart() -> None:
    """A group that one shard alone has seen is in the table, too."""
    closing = ClosedWindow(5, False, {0, 1}, measures_of(DecodeSettings(), NO_CEILING))
    closing.add(ShardCount(1, 5, {ALL: answer(3, 4), ("DE",): answer(3, 4)}), 0)
    closing.add(ShardCount(1, 5, {ALL: answer(2, 5), (None,): answer(2, 5)}), 1)
    rows = closing.table().rows
    assert {group: [value.number for value in row.values()] for group, row in rows.items()} == {
        ALL: [5, 9],
        ("DE",): [3, 4],
        (None,): [2, 5],
    }


def test_a_window_that_nobody_hit_is_a_table_of_zeros() -> None:
    assert empty_window(5, partial=True) == window_table(5, 0, 0, partial=True)
