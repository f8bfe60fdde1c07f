"""The snapshot of a run: sessions, workers and publishers added up."""

from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest

from streamagg.core.checkpoint import Checkpoint
from streamagg.core.partition_clock import PartitionState
from streamagg.core.windows import Windows
from streamagg.engine.reporting.metering import Meter, MeteredPublisher, PublishedWindows
from streamagg.engine.reporting.stats import Tally
from streamagg.engine.session.leases import LeaseBook
from streamagg.engine.session.plan import Opening, Plan
from streamagg.engine.session.session import Session
from streamagg.engine.workers.contract import AggregatorLost
from streamagg.errors import KafkaUnreachable, TooManyUsers
from streamagg.model.counters import Counters
from streamagg.model.measured import ClientNumbers, Distribution, PublisherNumbers, StageTimes
from streamagg.model.messages import AnyMessage
from streamagg.model.results import Groups, Value, WindowTable
from streamagg.model.settings import (
    CeilingSettings,
    DecodeSettings,
    KafkaSettings,
    MeasureSettings,
    RunSettings,
    WindowSettings,
)
from streamagg.sinks.contract import OutputAway, Publication, PublishFailed
from streamagg.telemetry.metrics import Metrics
from streamagg.telemetry.snapshot import DELAY_BOUNDS_S, GroupSample, OpenWindow, WindowSample, WorkersSample
from tests.support.blocks import Record, whole, window_table

MINUTE_MS = 60_000
WINDOW = WindowSettings(MINUTE_MS)
WINDOWS = Windows(WINDOW)


class InstantPublisher:
    """Everything is out at once."""

    busy = False

    def __init__(self) -> None:
        self._out: Publication | None = None

    def submit(self, publication: Publication) -> None:
        self._out = publication

    def finished(self) -> Publication | None:
        out, self._out = self._out, None
        return out


class Nowhere:
    """A port whose worker never answers."""

    backlog_bytes = 0

    def post(self, message: AnyMessage) -> None:
        pass


def member(**numbers: int) -> Any:
    """A member of the group."""
    known = ClientNumbers(numbers)
    return SimpleNamespace(leader=True, joined=True, assignment_known=True, rebalances=3, numbers=known)


def workers(sample: WorkersSample | None = None) -> Any:
    return SimpleNamespace(sample=lambda: sample or WorkersSample())


def meter_of(metrics: Metrics, sample: WorkersSample | None = None, **settings: Any) -> Meter:
    return Meter(RunSettings("in", "out", **settings), metrics, workers(sample), member(_TRANSPORT=2))


def session_that_read(records: list[Record]) -> Session:
    opening = Opening(Checkpoint(PartitionState(0), None, 0), end=100)
    session = Session(
        Plan(WINDOW, 64, 10_000),
        {0: opening},
        LeaseBook(1, count()),
        [Nowhere()],
        [Nowhere()],
        InstantPublisher(),
        epoch=1,
        now_ms=0,
    )
    session.tick(0)
    session.receive_block(whole(records), 0)
    session.tick(0)
    return session


def times(**stages: float) -> StageTimes:
    taken = StageTimes()
    for stage, seconds in stages.items():
        taken.took(stage, seconds)  # type: ignore[arg-type]
    return taken


def test_the_sessions_add_up() -> None:
    """Two sessions read three records each, one of them broken; the first has ended."""
    log = [Record(0, 60_000, 1, live=True), Record(1, reason="bad_json"), Record(2, 61_000, 2, live=True)]
    metrics, tally = Metrics(), Tally()
    tally.add(session_that_read(log))
    meter = meter_of(metrics)
    meter.session = session_that_read(log)
    meter.look(tally)
    snapshot = metrics.snapshot
    sample = snapshot.partitions[0]
    assert sample.counts == Counters(consumed=6, counted=4, rejected={"bad_json": 2})
    assert (sample.lag, sample.clock_ms, sample.pending) == (100 - 3, 61_000, 0)
    assert (snapshot.leader, snapshot.member, snapshot.rebalances) == (True, True, 3)
    assert snapshot.open == (OpenWindow(60_000, 2),)
    assert snapshot.coordinator is not None
    assert snapshot.coordinator.cpu_s > 0
    assert sum(snapshot.times.by_stage["sequence"].counts) == 2, "one for each session's block"


