"""Instances of one group that would do different things: one of them ends, the other notices nothing."""

import json
import signal
from dataclasses import replace

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from streamagg.kafka.membership import committed_offsets
from streamagg.model.settings import KafkaSettings
from tests.conftest import TopicFactory
from tests.integration.conftest import RunFactory
from tests.support.instances import Instance, wait_until
from tests.support.pipeline import QUICK_GROUP, WINDOW, Feed, Run, made_records

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


def committed(run: Run) -> dict[int, tuple[int, str]]:
    return committed_offsets(KafkaSettings(run.bootstrap), run.group, run.input, range(2))


def signatures(run: Run) -> set[str]:
    return {metadata.split(" ")[1] for _, metadata in committed(run).values()}


def told(instance: Instance) -> tuple[int, ...]:
    """How often the group has told it something."""
    return tuple(instance.log.count(text) for text in ("assigned [", "left with [", "leading:"))


@pytest.fixture
def run(new_run: RunFactory) -> Run:
    made = new_run(2)
    return replace(made, group=made.output)


def test_who_would_do_something_else_is_refused_before_it_joins(run: Run, topic: TopicFactory) -> None:
    feed, made = Feed(run.bootstrap, run.input, 2), made_records(4_000)
    feed.send(made[:2_000])
    elsewhere = replace(run, output=f"{run.output}-other")
    others = {
        "another output": (elsewhere, ()),
        "another delivery": (run, ("--delivery", "at-least-once")),
        "a late topic": (run, ("--late-topic", f"{run.output}-late")),
        "a dead-letter topic": (run, ("--dead-letter", f"{run.output}-dead")),
        "another output, on purpose": (elsewhere, ("--change-destination",)),
        "other windows": (replace(run, window=replace(WINDOW, max_lag_ms=6_000)), ()),
        "other windows, from the beginning": (
            replace(run, window=replace(WINDOW, max_lag_ms=6_000)),
            ("--from", "earliest"),
        ),
    }
    # However long the others take, nothing falls silent meanwhile.
    with run.start("--idle-timeout", "10m") as leader:
        wait_until(lambda: bool(run.published()), "windows of the leader")
        before = told(leader)
        for what, (other, flags) in others.items():
            code, words = other.refused(*flags)
            assert code == 2, what
            assert ("other settings" if "windows" in what else "publishes elsewhere") in words, what
        assert told(leader) == before
        known = AdminClient({"bootstrap.servers": run.bootstrap}).list_topics(timeout=10).topics
        assert not [name for name in known if name.startswith(f"{run.output}-")]
        count = len(run.published())
        feed.send(made[2_000:])
        wait_until(lambda: len(run.published()) > count, "more windows of the leader")
        leader.signal(signal.SIGTERM)
        assert leader.wait(10) == 0
    run.until_end()
    run.check()


def test_of_two_that_begin_at_once_one_stays(run: Run, topic: TopicFactory) -> None:
    """Neither finds a checkpoint, so that both join."""
    Feed(run.bootstrap, run.input, 2).send(made_records(2_000))
    other = replace(run, output=topic("out"))
    with run.start(*QUICK_GROUP) as one, other.start(*QUICK_GROUP) as two:
        wait_until(lambda: one.running != two.running, "one that ends")
        stays, refused = (run, two) if one.running else (other, one)
        assert refused.wait() == 2
        assert "publishes elsewhere" in refused.log
        leader = one if one.running else two
        leader.signal(signal.SIGTERM)
        assert leader.wait(10) == 0
    stays.until_end()
    stays.check()
    assert not (other if stays is run else run).published()


def test_a_destination_is_changed_when_all_have_stopped(run: Run, topic: TopicFactory) -> None:
    feed, made = Feed(run.bootstrap, run.input, 2), made_records(4_000)
    feed.send(made[:2_000])
    run.until_end("--keep-open")
    feed.send(made[2_000:])
    moved = replace(run, output=topic("out"))
    assert moved.refused()[0] == 2
    moved.until_end("--change-destination", "--keep-open")
    moved.until_end()
    assert run.refused()[0] == 2
    first, second = run.counts(), moved.counts()
    assert first
    assert second
    assert not first.keys() & second.keys()


def test_a_checkpoint_without_destination_is_continued_and_renewed(run: Run) -> None:
    """As they were written before destinations stood in them."""
    Feed(run.bootstrap, run.input, 2).send(made_records(2_000))
    run.until_end("--keep-open")
    (new,) = signatures(run)
    old = new.rpartition(":")[0]
    places = [
        TopicPartition(run.input, number, offset, metadata.replace(new, old))
        for number, (offset, metadata) in committed(run).items()
    ]
    client = Consumer({"bootstrap.servers": run.bootstrap, "group.id": run.group})
    client.commit(offsets=places, asynchronous=False)
    client.close()
    assert signatures(run) == {old}
    run.until_end("--keep-open")
    assert signatures(run) == {new}
    run.until_end()
    run.check()
    assert all(json.loads(value)["cnt"] for value in run.published())
