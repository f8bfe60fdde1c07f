"""A transaction of an earlier leader that its broker has forgotten: nothing of it ever comes to light."""

from pathlib import Path

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import Consumer, NewTopic

from streamagg.kafka.admin import end_offsets, log_ends
from streamagg.model.settings import KafkaSettings
from tests.integration.conftest import RunFactory
from tests.support.broker import Broker
from tests.support.instances import READY_S, wait_until
from tests.support.pipeline import Feed, Run, made_records, read_all

pytestmark = [pytest.mark.kafka, pytest.mark.slow]
STRANGER = b"of a leader that was"


def writer(run: Run, transactional_id: str) -> Producer:
    producer = Producer({"bootstrap.servers": run.bootstrap, "transactional.id": transactional_id})
    producer.init_transactions(READY_S)
    return producer


def leave_open(run: Run, producer: Producer) -> None:
    """A record in the output, and offsets of the group, in a transaction that is not ended."""
    member = Consumer({"bootstrap.servers": run.bootstrap, "group.id": run.output})
    producer.begin_transaction()
    producer.produce(run.output, STRANGER, b"0")
    assert producer.flush(READY_S) == 0
    places = [TopicPartition(run.input, 0, 0)]
    producer.send_offsets_to_transaction(places, member.consumer_group_metadata(), READY_S)
    member.close()


def is_open(run: Run) -> bool:
    kafka = KafkaSettings(run.bootstrap)
    ends = end_offsets(kafka, run.output, [0], at="latest")
    return ends != log_ends(kafka, run.output, [0])


def transaction_logs(broker: Broker) -> dict[Path, int]:
    """The broker's memory of transactions: its segments, and their bytes."""
    found = broker.directory.glob("data/__transaction_state-*/*.log")
    return {segment: segment.stat().st_size for segment in found}


def forget(broker: Broker, sizes: dict[Path, int]) -> None:
    """Bring the broker back to what it knew of transactions when its segments were so large."""
    broker.kill()
    for segment, size in sizes.items():
        with segment.open("r+b") as file:
            file.truncate(size)
    broker.start_again()


def test_what_the_broker_has_forgotten_is_aborted(
    own_broker: Broker, tmp_path_factory: pytest.TempPathFactory
) -> None:
    run = Run(own_broker.address, "in", "out", tmp_path_factory.mktemp("runs"))
    client = AdminClient({"bootstrap.servers": own_broker.address})
    client.create_topics([NewTopic("in", 1, 1)])["in"].result(READY_S)
    feed, made = Feed(own_broker.address, "in", 1), made_records(4_000)
    feed.send(made[:2_000])
    run.until_end("--keep-open")
    leader = writer(run, "streamagg-out-in")
    before = transaction_logs(own_broker)
    leave_open(run, leader)
    del leader
    forget(own_broker, before)
    assert is_open(run)

    feed.send(made[2_000:])
    run.until_end()

    assert not is_open(run)
    assert STRANGER not in [message.value() for message in read_all(run.bootstrap, run.output)]
    run.check()


def test_a_transaction_of_somebody_else_stays_as_it_is(new_run: RunFactory) -> None:
    run = new_run()
    other = writer(run, f"other-{run.output}")
    other.begin_transaction()
    other.produce(run.output, STRANGER, b"0")
    assert other.flush(READY_S) == 0

    Feed(run.bootstrap, run.input, 1).send(made_records(2_000))
    run.until_end("--inline")

    assert is_open(run)
    other.commit_transaction(READY_S)
    wait_until(lambda: not is_open(run), "the end of the other transaction")
    assert STRANGER in [message.value() for message in read_all(run.bootstrap, run.output)]
