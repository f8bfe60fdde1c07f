"""The embedded broker has the topics asked for, serves other clients, and forgets as documented."""

from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from streamagg.kafka.embedded import PARTITION_BYTES, PARTITIONS, embedded_broker

TIMEOUT_S = 10.0


@pytest.fixture
def bootstrap() -> Iterator[str]:
    with embedded_broker(["input", "output"]) as address:
        yield address


def client(bootstrap: str, **settings: object) -> Producer:
    return Producer({"bootstrap.servers": bootstrap, "log_level": 0, **settings})


def consumer(bootstrap: str) -> Consumer:
    return Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "g", "enable.auto.commit": False, "log_level": 0}
    )


def test_topics_exist(bootstrap: str) -> None:
    topics = client(bootstrap).list_topics(timeout=TIMEOUT_S).topics
    assert {name: len(topic.partitions) for name, topic in topics.items()} == {
        "input": PARTITIONS,
        "output": PARTITIONS,
    }


def test_records_arrive_through_a_transaction(bootstrap: str) -> None:
    producer = client(bootstrap, **{"transactional.id": "t"})
    producer.init_transactions(TIMEOUT_S)
    producer.begin_transaction()
    producer.produce("output", b"value", partition=0)
    producer.commit_transaction(TIMEOUT_S)
    reader = consumer(bootstrap)
    reader.assign([TopicPartition("output", 0, 0)])
    message = reader.poll(TIMEOUT_S)
    reader.close()
    assert message is not None
    assert message.value() == b"value"


def test_keeps_offsets_and_metadata(bootstrap: str) -> None:
    reader = consumer(bootstrap)
    reader.commit(offsets=[TopicPartition("input", 1, 7, "clock")], asynchronous=False)
    (found,) = reader.committed([TopicPartition("input", 1)], timeout=TIMEOUT_S)
    reader.close()
    assert (found.offset, found.metadata) == (7, "clock")


def test_drops_the_oldest_records_beyond_its_limit(bootstrap: str) -> None:
    producer = client(bootstrap, **{"linger.ms": 5})
    payload = b"x" * 100_000
    sent = PARTITION_BYTES // len(payload) * 2
    for _ in range(sent):
        producer.produce("input", payload, partition=0)
    assert producer.flush(TIMEOUT_S) == 0
    reader = consumer(bootstrap)
    first, end = reader.get_watermark_offsets(TopicPartition("input", 0), timeout=TIMEOUT_S)
    reader.close()
    assert end == sent
    assert first >= sent - PARTITION_BYTES // len(payload) - 1


def test_ends_with_its_context() -> None:
    with embedded_broker(["input"]) as address:
        client(address).list_topics(timeout=TIMEOUT_S)
    with pytest.raises(KafkaException):
        client(address).list_topics(timeout=0.5)
