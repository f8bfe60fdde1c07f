"""Sketches on real Kafka: one beside each record of counts, which other tools read and unite."""

import json
from typing import Any

import pytest

from tests.conftest import TopicFactory
from tests.integration.conftest import RunFactory
from tests.integration.test_calendars import GROUPED, PARTITIONS, WINDOW, Truth, dies_at
from tests.support.pipeline import QUICK_GROUP, Feed, Run, read_all

datasketches = pytest.importorskip("datasketches", reason="no wheel for this Python")
pytestmark = pytest.mark.kafka
T0 = 1_468_244_400
PERIODS = ("--calendar", "1m", "--group-by", "g", "--aggregators", "2")


def feed(run: Run) -> None:
    rows = [{"ts": T0 + second, "uid": f"u{second * 7 % 50}", "g": second % 3} for second in range(130)]
    Feed(run.bootstrap, run.input).send([json.dumps(row).encode() for row in rows])


def sketches(run: Run, topic: str) -> dict[bytes, Any]:
    read = [(message.key() or b"", message.value()) for message in read_all(run.bootstrap, topic)]
    assert len(dict(read)) == len(read)
    return {key: datasketches.compact_theta_sketch.deserialize(value) for key, value in read}


@pytest.mark.parametrize("delivery", ["exactly-once", "at-least-once"])
def test_each_record_of_counts_has_one(delivery: str, new_run: RunFactory, topic: TopicFactory) -> None:
    run = new_run()
    feed(run)
    beside = f"{run.output}-sketches"
    run.until_end("--sketches", beside, "--delivery", delivery, *PERIODS)
    found = sketches(run, beside)
    counts = {
        message.key(): json.loads(message.value() or b"")["cnt"]
        for message in read_all(run.bootstrap, run.output)
    }
    assert {key: sketch.get_estimate() for key, sketch in found.items()} == counts
    minute = datasketches.theta_union()
    for start in range(T0, T0 + 60, 10):
        minute.update(found[b"%d" % start])
    assert minute.get_result().get_estimate() == counts[b"1m %d" % T0]


@pytest.mark.slow
def test_a_leader_that_is_killed_leaves_each_of_them_once(new_run: RunFactory) -> None:
    """Within a transaction and behind one; they are those of a run that nothing happens to, byte for byte."""
    run = new_run(PARTITIONS, window=WINDOW, decode=GROUPED)
    feed, truth, beside = Feed(run.bootstrap, run.input, PARTITIONS), Truth(), f"{run.output}-sketches"
    for point, aggregators in (("before-commit", "3"), ("after-commit", "2")):
        dies_at(run, point, feed, truth, "--sketches", beside, "--aggregators", aggregators)
    run.until_end("--sketches", beside, *QUICK_GROUP)
    unhurt = run.on(f"{run.output}-unhurt")
    unhurt.until_end("--sketches", f"{beside}-unhurt", "--inline")
    for topic, other in ((beside, f"{beside}-unhurt"), (run.output, unhurt.output)):
        assert values(run, topic) == values(run, other)
    estimates = {key.decode(): sketch.get_estimate() for key, sketch in sketches(run, beside).items()}
    assert estimates == {key: value["cnt"] for key, value in truth.expected(grouped=True).items()}


def values(run: Run, topic: str) -> list[tuple[bytes | None, bytes | None]]:
    return [(message.key(), message.value()) for message in read_all(run.bootstrap, topic)]


def test_users_are_needed(new_run: RunFactory) -> None:
    code, words = new_run().refused("--sketches", "beside", "--user-field", "none")
    assert code == 2
    assert "are made of users" in words
