"""The metrics of a run: what is exposed, what it says, and that the page lists exactly that."""

import http.client
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families

from streamagg.model.counters import Counters
from streamagg.model.measured import STAGE_BOUNDS_S, STAGES, Distribution, RoundTrip, StageTimes
from streamagg.model.rejections import REASONS
from streamagg.telemetry.endpoint import Shown, serving
from streamagg.telemetry.health import Health
from streamagg.telemetry.metrics import Metrics
from streamagg.telemetry.snapshot import (
    DELAY_BOUNDS_S,
    OpenWindow,
    PartitionSample,
    ProcessSample,
    PublisherSample,
    RunFacts,
    Snapshot,
    UncountedSample,
    WindowSample,
    WorkersSample,
)
from streamagg.telemetry.table import ROWS
from tests.support.prometheus import promtool

PAGE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text("utf-8")
TABLE = re.compile(r"^\| `(streamagg_\w+)` \| (\w+) \| ([^|]*)\| ([^|]*) \|$", re.MULTILINE)
OWN_LABELS = {"le", "quantile"}

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def times(stage: str, seconds: float) -> StageTimes:
    taken = StageTimes()
    taken.took(stage, seconds)  # type: ignore[arg-type]
    return taken


def delays(*seconds: float) -> Distribution:
    seen = Distribution.over(DELAY_BOUNDS_S)
    for value in seconds:
        seen.observe(value, DELAY_BOUNDS_S)
    return seen


SNAPSHOT = Snapshot(
    leader=True,
    member=True,
    rebalances=2,
    partitions={
        3: PartitionSample(
            Counters(
                consumed=10,
                counted=5,
                late=2,
                closed_early=1,
                rejected={"bad_json": 2},
                values_ignored={"bytes": 3},
                payload_bytes=1_200,
                set_aside=1,
            ),
            lag=7,
            clock_ms=1_500,
            idle=False,
            pending=4,
            uncounted=UncountedSample(200, 4, 1, {"bad_json": 2}, 0),
        )
    },
    workers=WorkersSample(
        configured={"unmarshaller": 2, "aggregator": 1},
        alive={"unmarshaller": 1, "aggregator": 1},
        restarts={("unmarshaller", "signal"): 3},
        processes={"unmarshaller-0": ProcessSample(1.5, 4096), "unmarshaller-1": ProcessSample(2.5)},
        backlog_bytes={"aggregator-0": 77},
        users={60: 10, 61: 30},
        groups={60: 7, 61: 4},
        held_bytes=320,
    ),
    coordinator=ProcessSample(0.5, 8192),
    open=(OpenWindow(180_000, 5), OpenWindow(240_000, 1)),
    periods={"day": 2},
    watermark_ms=1_000,
    session_restarts={"broker": 1},
    publisher=PublisherSample(
        windows={"final": 4, "empty": 1},
        delay=delays(0.5, 1.0, 7.0, 100_000.0),
        recent=(WindowSample(120_000, 42, 50, groups=6),),
        groups_dropped=2,
        last_commit_s=1_700_000_000.5,
        committed=3,
        aborted=1,
        state_bytes=800,
        restore_s=1.5,
    ),
    times=times("decode", 0.02),
    errors={"group": {"_TRANSPORT": 5}, "publisher": {}, "reader": {}},
    skipped_files={"gone": 2},
    round_trips={"group": {"1": RoundTrip(0.001, 0.004)}},
    facts=RunFacts(
        start_s=1_600_000_000.0,
        granularity_ms=60_000,
        max_lag_ms=5_000,
        max_users=1_000_000,
        max_groups=100_000,
        measures=("bytes", "price"),
        memory_limit_bytes=1 << 30,
        settings={"input": "in", "output": "out", "group": "g", "delivery": "exactly-once"},
    ),
)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def full(metrics: Metrics) -> Metrics:
    """Every metric has a sample."""
    metrics.show(SNAPSHOT)
    return metrics


@pytest.fixture
def url(metrics: Metrics) -> Iterator[str]:
    with serving("127.0.0.1:0", Shown(metrics.registry, Health())) as address:
        yield address


def text(metrics: Metrics) -> str:
    return generate_latest(metrics.registry).decode()


def samples(metrics: Metrics) -> Samples:
    families = text_string_to_metric_families(text(metrics))
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def labels(**values: str) -> frozenset[tuple[str, str]]:
    return frozenset(values.items())


