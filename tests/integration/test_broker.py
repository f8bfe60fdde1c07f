"""The broker of the tests is a real one: it keeps, commits, hides, and comes back."""

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.conftest import TopicFactory
from tests.support.broker import Broker
from tests.support.pipeline import read_all

pytestmark = pytest.mark.kafka
TIMEOUT_S = 30.0


def read_committed(bootstrap: str, topic: str) -> list[bytes | None]:
    """Values of a topic, without those of aborted transactions."""
    return [message.value() for message in read_all(bootstrap, topic)]


def produce(bootstrap: str, topic: str, value: bytes) -> None:
    producer = Producer({"bootstrap.servers": bootstrap})
    producer.produce(topic, value, partition=0)
    assert producer.flush(TIMEOUT_S) == 0


def test_hides_aborted_transactions(broker: str, topic: TopicFactory) -> None:
    name = topic()
    producer = Producer({"bootstrap.servers": broker, "transactional.id": name})
    producer.init_transactions(TIMEOUT_S)
    producer.begin_transaction()
    producer.produce(name, b"aborted", partition=0)
    producer.flush(TIMEOUT_S)
    producer.abort_transaction(TIMEOUT_S)
    producer.begin_transaction()
    producer.produce(name, b"committed", partition=0)
    producer.commit_transaction(TIMEOUT_S)
    assert read_committed(broker, name) == [b"committed"]


def test_topics_have_the_partitions_asked_for(broker: str, topic: TopicFactory) -> None:
    name = topic(partitions=3)
    client = Producer({"bootstrap.servers": broker})
    assert sorted(client.list_topics(name, timeout=TIMEOUT_S).topics[name].partitions) == [0, 1, 2]


def test_topics_are_not_created_by_being_mentioned(broker: str) -> None:
    client = Producer({"bootstrap.servers": broker})
    mentioned = client.list_topics("never-created", timeout=TIMEOUT_S).topics["never-created"]
    assert mentioned.error is not None


@pytest.mark.slow
def test_a_killed_broker_comes_back_with_its_records(own_broker: Broker) -> None:
    client = AdminClient({"bootstrap.servers": own_broker.address})
    client.create_topics([NewTopic("kept", 1, 1)])["kept"].result(TIMEOUT_S)
    produce(own_broker.address, "kept", b"one")
    own_broker.kill()
    assert own_broker.pid() is None
    own_broker.start()
    produce(own_broker.address, "kept", b"two")
    assert read_committed(own_broker.address, "kept") == [b"one", b"two"]
