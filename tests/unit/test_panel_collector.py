"""What a panel makes of snapshots, and of the lines that everybody logs."""

import json
from dataclasses import replace
from typing import Any

import pytest

from streamagg.model.counters import Counters
from streamagg.panel.collector import MOST_WARNINGS, Collector
from streamagg.panel.glyphs import ASCII
from streamagg.panel.model import Figures, Line, Model
from streamagg.panel.panel import RunFoot
from streamagg.telemetry.health import Health
from streamagg.telemetry.metrics import Metrics
from streamagg.telemetry.snapshot import (
    OpenWindow,
    PartitionSample,
    PublisherSample,
    Snapshot,
    WindowSample,
)
from tests.support.clock import Clock
from tests.support.panel import FACTS, NOW_MS

PART = PartitionSample(Counters(), lag=0)


@pytest.fixture
def clock() -> Clock:
    return Clock(100.0)


@pytest.fixture
def collector(clock: Clock) -> Collector:
    return Collector(FACTS, lambda: NOW_MS / 1_000, clock)


def reading(at_s: float, consumed: int, lag: int = 0, **more: Any) -> Snapshot:
    """Of a leader with two partitions, the second of which is read by nobody yet."""
    part = replace(PART, counts=Counters(consumed=consumed), lag=lag, **more)
    return Snapshot(
        at_s, leader=True, member=True, rebalances=1, partitions={0: part, 1: replace(PART, lag=None)}
    )


def figures(collector: Collector) -> Figures:
    found = collector.model().figures
    assert found is not None
    return found


def logged(event: str, message: str, level: str = "info", **fields: object) -> str:
    moment = "2026-01-31T12:00:01.000Z"
    line = {"ts": moment, "level": level, "event": event, "message": message, "logger": "x", "fields": fields}
    return json.dumps(line)


def test_rates_are_those_of_the_time_between_snapshots(collector: Collector) -> None:
    for at_s, records in ((10.0, 0), (11.0, 100), (12.5, 400), (13.5, 400), (14.5, 1_000), (15.5, 1_100)):
        collector.look_at(reading(at_s, records), ())
    found = figures(collector)
    assert found.rates == (100.0, 200.0, 0.0, 600.0, 100.0)
    assert found.rate == pytest.approx(700 / 3)


def test_rates_are_kept_for_a_minute(collector: Collector) -> None:
    for second in range(200):
        collector.look_at(reading(float(second), second), ())
    assert figures(collector).rates == (1.0,) * 60


def test_a_snapshot_is_taken_once(collector: Collector) -> None:
    snapshot = reading(1.0, 5)
    for _ in range(3):
        collector.look_at(snapshot, ())
    assert figures(collector).rates == ()


def test_how_fast_less_is_left_to_read_is_known_after_some_seconds(collector: Collector) -> None:
    collector.look_at(reading(0.0, 0, lag=1_000), ())
    collector.look_at(reading(2.0, 0, lag=800), ())
    assert figures(collector).lag_falls is None
    collector.look_at(reading(4.0, 0, lag=600), ())
    assert figures(collector).lag_falls == 100.0
    for second in range(5, 20):
        collector.look_at(reading(float(second), 0, lag=600), ())
    assert figures(collector).lag_falls == 0.0


def test_all_partitions_add_up(collector: Collector) -> None:
    one = PartitionSample(Counters(10, 0, 5, 2, 1, rejected={"bad_json": 3}), lag=7)
    two = PartitionSample(Counters(4, 0, 3, rejected={"bad_json": 1, "future": 0}), lag=1)
    window = WindowSample(0, 5, 6)
    collector.look_at(
        Snapshot(
            leader=True,
            member=True,
            partitions={0: one, 1: two},
            watermark_ms=99,
            open=(OpenWindow(60_000, 3),),
            publisher=PublisherSample(recent=(window,)),
        ),
        (),
    )
    assert figures(collector) == Figures(
        rate=0.0,
        rates=(),
        lag=8,
        lag_falls=None,
        watermark_ms=99,
        records=14,
        counted=8,
        late=2,
        closed_early=1,
        rejected={"bad_json": 4, "future": 0},
        published=(window,),
        open=(OpenWindow(60_000, 3),),
    )