def test_a_tick_without_anything_to_apply_is_no_batch() -> None:
    session = session_that_read([Record(0, 60_000, 1, live=True)])
    before = sum(session.times.by_stage["sequence"].counts)
    session.tick(1)
    assert sum(session.times.by_stage["sequence"].counts) == before


def test_the_stages_of_all_processes_add_up() -> None:
    metrics = Metrics()
    meter = meter_of(metrics, WorkersSample(times=times(fetch=0.5, decode=0.25)))
    meter.publisher.times.add(times(commit=0.125))
    meter.look(Tally())
    found = {stage: taken.sum for stage, taken in metrics.snapshot.times.by_stage.items()}
    assert found == {"fetch": 0.5, "decode": 0.25, "commit": 0.125}


def test_errors_are_told_apart_by_client() -> None:
    metrics = Metrics()
    meter = meter_of(metrics, WorkersSample(readers=ClientNumbers({"_TIMED_OUT": 1})))
    meter.publisher.client.failed("_FENCED")
    meter.look(Tally())
    assert metrics.snapshot.errors == {
        "group": {"_TRANSPORT": 2},
        "publisher": {"_FENCED": 1},
        "reader": {"_TIMED_OUT": 1},
    }


def test_a_snapshot_is_taken_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 100.0
    monkeypatch.setattr("streamagg.engine.reporting.metering.time.monotonic", lambda: now_s)
    metrics = Metrics()
    meter = meter_of(metrics)
    meter.look(Tally())
    first = metrics.snapshot
    now_s = 100.9
    meter.look(Tally())
    assert metrics.snapshot is first
    now_s = 101.0
    meter.look(Tally())
    assert metrics.snapshot is not first


def test_a_snapshot_does_not_change_once_it_is_taken() -> None:
    metrics = Metrics()
    meter = meter_of(metrics)
    publisher = meter.metered(InstantPublisher())
    meter.look(Tally())
    publisher.submit(Publication((window_table(1, 2, 3, False),), {}))
    assert publisher.finished() is not None
    meter.publisher.client.failed("_FENCED")
    meter.session_broke(AggregatorLost())
    shown = metrics.snapshot
    assert (shown.publisher.windows, shown.errors["publisher"], shown.session_restarts) == ({}, {}, {})
    assert sum(shown.publisher.delay.counts) == 0


def test_settings_are_told() -> None:
    metrics = Metrics()
    meter_of(
        metrics,
        kafka=KafkaSettings(group="g"),
        window=WindowSettings(30_000, max_lag_ms=7_000),
        ceiling=CeilingSettings(99),
    ).look(Tally())
    facts = metrics.snapshot.facts
    assert facts is not None
    assert (facts.granularity_ms, facts.max_lag_ms, facts.max_users) == (30_000, 7_000, 99)
    assert facts.settings == {"input": "in", "output": "out", "group": "g", "delivery": "exactly-once"}


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (AggregatorLost("died"), "aggregator"),
        (PublishFailed("no"), "publication"),
        (OutputAway("away"), "broker"),
        (KafkaUnreachable("away"), "broker"),
        (TooManyUsers("the run ends"), None),
    ],
)
def test_why_a_session_broke(error: Exception, cause: str | None) -> None:
    metrics = Metrics()
    meter = meter_of(metrics)
    meter.session_broke(error)
    meter.look(Tally())
    assert metrics.snapshot.session_restarts == ({} if cause is None else {cause: 1})


