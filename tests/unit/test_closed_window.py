"""What the counts of shards add up to, below, at and above the ceiling."""

import numpy as np
import pytest

from streamagg.core.closed_window import ClosedWindow
from streamagg.core.windows import Windows
from streamagg.errors import ExitCode
from streamagg.model.messages import ShardCount
from streamagg.model.results import WindowCount
from streamagg.model.settings import CeilingSettings, WindowSettings


def closed(*uniques: int | None) -> ClosedWindow:
    closing = ClosedWindow(5, 99, partial=False, missing=set(range(len(uniques))))
    for shard, unique in enumerate(uniques):
        assert closing.missing
        closing.add(ShardCount(1, 5, unique), shard)
    assert not closing.missing
    return closing


def test_shards_add_up() -> None:
    assert closed(3, 0, 4).count(CeilingSettings()) == WindowCount(5, 7, 99, partial=False)


@pytest.mark.parametrize(
    ("uniques", "stops"), [((10,), False), ((11,), True), ((5, 5), False), ((5, 6), True), ((None, 1), True)]
)
def test_what_counts_is_the_sum(uniques: tuple[int | None, ...], stops: bool) -> None:
    assert closed(*uniques).stops(CeilingSettings(10)) == stops


def test_without_a_ceiling_nothing_stops() -> None:
    assert not closed(1 << 40).stops(CeilingSettings())


def test_the_refusal_names_the_window_and_the_way_out() -> None:
    error = closed(None).refusal(Windows(WindowSettings()), CeilingSettings(1_000))
    assert error.exit_code == ExitCode.TOO_MANY_USERS == 6
    assert str(error).startswith("The window of 1970-01-01T00:05:00Z has more than 1,000 unique users, so")


def test_above_the_ceiling_it_is_an_estimate_with_its_error() -> None:
    pytest.importorskip("datasketches", reason="no wheel for this Python")
    users = np.sort(np.random.default_rng(1).integers(0, 2**64, 200_000, dtype=np.uint64))
    ceiling, higher = (CeilingSettings(most, "approximate") for most in (150_000, 200_000))
    closing = ClosedWindow(5, 99, partial=False, missing={0, 1})
    for shard, half in enumerate(np.array_split(users, 2)):
        closing.add(ShardCount(1, 5, len(half), half[:65_537].tobytes()), shard)
    count = closing.count(ceiling)
    assert not closing.stops(ceiling)
    assert count.error == pytest.approx(0.0096, abs=0.0002)
    assert count.unique != 200_000
    assert abs(count.unique / 200_000 - 1) < count.error
    assert closing.count(higher) == WindowCount(5, 200_000, 99, partial=False)
