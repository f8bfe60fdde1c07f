"""One run continues where another ended, or says why it cannot."""

import os
import signal
import time

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from tests.conftest import TopicFactory
from tests.integration.conftest import RunFactory
from tests.support.broker import free_port
from tests.support.instances import READY_S, alive, wait_until
from tests.support.pipeline import Feed, Run, made_records, read_all

pytestmark = pytest.mark.kafka
T0 = 1_468_244_380


@pytest.mark.parametrize("partitions", [1, 3])
def test_a_pause_between_two_runs_leaves_no_trace(
    partitions: int, new_run: RunFactory, topic: TopicFactory
) -> None:
    run = new_run(partitions)
    made = made_records(6_000, corrupt=0.01)
    feed = Feed(run.bootstrap, run.input, partitions)
    counted = windows = 0
    for first in range(0, 6_000, 2_000):
        # The cut lies inside a window.
        feed.send(made[first : first + 2_000])
        keep = ("--keep-open",) if first < 4_000 else ()
        stats = run.until_end("--inline", *keep)
        windows += stats["windows"]
        counted += stats["records"]
    assert counted >= 6_000
    assert run.check() == windows
    whole = run.on(topic("out"))
    whole.until_end()
    assert run.published() == whole.published()


def test_a_run_that_has_nothing_new_to_read(new_run: RunFactory) -> None:
    run = new_run()
    Feed(run.bootstrap, run.input).send(made_records(2_000))
    run.until_end("--inline")
    published = run.published()
    assert run.until_end("--inline")["windows"] == 0
    assert run.until_end("--inline", "--keep-open")["windows"] == 0
    assert run.published() == published


def test_changed_settings_are_refused(new_run: RunFactory) -> None:
    run = new_run()
    Feed(run.bootstrap, run.input).send(made_records(1_000))
    published = run.until_end("--inline")["windows"]
    code, words = run.refused("--inline", "--granularity", "20s")
    assert code == 2
    assert "--from earliest" in words
    assert len(run.published()) == published
    run.until_end("--inline", "--from", "earliest")
    assert len(run.published()) == 2 * published


def test_lost_history_is_refused(new_run: RunFactory) -> None:
    run = new_run()
    feed = Feed(run.bootstrap, run.input)
    feed.send(made_records(1_000))
    run.until_end("--inline", "--keep-open")
    feed.send(made_records(1_000, seed=2))
    admin = AdminClient({"bootstrap.servers": run.bootstrap})
    for future in admin.delete_records([TopicPartition(run.input, 0, 1_500)]).values():
        future.result(READY_S)
    code, words = run.refused("--inline")
    assert code == 2
    assert "retention" in words
    assert "--from earliest" in words
    run.until_end("--inline", "--from", "earliest")


def test_foreign_offsets_are_refused(new_run: RunFactory) -> None:
    run = new_run()
    Feed(run.bootstrap, run.input).send(made_records(100))
    admin = AdminClient({"bootstrap.servers": run.bootstrap})
    place = ConsumerGroupTopicPartitions(run.output, [TopicPartition(run.input, 0, 50)])
    for future in admin.alter_consumer_group_offsets([place]).values():
        future.result(READY_S)
    code, words = run.refused("--inline")
    assert code == 2
    assert "--group" in words


def test_missing_topics_are_named(new_run: RunFactory) -> None:
    run = new_run()
    gone = Run(run.bootstrap, "no-such-topic", run.output, run.directory)
    code, words = gone.refused()
    assert code == 2
    assert "no-such-topic" in words
    closed = run.on("no-such-output")
    code, words = closed.refused("--no-create-topics")
    assert code == 2
    assert "no-such-output" in words
    assert "--no-create-topics" in words


def test_an_unreachable_broker_is_told_in_time(tmp_path_factory: pytest.TempPathFactory) -> None:
    run = Run(f"127.0.0.1:{free_port()}", "in", "out", tmp_path_factory.mktemp("unreachable"))
    began = time.monotonic()
    code, words = run.refused(timeout_s=30)
    assert code == 3
    assert time.monotonic() - began < 15
    assert run.bootstrap in words


