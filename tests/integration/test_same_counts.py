"""Acceptance 1: what is published depends on the log and the settings, on nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import TopicFactory
from tests.integration.conftest import RunFactory
from tests.support.pipeline import GRANULARITY_MS, Feed, lines, made_records

pytestmark = pytest.mark.kafka
SHAPES = [
    ("--unmarshallers", "1", "--aggregators", "1"),
    ("--unmarshallers", "2", "--aggregators", "3"),
    ("--unmarshallers", "4", "--aggregators", "2"),
    ("--inline",),
]


def counted_file(path: Path) -> bytes:
    command = [sys.executable, "-m", "streamagg", "count", str(path), "--format", "jsonl", "--as-run"]
    command += ["--granularity", f"{GRANULARITY_MS}ms", "--max-lag", "5s", "--max-jump", "15s"]
    return subprocess.run(command, capture_output=True, check=True, timeout=60).stdout


@pytest.mark.slow
@pytest.mark.parametrize("partitions", [1, 8])
def test_the_shape_of_the_pipeline_changes_no_count(
    partitions: int, new_run: RunFactory, topic: TopicFactory
) -> None:
    made = made_records(20_000, corrupt=0.002)
    first = new_run(partitions)
    Feed(first.bootstrap, first.input, partitions).send(made)
    outputs = []
    for shape in SHAPES:
        run = first.on(topic("out"))
        stats = run.until_end(*shape)
        assert stats["records"] == len(made)
        assert sum(stats["rejected"].values()) > 0
        assert stats["late"] > 0
        assert run.check() == stats["windows"] > 30
        outputs.append(run.published())
    assert all(output == outputs[0] for output in outputs)
    if partitions == 1:
        file = first.directory / "stream.jsonl"
        file.write_bytes(lines(made))
        assert counted_file(file) == lines(outputs[0])


def test_partitions_that_lie_far_apart_in_time(new_run: RunFactory) -> None:
    """One partition ends before the other begins: the one ahead waits, nothing is late for it."""
    made = made_records(20_000, corrupt=0)
    run = new_run(2)
    feed = Feed(run.bootstrap, run.input)
    feed.send(made[:10_000], partition=1)
    feed.send(made[10_000:], partition=0)
    stats = run.until_end()
    assert stats["counted"] + stats["late"] == len(made)
    assert run.check() == stats["windows"]


def test_empty_partitions_hold_nothing_up(new_run: RunFactory) -> None:
    run = new_run(4)
    Feed(run.bootstrap, run.input).send(made_records(500), partition=2)
    stats = run.until_end()
    assert run.check() == stats["windows"]


def test_an_empty_topic_publishes_nothing(new_run: RunFactory) -> None:
    run = new_run(2)
    assert run.until_end()["windows"] == 0
    assert run.published() == []