def test_a_scrape_says_what_the_snapshot_says(full: Metrics) -> None:
    found = samples(full)
    three = labels(partition="3")
    expected = {
        ("records_consumed_total", three): 10,
        ("records_counted_total", three): 5,
        ("records_late_total", three): 2,
        ("records_closed_early_total", three): 1,
        ("values_ignored_total", labels(measure="bytes")): 3,
        ("values_ignored_total", labels(measure="price")): 0,
        ("records_set_aside", three): 1,
        ("bytes_consumed_total", three): 1_200,
        ("blocks_pending", three): 4,
        ("partition_lag_records", three): 7,
        ("partition_clock_timestamp_seconds", three): 1.5,
        ("partition_idle", three): 0,
        ("periods_open", labels(calendar="day")): 2,
        ("partition_uncounted_share", three): 0.03,
        ("watermark_timestamp_seconds", labels()): 1,
        ("windows_open", labels()): 2,
        ("windows_published_total", labels(kind="final")): 4,
        ("windows_published_total", labels(kind="empty")): 1,
        ("last_window_start_timestamp_seconds", labels()): 120,
        ("last_window_unique_users", labels()): 42,
        ("last_window_records", labels()): 50,
        ("last_window_groups", labels()): 6,
        ("windows_without_groups_total", labels()): 2,
        ("transactions_total", labels(outcome="committed")): 3,
        ("transactions_total", labels(outcome="aborted")): 1,
        ("last_commit_timestamp_seconds", labels()): 1_700_000_000.5,
        ("link_backlog_bytes", labels(worker="aggregator-0")): 77,
        ("users_held", labels()): 40,
        ("users_held_bytes", labels()): 320,
        ("largest_window_users", labels()): 30,
        ("max_users", labels()): 1_000_000,
        ("groups_held", labels()): 11,
        ("largest_window_groups", labels()): 7,
        ("max_groups", labels()): 100_000,
        ("memory_limit_bytes", labels()): 1 << 30,
        ("process_cpu_seconds_total", labels(process="coordinator")): 0.5,
        ("process_cpu_seconds_total", labels(process="unmarshaller-1")): 2.5,
        ("process_resident_memory_bytes", labels(process="unmarshaller-0")): 4096,
        ("workers_configured", labels(kind="unmarshaller")): 2,
        ("workers_alive", labels(kind="unmarshaller")): 1,
        ("worker_restarts_total", labels(kind="unmarshaller", cause="signal")): 3,
        ("session_restarts_total", labels(cause="broker")): 1,
        ("leader", labels()): 1,
        ("group_member", labels()): 1,
        ("rebalances_total", labels()): 2,
        ("kafka_errors_total", labels(client="group", code="_TRANSPORT")): 5,
        ("broker_round_trip_seconds", labels(client="group", broker="1", quantile="0.5")): 0.001,
        ("broker_round_trip_seconds", labels(client="group", broker="1", quantile="0.99")): 0.004,
        ("skipped_files_total", labels(reason="gone")): 2,
        ("start_timestamp_seconds", labels()): 1_600_000_000,
        ("granularity_seconds", labels()): 60,
        ("max_lag_seconds", labels()): 5,
        ("configuration_info", labels(input="in", output="out", group="g", delivery="exactly-once")): 1,
    }
    told = {(name, of): found.get((f"streamagg_{name}", of)) for name, of in expected}
    assert told == expected


def test_a_histogram_counts_what_is_up_to_each_bound(full: Metrics) -> None:
    found = samples(full)
    name = "streamagg_publication_delay_seconds"
    buckets = {dict(of)["le"]: value for (sample, of), value in found.items() if sample == f"{name}_bucket"}
    assert buckets["1.0"] == 2
    assert buckets["5.0"] == 2
    assert buckets["10.0"] == 3
    assert buckets["86400.0"] == 3
    assert buckets["+Inf"] == 4
    assert found[f"{name}_count", labels()] == 4
    assert found[f"{name}_sum", labels()] == 100_008.5
    assert all(low <= high for low, high in pairwise(buckets.values()))


def test_every_stage_is_there_before_its_first_batch(full: Metrics) -> None:
    counts = {
        dict(of)["stage"]: value
        for (name, of), value in samples(full).items()
        if name == "streamagg_stage_seconds_count"
    }
    assert counts == {stage: stage == "decode" for stage in STAGES}