def test_sigterm_ends_well_and_loses_nothing(new_run: RunFactory) -> None:
    run = new_run(2)
    made = made_records(10_000)
    feed = Feed(run.bootstrap, run.input, 2)
    feed.send(made[:5_000])
    with run.start() as instance:
        wait_until(lambda: len(run.published()) > 2, "the first windows")
        instance.signal(signal.SIGTERM)
        assert instance.wait(10) == 0
        assert "stopping" in instance.log
    feed.send(made[5_000:])
    run.until_end("--inline")
    run.check()


def test_a_second_ctrl_c_ends_at_once(new_run: RunFactory) -> None:
    run = new_run()
    with run.start("--unmarshallers", "1") as instance:
        instance.wait_for("leading:")
        workers = instance.workers()
        # A worker that hangs keeps the run from ending by itself before the second signal.
        os.kill(workers[0], signal.SIGSTOP)
        instance.signal(signal.SIGINT)
        instance.wait_for("stopping")
        instance.signal(signal.SIGINT)
        assert instance.wait(10) == 130
        os.kill(workers[0], signal.SIGCONT)
        wait_until(lambda: not any(map(alive, workers)), "the end of the workers")


def test_aborted_transactions_are_not_counted(new_run: RunFactory) -> None:
    run = new_run()
    made = made_records(3_000, corrupt=0)
    producer = Producer({"bootstrap.servers": run.bootstrap, "transactional.id": run.input})
    producer.init_transactions(READY_S)
    for number, first in enumerate(range(0, 3_000, 100)):
        producer.begin_transaction()
        for payload in made[first : first + 100]:
            producer.produce(run.input, payload, partition=0)
        # The log ends with an aborted one, so that its last offsets hold nothing to read.
        if number % 3 == 2:
            producer.flush(READY_S)
            producer.abort_transaction(READY_S)
        else:
            producer.commit_transaction(READY_S)
    assert sum(1 for _ in read_all(run.bootstrap, run.input)) == 2_000
    assert run.until_end("--unmarshallers", "2")["records"] == 2_000
    run.check()


@pytest.mark.slow
def test_a_compacted_topic_has_gaps(new_run: RunFactory, topic: TopicFactory) -> None:
    quick = {"cleanup.policy": "compact", "segment.ms": "100", "min.cleanable.dirty.ratio": "0.01"}
    run = new_run(of=topic("compacted", config=quick | {"max.compaction.lag.ms": "100"}))
    feed = Feed(run.bootstrap, run.input)
    made = made_records(1_000, corrupt=0)
    for number, payload in enumerate(made):
        feed.enqueue(payload, key=str(number).encode())
        # Compaction leaves one of them; they are rejected, so the counts are the same at all times.
        feed.enqueue(b"junk", key=b"junk")
    feed.flush()
    sent = 2 * len(made)

    def compacted() -> bool:
        # A segment ends with the first record that comes after its time.
        nonlocal sent
        feed.send([b"junk"], key=b"junk")
        sent += 1
        return sum(1 for _ in read_all(run.bootstrap, run.input)) < sent

    wait_until(compacted, "the compaction", 60)
    assert run.until_end("--unmarshallers", "2")["counted"] > 900
    run.check()


def test_history_that_begins_inside_the_log_is_partial(new_run: RunFactory) -> None:
    run = new_run()
    Feed(run.bootstrap, run.input).send(made_records(1_000, corrupt=0))
    admin = AdminClient({"bootstrap.servers": run.bootstrap})
    for future in admin.delete_records([TopicPartition(run.input, 0, 250)]).values():
        future.result(READY_S)
    run.until_end("--inline")
    comparison = run.verify()
    assert comparison.partial >= 1
    assert not comparison.differences
