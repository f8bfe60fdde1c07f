"""Reads back what is published, while it is published."""

from dataclasses import replace
from typing import Final, Self

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from streamagg.demo.feed import DECODE
from streamagg.kafka.client import consumer_config, kafka_error
from streamagg.model.settings import KafkaSettings
from streamagg.tools.published import Difference, Published, published_count

BATCH_RECORDS: Final = 100
"""Of a dozen windows."""


class Outputs:
    """Everything that was in the output topic so far."""

    def __init__(self, kafka: KafkaSettings, topic: str, partitions: int) -> None:
        self.records: list[Published | Difference] = []
        self.through_ms: int | None = None
        """Start of the latest window published."""
        self._topic = topic
        # The embedded broker leaves the checksum of transaction markers empty.
        client = {**kafka.client, "check.crcs": "false"}
        config = consumer_config(replace(kafka, client=client), group_id="streamagg-demo-reader")
        self._consumer = Consumer(config)
        self._consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in range(partitions)])

    def read(self, wait_s: float) -> list[Published]:
        """The counts that came within the time; raises a StreamaggError."""
        fresh = []
        for message in self._consumer.consume(BATCH_RECORDS, wait_s):
            error = message.error()
            if error is not None:
                if error.retriable():
                    continue
                raise kafka_error(error, f"Reading the topic {self._topic}")
            where, partition = f"offset {message.offset()}", message.partition() or 0
            record = published_count(message.key(), message.value(), where, partition, DECODE.group_by)
            self.records.append(record)
            if isinstance(record, Published):
                fresh.append(record)
                self.through_ms = max(record.window_ms, self.through_ms or 0)
        return fresh

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()
