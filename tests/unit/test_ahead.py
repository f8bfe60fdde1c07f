"""Which records are ahead of those around them: minorities of fast clocks, not what only looks like it."""

import random
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamagg.core.ahead import SIDE, Ahead

REACH_MS = 6_000
RECORDS = 40_000


def found(times_ms: list[int], cut: int = 16_000) -> Ahead:
    """Of a partition whose records come in blocks of so many."""
    ahead, times = Ahead(REACH_MS), np.array(times_ms, np.int64)
    for first in range(0, len(times), cut):
        ahead.add(times[first : first + cut])
    ahead.end()
    return ahead


def honest(seed: int, rate: float = 100, gaps: float = 0.0) -> Iterator[float]:
    """So many records a second, one in five up to two seconds late; ``gaps``: how often there is one."""
    rng, now_s = random.Random(seed), 10_000.0
    while True:
        now_s += rng.expovariate(rate)
        if rng.random() < gaps:
            now_s += rng.uniform(100, 4_000)
        yield now_s - (rng.uniform(0, 2) if rng.random() < 0.2 else 0)


def with_fast(
    share: float, by_s: Callable[[random.Random], float], burst: int = 1, rate: float = 100
) -> list[int]:
    """A share of the records is ahead, in bursts of so many."""
    rng, left, times = random.Random(7), 0, []
    for _, time_s in zip(range(RECORDS), honest(5, rate), strict=False):
        if left == 0 and rng.random() < share / burst:
            left = burst
        times.append(round(1_000 * (time_s + (by_s(rng) if left else 0))))
        left = max(0, left - 1)
    return times


@pytest.mark.parametrize(
    ("share", "by_s", "burst", "rate"),
    [
        (0.001, 64, 1, 100),
        (0.01, 3_600, 1, 100),
        (0.1, 3_600, 1, 100),
        (0.25, 3_600, 1, 100),
        (0.01, 3_600, 10, 100),
        (0.02, 3_600, 50, 100),
        (0.01, 3_600, 1, 1 / 8),
    ],
)
def test_a_minority_is_found_and_how_far_ahead(share: float, by_s: int, burst: int, rate: float) -> None:
    times = with_fast(share, lambda _: by_s, burst, rate)
    ahead = found(times)
    real = sum(
        time - 1_000 * before > 500 * by_s for time, before in zip(times, honest(5, rate), strict=False)
    )
    assert ahead.share == pytest.approx(real / RECORDS, rel=0.2)
    assert ahead.quantile_ms(0.5) == pytest.approx(by_s * 1_000, rel=0.02)
    assert ahead.quantile_ms(0.95) < 1.25 * ahead.quantile_ms(0.05)


def test_a_spread_minority_is_told_with_its_spread() -> None:
    ahead = found(with_fast(0.1, lambda rng: rng.uniform(0, 300)))
    assert ahead.share == pytest.approx(0.098, rel=0.1), "what is within reach is not ahead"
    assert ahead.quantile_ms(0.05) == pytest.approx(20_000, rel=0.2)
    assert ahead.quantile_ms(0.5) == pytest.approx(153_000, rel=0.1)
    assert ahead.quantile_ms(0.95) == pytest.approx(285_000, rel=0.05)


@pytest.mark.parametrize(
    ("rate", "gaps"), [(100, 0.0), (100, 0.001), (1, 0.01), (1 / 8, 0.001), (1 / 3_600, 0)]
)
def test_honest_gaps_and_sparse_partitions_are_not_fast(rate: float, gaps: float) -> None:
    records = zip(range(RECORDS), honest(5, rate, gaps), strict=False)
    times = [round(time_s * 1_000) for _, time_s in records]
    assert found(times).records == 0


@pytest.mark.parametrize(("burst", "most"), [(1, 0.0), (5, 0.0), (40, 0.003), (1_000, 0.0)])
def test_old_records_make_nobody_fast(burst: int, most: float) -> None:
    """One in ten is two hours old, alone or in bursts; between two of these a few others are on their own."""
    assert found(with_fast(0.1, lambda _: -7_200, burst)).share <= most


def test_the_majority_is_the_time() -> None:
    """Where most are ahead, it is the others that are old."""
    assert found(with_fast(0.75, lambda _: 3_600)).records == 0


def test_nothing_and_little() -> None:
    assert (found([]).share, found([]).quantile_ms(0.5)) == (0.0, 0)
    assert found([0] * SIDE + [10_000_000] + [0] * (SIDE // 2)).records == 0, "too few are behind it"
    flipped = found([0] * SIDE + [10_000_000] + [0] * (SIDE // 2 + 1))
    assert (flipped.records, flipped.quantile_ms(0.5)) == (1, 10_000_000)


@given(
    st.lists(st.sampled_from([0, 1_000, 7_000, 60_000, 3_600_000]), max_size=300),
    st.integers(1, 100),
)
def test_it_is_what_its_definition_says_however_blocks_are_cut(times_ms: list[int], cut: int) -> None:
    """Of every record: whether more than half of the 32 on each side are older by more than the reach."""
    ahead = found(times_ms, cut)
    exact = [
        time_ms
        for at, time_ms in enumerate(times_ms)
        if all(
            sum(other < time_ms - REACH_MS for other in side) > SIDE // 2
            for side in (times_ms[max(0, at - SIDE) : at], times_ms[at + 1 : at + 1 + SIDE])
        )
    ]
    assert ahead._scales[0].found == len(exact)


def test_memory_does_not_depend_on_the_log() -> None:
    ahead = Ahead(REACH_MS)
    for first in range(0, 1_000_000, 50_000):
        ahead.add(np.arange(first, first + 50_000, dtype=np.int64))
    assert all(len(scale._times) == 2 * SIDE for scale in ahead._scales)
