"""Questions about topics, answered by a real cluster."""

import gc
import os
import uuid
from collections.abc import Callable
from time import monotonic

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, ConfigResource

from streamagg.errors import TopicError
from streamagg.kafka.admin import end_offsets, ensure_topic, partitions_of
from streamagg.model.settings import KafkaSettings

pytestmark = pytest.mark.kafka
TIMEOUT_S = 20


def test_an_absent_topic_is_created_once_and_compacted(broker: str) -> None:
    kafka, topic = KafkaSettings(broker), f"created-{uuid.uuid4().hex[:12]}"
    with pytest.raises(TopicError, match="without --no-create-topics"):
        ensure_topic(kafka, topic, create=False)
    with pytest.raises(TopicError, match="does not exist"):
        partitions_of(kafka, topic)
    assert ensure_topic(kafka, topic, partitions=3) == 3
    assert ensure_topic(kafka, topic, partitions=9) == 3
    assert partitions_of(kafka, topic) == 3
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    client = AdminClient({"bootstrap.servers": broker})
    found = client.describe_configs([resource])[resource].result(TIMEOUT_S)
    assert found["cleanup.policy"].value == "compact"


@pytest.mark.parametrize(
    ("partitions", "replicas", "config"),
    [(1, 3, {}), (1, 1, {"no.such.setting": "1"}), (1, 1, {"cleanup.policy": "never"})],
)
def test_a_topic_that_cannot_be_created_is_a_topic_error(
    broker: str, partitions: int, replicas: int, config: dict[str, str]
) -> None:
    topic = f"impossible-{uuid.uuid4().hex[:12]}"
    with pytest.raises(TopicError, match=f"Creating the topic {topic} failed"):
        ensure_topic(KafkaSettings(broker), topic, partitions=partitions, replicas=replicas, config=config)


def test_offsets_at_the_ends_and_at_a_time(broker: str, topic: Callable[..., str]) -> None:
    name = topic(partitions=2)
    producer = Producer({"bootstrap.servers": broker})
    for timestamp_ms in (1_000, 2_000, 3_000):
        producer.produce(name, b"x", partition=0, timestamp=timestamp_ms)
    assert producer.flush(TIMEOUT_S) == 0
    kafka = KafkaSettings(broker)
    assert end_offsets(kafka, name, range(2), at="earliest") == {0: 0, 1: 0}
    assert end_offsets(kafka, name, range(2), at="latest") == {0: 3, 1: 0}
    assert end_offsets(kafka, name, range(2), at=1_500) == {0: 1, 1: 0}
    assert end_offsets(kafka, name, range(2), at=9_000) == {0: 3, 1: 0}


def test_an_open_transaction_is_not_part_of_the_topic_yet(broker: str, topic: Callable[..., str]) -> None:
    name = topic()
    producer = Producer({"bootstrap.servers": broker, "transactional.id": name})
    producer.init_transactions(TIMEOUT_S)
    producer.begin_transaction()
    producer.produce(name, b"x", partition=0)
    assert producer.flush(TIMEOUT_S) == 0
    assert end_offsets(KafkaSettings(broker), name, [0], at="latest") == {0: 0}
    producer.commit_transaction(TIMEOUT_S)
    # The record and the marker behind it, which a broker may write a moment after it said "committed".
    deadline = monotonic() + TIMEOUT_S
    while end_offsets(KafkaSettings(broker), name, [0], at="latest") != {0: 2}:
        assert monotonic() < deadline


def test_a_question_leaves_no_client_behind(broker: str, topic: Callable[..., str]) -> None:
    """Without waiting for a garbage collection: each client has threads and sockets of its own."""
    name, kafka = topic(), KafkaSettings(broker)
    gc.collect()
    gc.disable()
    try:
        before = len(os.listdir("/proc/self/task"))
        for _ in range(3):
            partitions_of(kafka, name)
            end_offsets(kafka, name, [0], at="latest")
        assert len(os.listdir("/proc/self/task")) <= before
    finally:
        gc.enable()
