"""Topics change under a run: what cannot be continued is refused in words, and nothing is counted wrongly."""

import signal
import time
from dataclasses import replace

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.conftest import TopicFactory
from tests.integration.conftest import RunFactory
from tests.support.instances import READY_S, wait_until
from tests.support.pipeline import Feed, Run, made_records, read_all, record

pytestmark = pytest.mark.kafka
T0 = 1_468_244_380


def remake(run: Run, topic: str, partitions: int) -> None:
    """Delete a topic and make it again; its name is not free at once."""
    admin = AdminClient({"bootstrap.servers": run.bootstrap})
    admin.delete_topics([topic])[topic].result(READY_S)

    def made() -> bool:
        try:
            admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result(READY_S)
        except KafkaException:
            return False
        return True

    wait_until(made, f"{topic} made again")


@pytest.mark.parametrize("role", ["output", "late topic", "dead-letter topic"])
def test_a_topic_that_is_too_small_for_a_record_is_named(
    role: str, new_run: RunFactory, topic: TopicFactory
) -> None:
    run, small = new_run(), topic("small", config={"max.message.bytes": "100"})
    Feed(run.bootstrap, run.input).send(made_records(2_000, corrupt=0.01))
    flags = {"late topic": ("--late-topic", small), "dead-letter topic": ("--dead-letter", small)}
    instance = replace(run, output=small if role == "output" else run.output)
    code, words = instance.refused(*flags.get(role, ()))
    assert code == 2
    assert f"topic {small} failed" in words
    assert "max.message.bytes" in words


def test_a_topic_that_takes_each_record_takes_many(new_run: RunFactory, topic: TopicFactory) -> None:
    """The client would put more into a batch than that."""
    run, small = new_run(), topic("small", config={"max.message.bytes": "65536"})
    early = [record(T0 + 100 + i / 100, f"u{i}") for i in range(30)]
    Feed(run.bootstrap, run.input).send([*early, *(record(T0, f"u{i}") for i in range(3_000))])
    assert run.until_end("--late-topic", small)["late"] == 3_000
    assert len(list(read_all(run.bootstrap, small))) == 3_000


@pytest.mark.slow
def test_an_input_made_again_under_a_run_is_refused(new_run: RunFactory) -> None:
    """The new topic holds more than was read of the old one, so that reading on would meet no error."""
    run = new_run(2)
    made = made_records(10_000)
    Feed(run.bootstrap, run.input, 2).send(made[:2_000])
    with run.start(level="info") as instance:
        wait_until(lambda: len(run.published()) > 2, "the first windows")
        published = run.published()
        remake(run, run.input, 2)
        Feed(run.bootstrap, run.input, 2).send(made[3_000:])
        assert instance.wait() == 2, instance.log
        assert "deleted" in instance.log or "made anew" in instance.log
    assert run.published() == published
    code, words = run.refused("--inline")
    assert code == 2
    assert "made anew" in words
    assert "--from earliest" in words


def test_an_input_made_again_between_two_runs_is_refused(new_run: RunFactory) -> None:
    """The broker forgets the checkpoint together with the topic."""
    run = new_run(1)
    Feed(run.bootstrap, run.input).send(made_records(1_000))
    run.until_end("--inline")
    published = run.published()
    remake(run, run.input, 1)
    Feed(run.bootstrap, run.input).send(made_records(3_000, seed=2))
    code, words = run.refused("--inline")
    assert code == 2
    assert "made anew" in words
    assert run.published() == published
    run.until_end("--inline", "--from", "earliest")


def test_a_checkpoint_of_another_topic_of_the_name_is_refused(new_run: RunFactory) -> None:
    """Offsets that somebody restored, or committed a moment after the topic was made again."""
    run = new_run(1)
    Feed(run.bootstrap, run.input).send(made_records(1_000))
    run.until_end("--inline", "--keep-open")
    admin = AdminClient({"bootstrap.servers": run.bootstrap})
    kept = admin.list_consumer_group_offsets([group_of(run)])[run.output].result(READY_S)
    remake(run, run.input, 1)
    Feed(run.bootstrap, run.input).send(made_records(3_000, seed=2))
    admin.alter_consumer_group_offsets([kept])[run.output].result(READY_S)
    code, words = run.refused("--inline")
    assert code == 2
    assert "another input" in words


def group_of(run: Run) -> ConsumerGroupTopicPartitions:
    return ConsumerGroupTopicPartitions(run.output)


@pytest.mark.slow
def test_a_deleted_output_is_named(new_run: RunFactory) -> None:
    run = new_run(1)
    feed = Feed(run.bootstrap, run.input)
    made = made_records(4_000)
    feed.send(made[:2_000])
    with run.start(level="info") as instance:
        wait_until(lambda: len(run.published()) > 2, "the first windows")
        admin = AdminClient({"bootstrap.servers": run.bootstrap})
        admin.delete_topics([run.output])[run.output].result(READY_S)
        feed.send(made[2_000:])
        assert instance.wait(90) == 2, instance.log
        assert run.output in instance.log.strip().rpartition("\n")[2]
    run.until_end("--inline")
    assert run.published()


@pytest.mark.slow
def test_an_open_transaction_is_no_silence(new_run: RunFactory) -> None:
    """Partition 0 is held by a transaction for longer than the idle time-out; nothing behind it gets late."""
    run = new_run(2)
    producer = Producer({"bootstrap.servers": run.bootstrap, "transactional.id": run.input})
    producer.init_transactions(READY_S)
    feed = Feed(run.bootstrap, run.input)
    with run.start("--idle-timeout", "1s") as instance:
        instance.wait_for("leading:")
        feed.send([record(T0 + i / 10, f"a{i}") for i in range(50)], partition=0)
        producer.begin_transaction()
        producer.produce(run.input, record(T0 + 6, "held"), partition=0)
        assert producer.flush(READY_S) == 0
        feed.send([record(T0 + 7, "behind")], partition=0)
        # Partition 1 is far ahead, so that only partition 0 keeps the first windows open.
        feed.send([record(T0 + i, f"b{i}") for i in range(60)], partition=1)
        time.sleep(4)
        assert run.published() == []
        producer.commit_transaction(READY_S)
        feed.send([record(T0 + 8 + i, f"c{i}") for i in range(50)], partition=0)
        wait_until(lambda: len(run.published()) >= 3, "windows behind the transaction")
        assert run.counts()[T0] == 50 + 1 + 1 + 10 + 2
        instance.signal(signal.SIGTERM)
        assert instance.wait(10) == 0
    run.until_end()
    run.check()


@pytest.mark.slow
def test_a_log_that_ends_with_control_records_falls_silent(new_run: RunFactory) -> None:
    """Nothing but the end of an aborted transaction stands behind the last record."""
    run = new_run(1)
    producer = Producer({"bootstrap.servers": run.bootstrap, "transactional.id": run.input})
    producer.init_transactions(READY_S)
    with run.start("--idle-timeout", "1s") as instance:
        instance.wait_for("leading:")
        Feed(run.bootstrap, run.input).send([record(T0 + i, f"u{i}") for i in range(5)], partition=0)
        producer.begin_transaction()
        producer.produce(run.input, record(T0 + 5, "never"), partition=0)
        assert producer.flush(READY_S) == 0
        producer.abort_transaction(READY_S)
        wait_until(lambda: bool(run.published()), "the window that silence closes")
        assert run.counts() == {T0: 5}
