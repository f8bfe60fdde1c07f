"""The benchmark of metrics: parts times how often."""

import pytest

from bench import metering as module
from bench.goals import goals
from bench.metering import Part, parts, share
from bench.plots import metering


def test_the_share_of_a_run() -> None:
    found = [Part("a", 10.0, 1_000.0), Part("b", 5_000.0, 2.0)]
    assert [part.microseconds_a_second for part in found] == [10_000, 10_000]
    assert share(found, 2.0) == pytest.approx(0.01)


def test_every_part_can_be_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STATISTICS_S", 0.1)
    found = parts(rate=100_000, repeat=1)
    assert all(part.times_a_second > 0 for part in found)
    by_batch = [part.times_a_second for part in found if "batch" in part.what]
    assert [part.times_a_second for part in parts(200_000, 1) if "batch" in part.what] == [
        2 * times for times in by_batch
    ]


def test_the_figure_in_the_report() -> None:
    found = {
        "command": "python -m bench.metering",
        "made": "2026-01-31T00:00:00+00:00",
        "rate": 300_000.0,
        "cpu_seconds_a_second": 2.0,
        "batch_records": 1_000,
        "parts": [{"what": "take a snapshot", "microseconds": 250.0, "times_a_second": 2.0}],
        "share": 0.00025,
    }
    (block,) = metering(found)
    assert "| take a snapshot | 250.0 | 2.0 | 500 |" in block.text
    assert "0.03 % of the 2.00 CPU seconds" in block.text
    assert "metrics, of the CPU of a run" in goals([], {"metering": found}).text
