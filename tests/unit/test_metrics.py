"""The metrics of a run over HTTP: what is exposed, what it says, and that the page lists exactly that."""

import http.client
import re
import socket
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from streamagg.core.checkpoint import Checkpoint
from streamagg.core.clock import PartitionState
from streamagg.core.publication import Publication
from streamagg.core.windows import Windows
from streamagg.errors import SettingsError
from streamagg.pipeline.leases import LeaseBook
from streamagg.pipeline.metering import Meter, TimedPublisher
from streamagg.pipeline.session import Opening, Plan, Session
from streamagg.pipeline.stats import Tally
from streamagg.records import REASONS, AnyMessage
from streamagg.settings import WindowSettings
from streamagg.telemetry import metrics as metrics_module
from streamagg.telemetry.endpoint import serving
from streamagg.telemetry.metrics import Metrics, PartitionSample, Snapshot, WorkerSample
from tests.support.blocks import Record, whole

PAGE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text("utf-8")

SNAPSHOT = Snapshot(
    leader=True,
    ready=True,
    partitions={
        3: PartitionSample(
            records=10,
            counted=5,
            late=2,
            closed_early=1,
            published_before=0,
            read_again=0,
            rejected={"bad_json": 2},
            set_aside=1,
            waiting=0,
            lag=7,
            clock_ms=1_500,
            idle=False,
        )
    },
    workers={"unmarshaller-0": WorkerSample(cpu_s=1.5, rss_bytes=4096)},
    windows_published=4,
    open_windows=2,
    watermark_ms=1_000,
    restarts={"worker": 1, "session": 0},
)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def url(metrics: Metrics) -> Iterator[str]:
    with serving("127.0.0.1:0", metrics) as address:
        yield address


