"""The lateness of a log, against a recount with each max lag."""

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamagg.core.lateness_survey import LISTED_MS, Histogram, Lateness, never_late
from streamagg.core.partition_clock import PartitionClock, PartitionState
from streamagg.model.columns import NO_COLUMNS
from streamagg.model.settings import DecodeSettings, WindowSettings
from streamagg.tools.recount import PartitionRecount, Recount
from tests.support.blocks import Record, block, records_at

WINDOW = WindowSettings(60_000, 7_000, 4_000, 65_000)
MS = DecodeSettings(time_unit="ms")


def lateness_of(log: Sequence[Record], window: WindowSettings = WINDOW, cut: int = 1_000) -> Lateness:
    """Of one partition, in blocks of so many offsets."""
    lateness, clock = Lateness(window), PartitionClock(never_late(window), NO_COLUMNS, PartitionState(0))
    for first in range(0, len(log), cut):
        part = block(log, first, min(len(log), first + cut))
        runs = clock.feed(part.event_times(), (), part.offsets(), part.live_flags(), part.next).runs
        for run in runs:
            lateness.add(run)
    for run in clock.end().runs:
        lateness.add(run)
    return lateness


def late_in_recount(log: Sequence[Record], window: WindowSettings) -> int:
    total = Recount()
    partition = PartitionRecount(window, MS, total)
    for record in log:
        partition.add(json.dumps({"ts": record.time_ms, "uid": "u"}).encode(), None)
    partition.end()
    return total.late


TIMES_S = st.lists(
    st.one_of(
        st.integers(0, 400),
        st.floats(0, 9_000).map(lambda time_s: round(time_s, 3)),
        st.sampled_from([500_000, 500_050]),
    ),
    max_size=80,
)


@given(TIMES_S, st.integers(1, 30))
def test_each_max_lag_loses_what_a_recount_with_it_loses(times_s: list[float], cut: int) -> None:
    log = records_at(*times_s)
    lost = lateness_of(log, cut=cut).lost()
    assert set(LISTED_MS) < lost.keys()
    assert lost == {lag: late_in_recount(log, replace(WINDOW, max_lag_ms=lag)) for lag in lost}


@given(TIMES_S, st.sampled_from([3, 10, None]))
def test_the_smallest_loses_no_more_and_the_next_smaller_one_does(
    times_s: list[float], one_in: int | None
) -> None:
    log = records_at(*times_s)
    lateness = lateness_of(log)
    most = 0 if one_in is None else lateness.accepted // one_in
    smallest_ms = lateness.smallest_max_lag_ms(one_in)
    assert late_in_recount(log, replace(WINDOW, max_lag_ms=smallest_ms)) <= most
    # What is rounded up above 65 s is too long by less than one part in 32,768.
    exact = one_in is None or smallest_ms <= 65_536
    smaller_ms = smallest_ms - 1 if exact else smallest_ms - 1 - smallest_ms // 32_768
    if smallest_ms:
        assert late_in_recount(log, replace(WINDOW, max_lag_ms=smaller_ms)) > most


def test_the_classes_of_records_behind_their_clock() -> None:
    """::

    seconds    100   99.999   99    98.001   100.5   10
    behind       -     1 ms    1 s   1.999 s     -   90.5 s
    """
    behind = lateness_of(records_at(100, 99.999, 99, 98.001, 100.5, 10)).behind()
    classes = dict(zip([None, *LISTED_MS], behind, strict=True))
    assert {low: count for low, count in classes.items() if count} == {None: 2, 0: 1, 1_000: 2, 60_000: 1}


def test_a_max_lag_of_the_settings_is_counted_too() -> None:
    """::

    window 0 ends at 60; its record comes when the clock is at 64.200, and then at 64.201
    """
    window = WindowSettings(60_000, 0, 4_201, 65_000)
    lost = lateness_of(records_at(59, 59, 59, 64.2, 59, 64.201, 59, 58), window).lost()
    assert (lost[2_000], lost[4_201], lost[5_000]) == (3, 2, 0)


def test_nothing_at_all() -> None:
    lateness = Lateness(WINDOW)
    assert (lateness.accepted, lateness.most_ms, set(lateness.lost().values())) == (0, 0, {0})
    assert lateness.smallest_max_lag_ms(100) == 0


@given(st.lists(st.integers(0, 300_000_000_000_000), min_size=1, max_size=60), st.integers(0, 60))
def test_the_histogram_errs_upwards_by_little(values: list[int], most: int) -> None:
    histogram = Histogram()
    histogram.add(np.array(values, np.int64))
    reaching = sorted(values, reverse=True)
    exact = 0 if most >= len(values) else reaching[most] + 1
    found = histogram.above_all_but(most)
    assert exact <= found <= exact + exact // 32_768


@pytest.mark.parametrize("value", [0, 1, 65_535, 65_536, 65_537, 131_071, 131_072])
def test_its_buckets_meet(value: int) -> None:
    histogram = Histogram()
    histogram.add(np.array([value], np.int64))
    assert 0 <= histogram.above_all_but(0) - value - 1 <= (value >> 15)
