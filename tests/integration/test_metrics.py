"""What a run on real Kafka tells of itself is what the log and the output imply."""

import json
import os
import signal
from collections import Counter
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.integration.conftest import RunFactory
from tests.support.broker import Broker
from tests.support.instances import READY_S, Instance, wait_until
from tests.support.pipeline import GRANULARITY_MS, QUICK_GROUP, Feed, Run, made_records
from tests.support.prometheus import promtool
from tests.support.scrape import SERVED, Scrape, scrape, scrape_until

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

SPEND = ("counted", "late", "published_before", "read_again")
HOLD = ("set_aside", "waiting")


def where_records_are(found: Scrape, partition: str) -> float:
    """Everything that a consumed record may have become."""
    parts = [found(f"records_{name}_total", partition=partition) for name in (*SPEND, "rejected")]
    return sum(parts) + sum(found(f"records_{name}", partition=partition) for name in HOLD)


@pytest.mark.parametrize(
    "how", [("--unmarshallers", "2", "--aggregators", "2"), ("--inline",)], ids=["processes", "inline"]
)
def test_the_numbers_are_those_of_the_log(how: tuple[str, ...], new_run: RunFactory) -> None:
    run = new_run(2)
    made = made_records(6_000, corrupt=0.01)
    Feed(run.bootstrap, run.input, 2).send(made)
    with run.start(*SERVED, *how, "--idle-timeout", "1s", "--from", "earliest") as instance:
        found = scrape_until(
            instance, lambda s: s("windows_open") == 0 and s("records_consumed_total") == 6_000, "the end"
        )
        rows = [json.loads(value) for value in run.published()]
        found = scrape_until(instance, lambda s: s("windows_published_total") == len(rows), "all windows")
        found = scrape_until(instance, lambda s: s("stage_seconds_count", stage="commit") > 0, "a commit")
        of_last = scrape_until(
            instance, lambda s: s("broker_round_trip_seconds", client="reader") > 0, "statistics"
        )
    sizes = Counter[str]()
    for number, payload in enumerate(made):
        sizes[str(number % 2)] += len(payload)
    assert found.by("partition", "records_consumed_total") == {"0": 3_000, "1": 3_000}
    assert found.by("partition", "bytes_consumed_total") == sizes
    for partition in "01":
        assert where_records_are(found, partition) == 3_000
        assert found("partition_idle", partition=partition) == 1
        assert found("partition_lag_records", partition=partition) == 0
        assert found("blocks_pending", partition=partition) == 0
    assert found("records_rejected_total") > 0
    assert found("records_late_total") > 0
    check_windows(found, rows)
    assert found.labels("configuration_info") == {
        "input": run.input,
        "output": run.output,
        "group": run.output,
        "delivery": "exactly-once",
    }
    assert (found("leader"), found("group_member")) == (1, 1)
    assert found("rebalances_total") >= 1
    check_work(found, inline="--inline" in how)
    assert 0 < of_last("broker_round_trip_seconds", client="reader", quantile="0.99") < READY_S
    assert promtool("check", "metrics", standard_input=of_last.text) == ""


def check_windows(found: Scrape, rows: list[dict[str, int]]) -> None:
    """What is told of the windows is what was published."""
    last = rows[-1]
    assert found("windows_published_total", kind="final") == len(rows)
    assert found("last_window_start_timestamp_seconds") == last["ts"]
    assert found("last_window_unique_users") == last["cnt"]
    assert found("last_window_records") == last["records"]
    assert found("records_counted_total") == sum(row["records"] for row in rows)
    assert found("publication_delay_seconds_count") == len(rows)
    assert found("publication_delay_seconds_bucket", le="86400.0") == 0, "they are years old"
    assert found("transactions_total", outcome="committed") >= 1
    assert found("transactions_total", outcome="aborted") == 0
    assert found("last_commit_timestamp_seconds") > found("start_timestamp_seconds") > 1.7e9
    assert found("granularity_seconds") == GRANULARITY_MS / 1_000
    assert found("watermark_timestamp_seconds") >= last["ts"] + GRANULARITY_MS / 1_000


def check_work(found: Scrape, *, inline: bool) -> None:
    """Every stage has seen batches, and every process is there."""
    batches = found.by("stage", "stage_seconds_count")
    assert all(batches.values()), batches
    assert batches["decode"] >= 2
    workers = ["aggregator-0", "unmarshaller-0"]
    if not inline:
        workers = ["aggregator-0", "aggregator-1", "unmarshaller-0", "unmarshaller-1"]
    assert sorted(found.by("worker", "link_backlog_bytes")) == workers
    processes = ["coordinator"] if inline else sorted(["coordinator", *workers])
    for metric in ("process_cpu_seconds_total", "process_resident_memory_bytes"):
        values = found.by("process", metric)
        assert sorted(values) == processes
        assert all(values.values())
    each = 1 if inline else 2
    alive = {"aggregator": each, "unmarshaller": each}
    assert found.by("kind", "workers_alive") == found.by("kind", "workers_configured") == alive
    assert found("worker_restarts_total") == found("session_restarts_total") == 0