def test_what_the_instance_is(collector: Collector) -> None:
    def state(snapshot: Snapshot, *unready: str) -> str:
        collector.look_at(snapshot, unready)
        return collector.model().state

    assert collector.model().state == "waiting"
    assert state(Snapshot(1.0, member=True), "not in the consumer group") == "waiting"
    assert state(Snapshot(2.0, member=True, dealt=True)) == "standby"
    assert state(Snapshot(3.0, member=True, dealt=True, leader=True)) == "waiting"
    assert state(reading(4.0, 10), "aggregator-0 does not answer") == "leader"
    assert collector.model().unready == ("aggregator-0 does not answer",)
    away = Snapshot(5.0, member=True, dealt=True, leader=True, partitions={0: replace(PART, lag=None)})
    assert state(away, "leads, but does not read yet") == "waiting"
    assert (collector.model().unready, figures(collector).records) == ((), 10)
    collector.hear(logged("stopping", "stopping ..."))
    assert state(reading(6.0, 10)) == "stopping"
    collector.end(well=False)
    assert state(reading(7.0, 10)) == "failed"
    collector.end(well=True)
    assert collector.model().state == "ended"


def test_warnings_stay_until_others_come_and_go_above_then(collector: Collector) -> None:
    above = [collector.hear(logged("broken", f"broken {n}", "warning")) for n in range(MOST_WARNINGS + 1)]
    time = collector.model().warnings[0].at
    assert above == [*[None] * MOST_WARNINGS, f"{time}  WARNING  broken 0"]
    assert [line.text for line in collector.model().warnings] == ["broken 1", "broken 2", "broken 3"]


def test_of_other_lines_the_last_one_is_shown(collector: Collector) -> None:
    for line in (
        logged("http_serving", "metrics at http://h:1/metrics", url="http://h:1"),
        logged("ready", "ready as leader"),
        logged("partition_idle", "partition 3 is\nidle"),
        logged("summary", "12 records/s"),
    ):
        assert collector.hear(line) is None
    model = collector.model()
    assert model.said is not None
    assert model == Model(
        FACTS,
        "waiting",
        model.elapsed_s,
        model.now_ms,
        said=Line(model.said.at, "info", "partition 3 is idle"),
        url="http://h:1",
    )


@pytest.mark.parametrize("line", ["", "Traceback (most recent call last):", "{}", "[1]", '{"ts": 5', "null"])
def test_what_is_no_event_goes_above_as_it_is(collector: Collector, line: str) -> None:
    assert collector.hear(line) == line


def test_a_foot_draws_when_there_is_something_new() -> None:
    metrics, health = Metrics(), Health()
    foot = RunFoot(FACTS, metrics, health)
    metrics.show(reading(1.0, 5))
    assert foot.lines(80, 24, ASCII) is not None
    assert foot.lines(80, 24, ASCII) is None
    assert foot.lines(60, 24, ASCII) is not None
    foot.hear(logged("broken", "broken", "warning"))
    assert foot.lines(60, 24, ASCII) is not None
    metrics.show(reading(2.0, 5))
    assert foot.lines(60, 24, ASCII) is not None
    assert foot.lines(60, 24, ASCII) is None


def test_a_foot_leaves_the_warnings_of_a_run_that_has_not_begun() -> None:
    foot = RunFoot(FACTS, Metrics(), Health())
    foot.hear(logged("secret_readable", "every user can read it", "warning"))
    foot.end(well=False)
    (line,) = foot.last(80, 24, ASCII)
    assert line.plain.endswith("WARNING  every user can read it")


def test_a_foot_leaves_the_last_state_of_one_that_has() -> None:
    metrics = Metrics()
    foot = RunFoot(FACTS, metrics, Health())
    metrics.show(reading(1.0, 5))
    foot.end(well=True)
    title, *_ = foot.last(80, 24, ASCII)
    assert "ended  0:00:00" in title.plain
