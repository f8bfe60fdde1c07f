"""Sends rejected records to a topic, with their reason and origin in headers."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from streamagg.errors import KafkaUnreachable, StreamaggError
from streamagg.kafka.client import Right, consumer_config, fatal_errors, kafka_error, producer_config
from streamagg.records import Batch
from streamagg.settings import KafkaSettings

_FLUSH_S: Final = 30.0
_READ_S: Final = 10.0
OMITTED_HEADER: Final = "omitted"
"""Bytes of a payload that was too large to be sent along."""


class KafkaDeadLetters:
    """Writes rejected records down before their block is passed on.

    A checkpoint therefore never passes a record that is not written; after a crash some are written
    twice, which partition and offset in the headers tell.
    """

    def __init__(self, kafka: KafkaSettings, topic: str, input_topic: str) -> None:
        self._producer = Producer(producer_config(kafka, linger_ms=5, enable_idempotence=True))
        self._topic = topic
        self._input = input_topic.encode()
        self._failed: KafkaError | None = None

    def put(self, batch: Batch, rejected: Sequence[tuple[int, str]]) -> None:
        """Write records and wait for the broker.

        Raises KafkaUnreachable, AccessDenied, TopicError or KafkaFailed.
        """
        for position, reason in rejected:
            headers: list[tuple[str, str | bytes | None]] = [
                ("reason", reason.encode()),
                ("topic", self._input),
                ("partition", str(batch.partition).encode()),
                ("offset", str(batch.offsets[position]).encode()),
            ]
            self._produce(batch.payloads[position], headers)
        try:
            with fatal_errors():
                unsent = self._producer.flush(_FLUSH_S)
        except KafkaException as error:
            raise self._error(error) from error
        if unsent:
            raise KafkaUnreachable(f"the dead-letter topic {self._topic} did not take records in time")
        if self._failed is not None:
            raise self._error(self._failed)

    def _produce(self, payload: bytes | None, headers: list[tuple[str, str | bytes | None]]) -> None:
        while True:
            try:
                self._producer.produce(self._topic, payload, headers=headers, on_delivery=self._delivered)
                return
            except BufferError:
                self._producer.poll(1.0)
            except KafkaException as error:
                if error.args[0].code() == KafkaError.MSG_SIZE_TOO_LARGE and payload is not None:
                    # Larger than a client sends by default: where it came from has to do.
                    headers = [*headers, (OMITTED_HEADER, str(len(payload)).encode())]
                    payload = None
                    continue
                raise self._error(error) from error

    def _error(self, cause: KafkaException | KafkaError) -> StreamaggError:
        doing = f"Writing to the dead-letter topic {self._topic}"
        return kafka_error(cause, doing, Right("WRITE", "topic", self._topic))

    def _delivered(self, error: KafkaError | None, _: Message) -> None:
        if error is not None:
            self._failed = error


class FutureLetters:
    """Sends records that the clock rejected: they are read again, by their offset."""

    def __init__(self, kafka: KafkaSettings, topic: str, input_topic: str) -> None:
        self._letters = KafkaDeadLetters(kafka, topic, input_topic)
        self._consumer = Consumer(consumer_config(kafka))
        self._input = input_topic

    def put(self, places: Sequence[tuple[int, int]]) -> None:
        """Write the records at these (partition, offset) down and wait for the broker.

        Raises KafkaUnreachable, TopicError or KafkaFailed.
        """
        for partition, offset in places:
            payloads, offsets = [self._read(partition, offset)], np.array([offset], np.int64)
            batch = Batch(0, partition, offset, offset + 1, -1, False, payloads, offsets)
            self._letters.put(batch, [(0, "future")])
        self._consumer.unassign()

    def close(self) -> None:
        """Close the consumer."""
        self._consumer.close()

    def _read(self, partition: int, offset: int) -> bytes | None:
        """The payload; None if it has been removed meanwhile."""
        self._consumer.assign([TopicPartition(self._input, partition, offset)])
        message = self._consumer.poll(_READ_S)
        if message is None:
            raise KafkaUnreachable(
                f"the input topic {self._input} could not be read for the dead-letter topic"
            )
        error = message.error()
        if error is None:
            return message.value() if message.offset() == offset else None
        if error.code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):
            return None
        doing = f"Reading the input topic {self._input} for the dead-letter topic"
        raise kafka_error(error, doing, Right("READ", "topic", self._input))
