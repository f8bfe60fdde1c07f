"""When a long run is good, and what a sample is made of."""

import json
import os
from random import Random

import pytest

from bench.reliability import soak
from tests.chaos.outcome import Verdict
from tests.soak.lasting import KILLING, SPARING, deck
from tests.soak.samples import Sample, Usage, lag_of, of_process
from tests.soak.verdict import Hit, SoakResult, lines_of

MB = 1_000_000
HIT = Hit(1.0, "broker-kill", "SIGKILL of the broker", 2, (1.5, 2.5))
RIGHT = Verdict(windows=60)


def samples(growth_mb: float = 0.0, role: str = "coordinator", number: int = 20) -> list[Sample]:
    def usage(minute: int) -> Usage:
        return Usage(7, int((100 + growth_mb * minute) * MB), 40)

    return [
        Sample(minute, {role: usage(minute)}, lag_records=minute % 3, published=minute, due=0)
        for minute in range(number)
    ]


def result(taken: list[Sample], verdict: Verdict = RIGHT) -> SoakResult:
    lines, problems = lines_of(taken)
    return SoakResult([HIT], verdict, lines, taken, problems)


def test_right_and_steady_is_good() -> None:
    found = result(samples())
    assert found.good
    assert [(line.role, line.quantity) for line in found.lines] == [
        ("coordinator", "memory, MB"),
        ("coordinator", "open files"),
        ("all partitions", "lag, records"),
    ]


def test_growth_is_bad() -> None:
    found = result(samples(growth_mb=1.0))
    assert not found.good
    assert [line.quantity for line in found.lines if line.trend.grows] == ["memory, MB"]
    assert [line["grows"] for line in found.as_json()["lines"]] == [True, False, False]


def test_growth_of_the_broker_is_not_ours() -> None:
    assert result(samples(growth_mb=1.0, role="broker")).good


def test_what_is_judged_is_the_second_half() -> None:
    """
    ╭─────────   it fills its buffers, and stays
    │
    """
    taken = samples(growth_mb=10.0, number=10) + samples(number=10)
    later = [Sample(10 + n, each.usage, 0, n, 0) for n, each in enumerate(taken[10:])]
    assert result([*taken[:10], *later]).good


@pytest.mark.parametrize(
    "verdict",
    [Verdict(), Verdict(60, wrong=1), Verdict(60, doubled=1), Verdict(60, lost=1)],
    ids=["nothing checked", "wrong", "doubled", "lost"],
)
def test_a_value_that_differs_is_bad(verdict: Verdict) -> None:
    assert not result(samples(), verdict).good


def test_nothing_broken_proves_nothing() -> None:
    found = result(samples())
    found.hits.clear()
    assert not found.good


def test_too_few_samples_prove_nothing() -> None:
    found = result(samples(number=6))
    assert not found.good
    assert found.problems[0] == "coordinator, memory, MB: 3 samples are too few to judge"


def test_usage_of_a_process() -> None:
    usage = of_process(os.getpid())
    assert usage is not None
    assert usage.resident_bytes > MB
    assert usage.descriptors > 2


def test_no_usage_of_a_process_that_is_gone() -> None:
    assert of_process(2**22 + 1) is None


def test_lag_is_that_of_all_partitions() -> None:
    page = """\
# TYPE streamagg_partition_lag_records gauge
streamagg_partition_lag_records{partition="0"} 3.0
streamagg_partition_lag_records{partition="1"} 4.0
# TYPE streamagg_windows_open gauge
streamagg_windows_open 9.0
"""
    assert lag_of(page) == 7
    assert lag_of("") is None


def test_the_frame_has_every_fault() -> None:
    drawn = [scenario.name for scenario in deck((*KILLING, *SPARING), Random(1))]
    assert sorted(drawn) == sorted((*KILLING, *SPARING))


def test_the_report_shows_all_of_it() -> None:
    saved = json.loads(json.dumps(result(samples(growth_mb=1.0)).as_json()))
    head = {
        "command": "python -m tests.soak",
        "made": "2026-01-31T12:00:00+00:00",
        "minutes": 60,
        "rate": 1_000,
    }
    (block,) = soak({**head, **saved})
    assert "60 windows: 0 wrong, 0 doubled, 0 lost. Grown: coordinator: memory, MB." in block.text
    assert "| SIGKILL of the broker | 2 | 2.0 | 2.5 |" in block.text
    assert "**GROWS**" in block.text
    assert block.svg is not None
    assert "coordinator" in block.svg
