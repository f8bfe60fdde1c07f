"""Sums that a process keeps of its own work."""

import msgspec
import pytest

from streamagg.model.measured import (
    STAGE_BOUNDS_S,
    ClientNumbers,
    Distribution,
    RoundTrip,
    StageTimes,
    add_counts,
)

BOUNDS = (1.0, 10.0)


@pytest.mark.parametrize(
    ("value", "bucket"), [(0.0, 0), (-3.0, 0), (1.0, 0), (1.1, 1), (10.0, 1), (10.1, 2), (1e9, 2)]
)
def test_a_value_falls_into_one_bucket_and_a_bound_into_that_below_it(value: float, bucket: int) -> None:
    seen = Distribution.over(BOUNDS)
    seen.observe(value, BOUNDS)
    assert seen.counts == [int(number == bucket) for number in range(3)]
    assert seen.sum == value


def test_distributions_add_up() -> None:
    one, other = Distribution([1, 2, 3], 6.5), Distribution([10, 0, 1], 0.5)
    one.add(other)
    assert one == Distribution([11, 2, 4], 7.0)
    assert other == Distribution([10, 0, 1], 0.5)


def test_stages_add_up_and_stay_apart() -> None:
    one, other = StageTimes(), StageTimes()
    one.took("fetch", 0.5)
    other.took("fetch", 0.25)
    other.took("decode", 100.0)
    one.add(other)
    assert one.by_stage["fetch"].sum == 0.75
    assert sum(one.by_stage["fetch"].counts) == 2
    assert one.by_stage["decode"].counts[-1] == 1
    one.took("decode", 0.0)
    assert sum(other.by_stage["decode"].counts) == 1, "the sum is a copy"


def test_times_survive_the_way_through_a_link() -> None:
    taken = StageTimes()
    taken.took("add", 0.002)
    packed = msgspec.msgpack.encode(taken)
    assert msgspec.msgpack.decode(packed, type=StageTimes) == taken
    assert len(taken.by_stage["add"].counts) == len(STAGE_BOUNDS_S) + 1


def test_two_processes_do_not_share_their_numbers() -> None:
    one, other = ClientNumbers(), ClientNumbers()
    one.failed("_TRANSPORT")
    one.failed("_TRANSPORT")
    assert one.errors == {"_TRANSPORT": 2}
    assert other.errors == {}


def test_of_two_clients_the_slower_way_to_a_broker_counts() -> None:
    one = ClientNumbers({"_TRANSPORT": 1}, {"1": RoundTrip(0.1, 0.2), "2": RoundTrip(0.3, 0.3)})
    one.add(ClientNumbers({"_TRANSPORT": 1, "_TIMED_OUT": 1}, {"1": RoundTrip(0.05, 0.4)}))
    assert one.errors == {"_TRANSPORT": 2, "_TIMED_OUT": 1}
    assert one.round_trips == {"1": RoundTrip(0.1, 0.4), "2": RoundTrip(0.3, 0.3)}


def test_counts_are_added_by_name() -> None:
    into = {"a": 1}
    add_counts(into, {"a": 2, "b": 3})
    assert into == {"a": 3, "b": 3}
