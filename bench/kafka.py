"""What the benchmark asks and tells the broker: topics come, are looked at, and go."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from streamagg.errors import TopicError
from streamagg.kafka.admin import end_offsets, ensure_topic, partitions_of
from streamagg.model.settings import KafkaSettings

ANSWER_S: Final = 30.0


def records_in(bootstrap: str, topic: str) -> int | None:
    """How many records the log of a topic holds; None when there is no such topic."""
    kafka = KafkaSettings(bootstrap)
    try:
        partitions = range(partitions_of(kafka, topic))
    except TopicError:
        return None
    first = end_offsets(kafka, topic, partitions, at="earliest")
    last = end_offsets(kafka, topic, partitions, at="latest")
    return sum(last.values()) - sum(first.values())


def create_topic(bootstrap: str, topic: str) -> None:
    """A new topic with one partition."""
    ensure_topic(KafkaSettings(bootstrap), topic, config={})


def delete_topics(bootstrap: str, name: str) -> None:
    """Delete every topic whose name contains this one.

    Contenders make topics of their own for a run, and some put another word before its name.
    """
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 3})
    found = [topic for topic in admin.list_topics(timeout=ANSWER_S).topics if name in topic]
    if found:
        for done in admin.delete_topics(found).values():
            done.result(ANSWER_S)


def read_rows(bootstrap: str, topic: str) -> Iterator[Mapping[str, Any]]:
    """The published rows of a topic with one partition, as a reader of committed records sees them."""
    return map(json.loads, _values(bootstrap, topic))


def _values(bootstrap: str, topic: str) -> Iterator[bytes]:
    """Values of a topic with one partition, up to its present end."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": topic,
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
        }
    )
    try:
        consumer.assign([TopicPartition(topic, 0, 0)])
        while True:
            message = consumer.poll(ANSWER_S)
            if message is None:
                raise ValueError(f"no answer about the topic {topic}")
            error = message.error()
            if error is not None and error.code() == KafkaError._PARTITION_EOF:
                return
            if error is not None:
                raise KafkaException(error)
            if (value := message.value()) is not None:
                yield value
    finally:
        consumer.close()