def test_every_reason_is_there_before_it_happens(full: Metrics) -> None:
    rejected = {
        dict(of)["reason"]: value
        for (name, of), value in samples(full).items()
        if name == "streamagg_records_rejected_total"
    }
    assert rejected == {reason: 2 if reason == "bad_json" else 0 for reason in REASONS}


def test_causes_and_kinds_are_there_before_they_happen(metrics: Metrics) -> None:
    found = [(name, dict(of)) for name, of in samples(metrics)]
    restarts = [of for name, of in found if name == "streamagg_worker_restarts_total"]
    assert len(restarts) == 2 * 3
    assert [of["cause"] for name, of in found if name == "streamagg_session_restarts_total"] == [
        "aggregator",
        "publication",
        "broker",
    ]
    assert [of["kind"] for name, of in found if name == "streamagg_windows_published_total"] == [
        "final",
        "empty",
        "approximate",
    ]


def test_what_is_unknown_is_not_exposed(metrics: Metrics) -> None:
    names = {name for name, _ in samples(metrics)}
    assert "streamagg_leader" in names
    assert not names & {
        "streamagg_watermark_timestamp_seconds",
        "streamagg_max_users",
        "streamagg_memory_limit_bytes",
        "streamagg_last_window_records",
        "streamagg_last_commit_timestamp_seconds",
        "streamagg_periods_open",
        "streamagg_state_written_bytes_total",
        "streamagg_state_restore_seconds",
    }


def test_promtool_has_nothing_against_it(full: Metrics) -> None:
    assert promtool("check", "metrics", standard_input=text(full)) == ""


def test_openmetrics_is_what_it_should_be(full: Metrics) -> None:
    parsed = openmetrics_families(generate_openmetrics(full.registry).decode())
    kinds = {family.name: family.type for family in parsed}
    assert kinds["streamagg_records_consumed"] == "counter"
    assert kinds["streamagg_build"] == "info"
    assert len(kinds) == len(ROWS)


def test_a_client_chooses_the_format(full: Metrics, url: str) -> None:
    kinds = {}
    for accept in ("text/plain", "application/openmetrics-text; version=1.0.0"):
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
        connection.request("GET", "/metrics", headers={"Accept": accept})
        response = connection.getresponse()
        kinds[accept] = response.headers.get_content_type()
        assert b"streamagg_leader 1.0" in response.read()
        connection.close()
    assert kinds == {accept: accept.partition(";")[0] for accept in kinds}


def test_every_metric_has_a_sample_with_its_labels(full: Metrics) -> None:
    families = {family.documentation: family for family in full.registry.collect()}
    for row in ROWS:
        found = families[row.help].samples
        assert found, row.name
        for sample in found:
            assert sample.name.startswith(row.name)
            assert set(sample.labels) | OWN_LABELS == set(row.labels) | OWN_LABELS, sample.name


def test_names_are_there_once() -> None:
    assert len({row.name for row in ROWS}) == len({row.help for row in ROWS}) == len(ROWS)


def test_the_page_lists_exactly_what_is_exposed() -> None:
    documented = [
        (name, kind, tuple(re.findall(r"`(\w+)`", cell)), meaning)
        for name, kind, cell, meaning in TABLE.findall(PAGE)
    ]
    assert documented == [(row.name, row.kind, row.labels, row.help) for row in ROWS]


def test_the_page_names_nothing_else() -> None:
    exposed = {row.name for row in ROWS}
    suffixes = re.compile(r"_(bucket|sum|count)$")
    named = {suffixes.sub("", name) for name in re.findall(r"streamagg_\w+", PAGE)}
    assert named <= exposed


def test_the_page_explains_every_stage() -> None:
    section = PAGE.split("## Stages")[1].split("\n## ")[0]
    assert tuple(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == STAGES


def test_how_many_series_there_are_depends_on_partitions_workers_and_brokers(full: Metrics) -> None:
    """Nothing that records bring makes one more."""
    per_partition = sum(row.labels == ("partition",) for row in ROWS) + len(REASONS)
    one = len(samples(full))
    two = SNAPSHOT.partitions | {4: SNAPSHOT.partitions[3]}
    full.show(replace(SNAPSHOT, partitions=two))
    assert len(samples(full)) - one == per_partition
    assert one < 8 * (len(STAGE_BOUNDS_S) + 3) + 150
