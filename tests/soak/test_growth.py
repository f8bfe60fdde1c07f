"""What counts as growth, and what as noise."""

from random import Random

import pytest

from tests.soak.growth import FEWEST, Point, Trend, trend

SEED = 20_260_101


def points(
    slope_per_minute: float, *, noise: float = 1.0, number: int = 30, level: float = 100.0
) -> list[Point]:
    chance = Random(SEED)
    return [
        (float(minute), level + slope_per_minute * minute + chance.gauss(0, noise))
        for minute in range(number)
    ]


def test_a_straight_line_has_its_slope() -> None:
    found = trend([(0.0, 1.0), (1.0, 2.0), (2.0, 3.0), (3.0, 4.0), (4.0, 5.0)])
    assert found == Trend(level=3.0, slope=60.0, least=60.0, most=60.0, span_hours=4 / 60)
    assert found.grows


def test_nothing_but_noise_is_steady() -> None:
    found = trend(points(0.0))
    assert found.least < 0 < found.most
    assert not found.grows


def test_a_leak_is_seen_through_noise() -> None:
    found = trend(points(0.2))
    assert found.least < 12.0 < found.most
    assert found.grows


def test_what_is_sure_and_tiny_is_no_growth() -> None:
    found = trend(points(0.01, noise=0.0))
    assert found.least > 0
    assert not found.grows


def test_what_shrinks_does_not_grow() -> None:
    assert not trend(points(-0.2)).grows


def test_a_single_jump_does_not_turn_the_line() -> None:
    """
    ────────────╮ ╭──────   one sample while a burst is held in memory
                ╰─╯
    """
    noisy = points(0.0)
    noisy[-3] = (noisy[-3][0], 500.0)
    assert not trend(noisy).grows


def test_a_count_that_never_changes_is_steady() -> None:
    found = trend([(float(minute), 41.0) for minute in range(FEWEST)])
    assert found == Trend(level=41.0, slope=0.0, least=0.0, most=0.0, span_hours=(FEWEST - 1) / 60)
    assert not found.grows


def test_of_noise_alone_hardly_anything_is_called_growth() -> None:
    chance = Random(SEED)
    found = [trend([(float(m), chance.gauss(100, 5)) for m in range(30)]) for _ in range(1_000)]
    # One side of a 99 % interval: five of a thousand, give or take.
    assert sum(each.grows for each in found) <= 15, f"seed {SEED}"


def test_few_points_are_refused() -> None:
    with pytest.raises(ValueError, match="5 points, there are 4"):
        trend([(float(minute), 1.0) for minute in range(FEWEST - 1)])
