"""When a run reports that records do not fit the settings, and when that is a failure."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest

from streamagg.engine.reporting.symptoms import FitWatch, Symptoms, judge
from streamagg.model.messages import ColumnBlock, Misfit
from tests.support.clock import Clock


def symptoms(records: int, *, mendable: bool = False, **misfits: int) -> Symptoms:
    samples = {why: Misfit(why, f"shape of {why}", f"hint of {why}", mendable) for why in misfits}
    return Symptoms(records, Counter(misfits), samples)


@dataclass
class Told:
    caplog: pytest.LogCaptureFixture
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.watch = FitWatch(self.clock)

    @property
    def fields(self) -> list[dict[str, Any]]:
        assert {vars(record)["event"] for record in self.caplog.records} <= {"records_misfit"}
        return [vars(record)["fields"] for record in self.caplog.records]


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Told:
    return Told(caplog)


def test_blocks_add_up() -> None:
    misfit, later = Misfit("bad_time", "a", "b"), Misfit("bad_time", "c", "d")
    whole = Symptoms()
    for block in (
        ColumnBlock(1, 0, 0, 5, 5, False, 5, {"bad_time": 2}, b"", (b"",), b"", misfits=(misfit,)),
        ColumnBlock(1, 0, 5, 9, 9, False, 4, {"bad_time": 1}, b"", (b"",), b"", early=3, misfits=(later,)),
    ):
        whole.note(block)
    assert (whole.records, +whole.misfits, whole.samples) == (
        9,
        Counter(bad_time=3, early=3),
        {"bad_time": misfit},
    )


@pytest.mark.parametrize(
    ("misfits", "why"),
    [
        ({"bad_time": 1_000}, "bad_time"),
        ({"bad_time": 500, "bad_json": 450}, "bad_time"),
        ({"early": 900, "bad_json": 50}, "early"),
        ({"ahead": 950}, "ahead"),
        ({"bad_time": 949}, None),
        ({}, None),
    ],
)
def test_nearly_all_records_are_meant(misfits: dict[str, int], why: str | None) -> None:
    found = judge(symptoms(1_000, **misfits))
    assert (found.sample.why if found else None) == why


def test_no_records_are_no_misfits() -> None:
    assert judge(symptoms(0)) is None
    assert FitWatch().end(symptoms(0), 0, {}) is None


def test_the_first_thousand_records_are_judged_once(told: Told) -> None:
    told.watch.look(symptoms(600, bad_time=600), symptoms(399, bad_json=399))
    assert told.fields == []
    told.watch.look(symptoms(600, bad_time=600), symptoms(400, bad_json=400))
    told.watch.look(symptoms(5_000, bad_time=5_000))
    (fields,) = told.fields
    assert fields == {
        "records": 1_000,
        "misfits": 1_000,
        "fate": "are rejected (bad_json 400, bad_time 600)",
        "hint": "hint of bad_time",
        "shape": "shape of bad_time",
    }
    assert told.caplog.records[0].getMessage() == (
        "1,000 of 1,000 records are rejected (bad_json 400, bad_time 600): hint of bad_time."
        " One of them has shape of bad_time"
    )


def test_where_little_comes_a_minute_is_enough(told: Told) -> None:
    told.watch.look(symptoms(0))
    told.clock.seconds = 100
    told.watch.look(symptoms(20, bad_time=20))
    told.clock.seconds = 159
    told.watch.look(symptoms(20, bad_time=20))
    assert told.fields == []
    told.clock.seconds = 160
    told.watch.look(symptoms(19, bad_time=19))
    assert told.fields == []
    told.watch.look(symptoms(20, bad_time=20))
    assert len(told.fields) == 1


def test_a_run_whose_first_records_fit_is_judged_again_at_its_end(told: Told) -> None:
    told.watch.look(symptoms(1_000, bad_time=10))
    assert told.watch.end(symptoms(90_000, bad_time=89_010), 990, {"bad_time": 89_010}) is None
    assert [fields["records"] for fields in told.fields] == [90_000]


@pytest.mark.parametrize(
    ("counted", "misfits", "mendable", "failure"),
    [
        (0, {"bad_time": 1_000}, True, True),
        (0, {"missing_field": 960}, False, True),
        (1, {"missing_field": 999}, False, False),
        (0, {"missing_field": 900}, False, False),
        (1_000, {"early": 1_000}, True, True),
        (1_000, {"early": 1_000}, False, False),
        (0, {"early": 1_000}, False, False),
        (1_000, {"ahead": 1_000}, False, False),
    ],
)
def test_what_is_a_failure_of_a_run_to_an_end(
    counted: int, misfits: dict[str, int], mendable: bool, failure: bool
) -> None:
    """The last but one: read again after a restart, so that nothing of it is counted a second time."""
    rejected = {why: count for why, count in misfits.items() if why not in ("early", "ahead")}
    text = FitWatch().end(symptoms(1_000, mendable=mendable, **misfits), counted, rejected)
    assert (text is not None) == failure
    if text is not None:
        (why,) = misfits
        assert text.endswith(f": hint of {why}.")


def test_records_that_the_clock_rejects_count_as_well(told: Told) -> None:
    text = told.watch.end(symptoms(100), 0, {"future": 100})
    assert text == (
        "100 of 100 records are rejected (future 100):"
        " their times are too far ahead of each other, as streamagg advise shows."
    )