def get(url: str, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def samples(url: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    status, text = get(url, "/metrics")
    assert status == 200
    families = text_string_to_metric_families(text)
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def labels(**values: str) -> frozenset[tuple[str, str]]:
    return frozenset(values.items())


def test_a_scrape_says_what_the_snapshot_says(metrics: Metrics, url: str) -> None:
    metrics.show(SNAPSHOT)
    found = samples(url)
    three = labels(partition="3")
    assert found["streamagg_records_total", three] == 10
    assert found["streamagg_records_counted_total", three] == 5
    assert found["streamagg_records_late_total", three] == 2
    assert found["streamagg_records_closed_early_total", three] == 1
    assert found["streamagg_records_set_aside", three] == 1
    assert found["streamagg_partition_lag_records", three] == 7
    assert found["streamagg_partition_clock_timestamp_seconds", three] == 1.5
    assert found["streamagg_watermark_timestamp_seconds", labels()] == 1
    assert found["streamagg_open_windows", labels()] == 2
    assert found["streamagg_windows_published_total", labels()] == 4
    assert found["streamagg_leader", labels()] == 1
    assert found["streamagg_restarts_total", labels(kind="worker")] == 1
    assert found["streamagg_worker_cpu_seconds_total", labels(worker="unmarshaller-0")] == 1.5
    assert found["streamagg_worker_resident_memory_bytes", labels(worker="unmarshaller-0")] == 4096


def test_every_reason_is_there_before_it_happens(metrics: Metrics, url: str) -> None:
    metrics.show(SNAPSHOT)
    rejected = {
        dict(of)["reason"]: value
        for (name, of), value in samples(url).items()
        if name == "streamagg_records_rejected_total"
    }
    assert rejected == {reason: 2 if reason == "bad_json" else 0 for reason in REASONS}


def test_the_watermark_lags_behind_the_wall_clock(
    metrics: Metrics, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics_module, "time", lambda: 61.0)
    metrics.show(SNAPSHOT)
    assert samples(url)["streamagg_watermark_lag_seconds", labels()] == 60


def test_what_is_unknown_is_not_exposed(metrics: Metrics, url: str) -> None:
    metrics.show(Snapshot())
    names = {name for name, _ in samples(url)}
    assert "streamagg_leader" in names
    assert "streamagg_watermark_timestamp_seconds" not in names


def test_publications_are_timed(metrics: Metrics, url: str) -> None:
    publisher = TimedPublisher(InstantPublisher(), metrics)
    publisher.submit(Publication((), {}))
    assert publisher.finished() is not None
    assert publisher.finished() is None
    assert samples(url)["streamagg_publish_seconds_count", labels()] == 1


def test_ready_follows_the_snapshot(metrics: Metrics, url: str) -> None:
    assert get(url, "/readyz")[0] == 503
    metrics.show(SNAPSHOT)
    assert get(url, "/readyz") == (200, "ready\n")


def test_not_alive_when_the_main_loop_stands_still(
    metrics: Metrics, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert get(url, "/healthz") == (200, "alive\n")
    monkeypatch.setattr(metrics_module, "STUCK_S", 0.0)
    assert get(url, "/healthz") == (503, "stuck\n")


def test_other_paths_are_not_found(url: str) -> None:
    assert get(url, "/")[0] == 404


def test_a_port_in_use_names_the_flag(metrics: Metrics) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(SettingsError, match=f"--metrics {address}"), serving(address, metrics):
            pass


def test_the_page_lists_exactly_what_is_exposed(metrics: Metrics) -> None:
    documented = set(re.findall(r"^\| `(streamagg_\w+)` \|", PAGE, re.MULTILINE))
    metrics.show(SNAPSHOT)
    suffix = {"counter": "_total", "info": "_info"}
    exposed = {family.name + suffix.get(family.type, "") for family in metrics.registry.collect()}
    assert documented == exposed


def test_the_page_lists_the_labels(metrics: Metrics) -> None:
    rows = re.findall(r"^\| `(streamagg_\w+)` \| \w+ \| ([^|]*)\|", PAGE, re.MULTILINE)
    documented = {name: set(re.findall(r"`(\w+)`", cell)) for name, cell in rows}
    metrics.show(SNAPSHOT)
    for family in metrics.registry.collect():
        for sample in family.samples:
            if not sample.name.endswith(("_bucket", "_created", "_sum", "_count")):
                assert documented[sample.name] == set(sample.labels), sample.name


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


class Idle:
    """Workers that only report what they use."""

    restarts = 2

    def usage(self) -> Mapping[str, WorkerSample]:
        return {"aggregator-0": WorkerSample(0.5, 1)}


class Member:
    """A member of the group."""

    leader = True
    joined = True


def session_that_read(records: list[Record]) -> Session:
    opening = Opening(Checkpoint(PartitionState(0), None, 0), end=100)
    session = Session(
        Plan(Windows(WindowSettings()), 64, 10_000),
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


def test_the_meter_adds_the_sessions_up() -> None:
    """Two sessions read three records each, one of them broken; the first has ended."""
    log = [Record(0, 60_000, 1, live=True), Record(1, reason="bad_json"), Record(2, 61_000, 2, live=True)]
    metrics, tally = Metrics(), Tally()
    tally.add(session_that_read(log))
    meter = Meter(metrics, Idle(), Member(), broken=["once"])  # type: ignore[arg-type]
    meter.session = session_that_read(log)
    meter.look(tally)
    snapshot = metrics.snapshot
    sample = snapshot.partitions[0]
    assert (sample.records, sample.counted, dict(sample.rejected)) == (6, 4, {"bad_json": 2})
    assert sample.lag == 100 - 3
    assert sample.clock_ms == 61_000
    assert snapshot.restarts == {"worker": 2, "session": 1}
    assert snapshot.open_windows == 1
    assert set(snapshot.workers) == {"coordinator", "aggregator-0"}
    assert (snapshot.leader, snapshot.ready) == (True, True)


def test_a_snapshot_is_taken_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 100.0
    monkeypatch.setattr("streamagg.pipeline.metering.time.monotonic", lambda: now_s)
    metrics = Metrics()
    meter = Meter(metrics, Idle(), Member(), broken=[])  # type: ignore[arg-type]
    meter.look(Tally())
    first = metrics.snapshot
    now_s = 100.9
    meter.look(Tally())
    assert metrics.snapshot is first
    now_s = 101.0
    meter.look(Tally())
    assert metrics.snapshot is not first