def test_windows_are_counted_by_kind_once_they_are_out() -> None:
    r"""Three windows in one transaction, at second 63; the end of each is 63 and 3 s ago, and in 57 s.

    -60        0          60  63         120
      ├────────┼──────────┼───▲──────────┤
       empty     final        │ approximate
    """
    published = PublishedWindows(WINDOWS, clock=lambda: 63.0)
    inner = InstantPublisher()
    publisher = MeteredPublisher(inner, published)
    windows = (
        window_table(-1, 0, 0, False),
        window_table(0, 40, 50, False),
        window_table(1, 1_000, 2_000, True, error=0.01),
    )
    publisher.submit(Publication(windows, {}))
    assert published.sample(PublisherNumbers()).windows == {}
    assert publisher.finished() is not None
    assert publisher.finished() is None
    sample = published.sample(
        PublisherNumbers(committed=2, aborted=1, last_commit_s=9.0, state_bytes=8, restore_s=0.5)
    )
    assert sample.windows == {"final": 1, "empty": 1, "approximate": 1}
    assert sample.recent == (
        WindowSample(-MINUTE_MS, 0, 0),
        WindowSample(0, 40, 50),
        WindowSample(MINUTE_MS, 1_000, 2_000, partial=True, error=0.01),
    )
    assert sample.last == sample.recent[-1]
    expected = Distribution.over(DELAY_BOUNDS_S)
    for delay_s in (63.0, 3.0, -57.0):
        expected.observe(delay_s, DELAY_BOUNDS_S)
    assert sample.delay == expected
    assert (sample.committed, sample.aborted, sample.last_commit_s) == (2, 1, 9.0)
    assert (sample.state_bytes, sample.restore_s) == (8, 0.5)


def test_the_largest_groups_of_windows_are_kept_and_windows_without_are_counted() -> None:
    texts = [b'["%d"]' % number for number in range(7)]
    records = list(range(70, 0, -10))
    row = {"records": Value(280), "users": Value(28)}
    grouped = Groups(9, texts, {"records": records, "users": list(range(7, 0, -1))})
    published = PublishedWindows(WINDOWS)
    tables = [
        WindowTable(0, False, row, Groups(None, [], {})),
        WindowTable(1, False, row, grouped),
        WindowTable(2, False, {"records": Value(280)}, Groups(7, texts[:1], {"records": records[:1]})),
    ]
    published.note(Publication(tuple(tables), {}))
    dropped, known, userless = published.sample(PublisherNumbers()).recent
    assert published.sample(PublisherNumbers()).groups_dropped == 1
    assert (dropped.groups, dropped.groups_dropped, dropped.top) == (None, True, ())
    assert (known.groups, known.groups_dropped, len(known.top)) == (9, False, 5)
    assert known.top[:2] == (GroupSample(b'["0"]', 7, 70), GroupSample(b'["1"]', 6, 60))
    assert (userless.unique, userless.top) == (None, (GroupSample(b'["0"]', None, 70),))


def test_the_ceiling_on_groups_is_a_fact_of_grouped_runs() -> None:
    sums = (MeasureSettings("bytes", "sum", "size"),)
    for decode, known in (
        (DecodeSettings(), (None, ())),
        (DecodeSettings(group_by=("a",), measures=sums), (100_000, ("bytes",))),
    ):
        metrics = Metrics()
        meter_of(metrics, decode=decode).look(Tally())
        facts = metrics.snapshot.facts
        assert facts is not None
        assert (facts.max_groups, facts.measures) == known


def test_the_end_of_a_run_tells_what_it_lost(caplog: pytest.LogCaptureFixture) -> None:
    """Of six records three are broken: too few for a share of the last minute, but half of all."""
    caplog.set_level("INFO")
    log = [Record(offset, 60_000 + offset, 1, live=True) for offset in range(3)]
    log += [Record(offset, reason="bad_json") for offset in range(3, 6)]
    metrics, tally = Metrics(), Tally()
    meter = meter_of(metrics)
    meter.session = session_that_read(log)
    meter.measure(tally)
    assert metrics.snapshot.partitions[0].uncounted is None
    tally.add(meter.session)
    meter.session = None
    assert caplog.records == []
    meter.end(tally)
    (told,) = caplog.records
    assert vars(told)["event"] == "uncounted_total"
    assert vars(told)["fields"]["share"] == 0.5


def test_a_snapshot_holds_the_share_of_the_last_minute(caplog: pytest.LogCaptureFixture) -> None:
    log = [Record(offset, 60_000 + offset, 1, live=True) for offset in range(90)]
    log += [Record(offset, reason="bad_json") for offset in range(90, 100)]
    metrics = Metrics()
    meter = meter_of(metrics)
    meter.session = session_that_read(log)
    meter.measure(Tally())
    found = metrics.snapshot.partitions[0].uncounted
    assert found is not None
    assert found.share == 0.1
    assert [vars(record)["event"] for record in caplog.records] == ["partition_uncounted"]
