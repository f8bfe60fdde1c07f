"""When a window may close, how late it was, and what a point of an axis asks for."""

import itertools

import orjson
import pytest

from bench.latency import Clock, Log, Published, compare, quantile, spread, templates
from bench.scaling import AXES, Point, chosen, truth
from streamagg.core.windows import Windows
from streamagg.model.settings import WindowSettings
from streamagg.tools.generate import GenerateSettings


def test_the_clock_of_a_partition_is_the_greatest_event_time_so_far() -> None:
    #   appended at   1000  1001  1002  1003
    #   event time      10     9    12    11 (late)
    clock = Clock()
    for event_time_s, appended_ms in ((10, 1000), (9, 1001), (12, 1002), (11, 1003)):
        clock.add(event_time_s, appended_ms)
    assert [clock.reached_ms(second) for second in (9, 10, 11, 12, 13)] == [1000, 1000, 1002, 1002, None]


def log_of_two_partitions() -> Log:
    #   windows of 1 s, max lag 1 s: window 10 closes at 12, window 11 at 13
    #   partition 0   10 @1000   12 @3000              13 @4000
    #   partition 1   10 @1001             11 @3100              13 @4100
    log = Log([Clock(), Clock()])
    for partition, event_time_s, user, appended_ms in (
        (0, 10, "a", 1000),
        (0, 12, "a", 3000),
        (0, 13, "b", 4000),
        (1, 10, "b", 1001),
        (1, 11, "b", 3100),
        (1, 13, "c", 4100),
    ):
        log.add(partition, event_time_s, user, appended_ms)
    return log


def test_a_window_may_close_when_the_slowest_partition_allows_it() -> None:
    log = log_of_two_partitions()
    assert {start: log.closable_ms(start) for start in sorted(log.users)} == {
        10: 4100,
        11: 4100,
        12: None,
        13: None,
    }


def test_delays_run_from_the_append_that_lets_a_window_close() -> None:
    published = [Published(10, 2, 4150.5, 4120), Published(11, 1, 4200.0, 4180)]
    found = compare(log_of_two_partitions(), published)
    assert found == {
        "windows": 2,
        "right": 2,
        "missing": 0,
        "published_twice": 0,
        "to_reader_ms": {"p50": 50.5, "p90": 100.0, "p99": 100.0, "max": 100.0},
        "to_output_ms": {"p50": 20, "p90": 80, "p99": 80, "max": 80},
        "each_to_reader_ms": [50.5, 100.0],
    }


def test_wrong_missing_and_repeated_windows_are_found() -> None:
    found = compare(log_of_two_partitions(), [Published(10, 3, 4150.0, 4120), Published(10, 2, 4151.0, 4121)])
    assert found == {
        "windows": 2,
        "right": 0,
        "missing": 1,
        "published_twice": 1,
        "to_reader_ms": {"p50": 50.0, "p90": 50.0, "p99": 50.0, "max": 50.0},
        "to_output_ms": {"p50": 20, "p90": 20, "p99": 20, "max": 20},
        "each_to_reader_ms": [50.0],
    }


def test_nothing_published_is_a_result_too() -> None:
    found = compare(log_of_two_partitions(), [])
    assert found == {
        "windows": 2,
        "right": 0,
        "missing": 2,
        "published_twice": 0,
        "to_reader_ms": {},
        "to_output_ms": {},
        "each_to_reader_ms": [],
    }


@pytest.mark.parametrize(
    ("count", "fraction", "expected"), [(100, 0.99, 99), (200, 0.99, 198), (10, 0.99, 10), (5, 0.5, 3)]
)
def test_quantiles_are_values_that_occurred(count: int, fraction: float, expected: int) -> None:
    assert quantile(list(range(1, count + 1)), fraction) == expected


def test_the_spread_of_one_value() -> None:
    assert spread([7.04]) == {"p50": 7.0, "p90": 7.0, "p99": 7.0, "max": 7.0}


def test_the_event_time_fits_between_the_pieces_of_a_template() -> None:
    rows = [orjson.loads(head + b"%d" % 1_700_000_000 + tail) for head, tail in templates(500)]
    assert {row["ts"] for row in rows} == {1_700_000_000}
    assert all(isinstance(row["uid"], str) for row in rows)


def test_every_point_of_the_window_axis_has_so_many_windows_open() -> None:
    axis = next(axis for axis in AXES if axis.name == "windows")
    for point in axis.points:
        windows = Windows(point.window)
        now_ms = 10_000_000
        assert windows.number(now_ms) - windows.last_closed(now_ms) == point.x
        assert point.slots >= point.window.fewest_slots
        # The latest records still find their window open.
        assert point.made.max_delay_s * 1_000 <= point.window.max_lag_ms


def test_a_smaller_point_covers_the_same_event_time() -> None:
    for point in itertools.chain.from_iterable(axis.points for axis in AXES):
        made = point.smaller(10).made
        assert made.count * 10 == point.made.count
        assert made.count / made.rate == pytest.approx(point.made.count / point.made.rate)


def test_axes_are_chosen_by_name_and_size() -> None:
    axes = chosen(["records"], quick=True, most_records=1_000_000)
    assert [(axis.name, [(point.x, point.made.count) for point in axis.points]) for axis in axes] == [
        ("records", [(100_000, 100_000), (1_000_000, 1_000_000)])
    ]


def test_the_truth_counts_every_user_of_a_window_once() -> None:
    #   3 users, 2 records a second for 10 s: windows of 5 s hold 10 records
    made = GenerateSettings(20, users=3, rate=2, size_bytes=100)
    counted = truth(Point(0, made, WindowSettings(5_000)))
    assert sum(counted.values()) <= 9
    assert len(counted) == 3  # the first second is 1,468,244,384