def test_users_are_held_while_their_windows_are_open(new_run: RunFactory) -> None:
    """Two windows, neither of them closed; the second has more users."""
    run = new_run(1)
    payloads = [f'{{"ts": {1_000 + at}, "uid": "{user}"}}' for at, user in [(0, "a"), (11, "b"), (11, "c")]]
    Feed(run.bootstrap, run.input).send([payload.encode() for payload in payloads])
    limits = ("--max-lag", "5m", "--max-users", "100000")
    with run.start(*SERVED, *limits, "--idle-timeout", "1s") as instance:
        found = scrape_until(instance, lambda s: s("users_held") == 3, "the users")
        assert found("largest_window_users") == 2
        assert found("users_held_bytes") >= 3 * 8
        assert found("windows_open") == 2
        assert found("max_users") == 100_000
        assert found("max_lag_seconds") == 300


def counters(found: Scrape) -> dict[str, float]:
    """What must never fall."""
    told = found.by("stage", "stage_seconds_count") | found.by("process", "process_cpu_seconds_total")
    for name in ("records_consumed_total", "bytes_consumed_total", "windows_published_total"):
        told[name] = found(name)
    return told


def kill(instance: Instance, kind: str) -> None:
    victim = instance.workers(kind)[0]
    os.kill(victim, signal.SIGKILL)
    instance.wait_for(f"(process {victim}) died: signal 9; replaced")


def test_restarts_by_cause_and_counters_that_do_not_fall(new_run: RunFactory) -> None:
    run = new_run(1)
    made = made_records(6_000)
    feed = Feed(run.bootstrap, run.input)
    feed.send(made[:3_000])
    with run.start(*SERVED, "--unmarshallers", "1", *QUICK_GROUP) as instance:
        before = scrape_until(instance, lambda s: s("stage_seconds_count", stage="add") > 0, "some work")
        kill(instance, "unmarshaller")
        found = scrape_until(
            instance,
            lambda s: s("worker_restarts_total", kind="unmarshaller", cause="signal") == 1,
            "restart",
        )
        assert found("session_restarts_total") == 0
        kill(instance, "aggregator")
        feed.send(made[3_000:])
        found = scrape_until(
            instance,
            lambda s: (
                s("session_restarts_total", cause="aggregator") == 1
                and s("workers_alive") == 2
                and s("records_consumed_total") >= 6_000
                and s("process_resident_memory_bytes", process="unmarshaller-0") > 0
            ),
            "all of it",
        )
        assert found("worker_restarts_total") == 2
        assert found("worker_restarts_total", kind="aggregator", cause="signal") == 1
        assert found("session_restarts_total") == 1
        after, then = counters(found), counters(before)
        assert {name: after[name] for name in then if after[name] < then[name]} == {}
        assert where_records_are(found, "0") == found("records_consumed_total")


def test_a_standby_says_that_it_is_one(new_run: RunFactory) -> None:
    run = new_run(1)
    Feed(run.bootstrap, run.input).send(made_records(2_000))
    with run.start(*SERVED, *QUICK_GROUP) as first:
        scrape_until(first, lambda s: s("leader") == 1 and s("records_consumed_total") > 0, "a leader")
        with run.start(*SERVED, *QUICK_GROUP) as second:
            second.wait_for("standing by")
            found = scrape_until(
                second, lambda s: s("group_member") == 1 and s("workers_alive") == 3, "a standby"
            )
            wait_until(lambda: scrape(first)("leader") + scrape(second)("leader") == 1, "one leader")
            assert found("records_consumed_total") == 0
            assert not found.has("watermark_timestamp_seconds")
            assert not found.has("last_commit_timestamp_seconds")
            assert found("windows_published_total") == 0


def test_a_broker_that_is_gone_shows_in_the_errors_of_its_clients(own_broker: Broker, tmp_path: Path) -> None:
    run = Run(own_broker.address, "in", "out", tmp_path)
    client = AdminClient({"bootstrap.servers": own_broker.address})
    client.create_topics([NewTopic("in", 1, 1)])["in"].result(READY_S)
    Feed(own_broker.address, "in").send(made_records(5_000))
    with run.start(*SERVED, level="info") as instance:
        found = scrape_until(instance, lambda s: s("windows_published_total") > 0, "windows")
        assert found("kafka_errors_total") == 0
        own_broker.kill()
        found = scrape_until(
            instance,
            lambda s: all(
                s("kafka_errors_total", client=kind, code="_TRANSPORT") for kind in ("group", "reader")
            ),
            "errors of both consumers",
        )
        codes = found.by("code", "kafka_errors_total")
        assert len(codes) < 10, codes
        instance.kill()
