"""What changes under a run: partitions are added, and reading begins elsewhere than at the front."""

import json
import signal

import pytest
from confluent_kafka.admin import AdminClient, NewPartitions

from tests.integration.conftest import RunFactory
from tests.support.instances import READY_S, wait_until
from tests.support.pipeline import Feed, made_records, record

pytestmark = pytest.mark.kafka
T0 = 1_468_244_380


@pytest.mark.slow
def test_a_topic_that_gets_another_partition(new_run: RunFactory) -> None:
    run = new_run(1)
    made = made_records(4_000, corrupt=0)
    feed = Feed(run.bootstrap, run.input)
    feed.send(made[:2_000])
    with run.start("--idle-timeout", "2s") as instance:
        instance.wait_for("leading:")
        client = AdminClient({"bootstrap.servers": run.bootstrap})
        client.create_partitions([NewPartitions(run.input, 2)])[run.input].result(READY_S)
        instance.wait_for("further partition")
        Feed(run.bootstrap, run.input).send(
            [record(T0 + 200 + i / 10, f"u{i}") for i in range(500)], partition=1
        )
        wait_until(lambda: max(run.counts(), default=0) >= T0 + 200, "windows of the new partition")
        instance.signal(signal.SIGTERM)
        assert instance.wait(10) == 0, instance.log
    run.until_end()
    run.counts()


def test_from_latest_leaves_the_past_alone(new_run: RunFactory) -> None:
    run = new_run()
    feed = Feed(run.bootstrap, run.input)
    feed.send([record(T0 + i) for i in range(20)])
    with run.start("--from", "latest", "--inline", "--idle-timeout", "1s") as instance:
        instance.wait_for("leading:")
        feed.send([record(T0 + 25 + i) for i in range(20)])
        wait_until(lambda: len(run.published()) == 3, "the windows that began since")
        instance.signal(signal.SIGTERM)
        assert instance.wait(10) == 0
    rows = [json.loads(value) for value in run.published()]
    assert [(row["ts"] - T0, row["records"], row["partial"]) for row in rows] == [
        (20, 5, True),
        (30, 10, False),
        (40, 5, False),
    ]


def test_from_a_moment(new_run: RunFactory) -> None:
    """The Kafka timestamp counts, not the event time."""
    run = new_run(2)
    feed = Feed(run.bootstrap, run.input)
    moment_ms = 1_700_000_000_000
    feed.enqueue(record(T0 + 30), partition=0, timestamp_ms=moment_ms - 1)
    for place in (1, 2, 3):
        feed.enqueue(record(T0 + place), partition=0, timestamp_ms=moment_ms + place - 1)
    feed.flush()
    assert run.until_end("--from", "2023-11-14T22:13:20Z")["records"] == 3
    assert run.counts() == {T0: 1}
