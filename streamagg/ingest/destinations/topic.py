"""Into a topic: acknowledged by all replicas in sync, without a call of Python for a record that arrives.

A report for each record would cost as much as sending it. So all bodies that came meanwhile are sent
together and the queue of the client is waited for to be empty: then each has arrived, or has been reported.
"""

from collections.abc import Sequence
from typing import Any, Final

from confluent_kafka import KafkaException, Producer

from streamagg.ingest.destinations.contract import Body, NotWritten
from streamagg.kafka.client import fatal_errors, kafka_error, producer_config, sentence
from streamagg.kafka.delivery import Reports
from streamagg.kafka.sender import OWNED, key_of
from streamagg.model.settings import KafkaSettings

GIVEN_UP_MS: Final = 15_000
"""Records that no broker takes for so long are given up. A broker that is restarted well is replaced by
another within seconds."""
_SLICE_S: Final = 0.5
_LOOK_S: Final = 1.0
"""For an answer to the question whether there is a broker at all."""


class Topic:
    """Implements ``Destination``."""

    def __init__(self, kafka: KafkaSettings, topic: str, most_bytes: int | None = None) -> None:
        """``most_bytes``: of a request that the topic takes; None: what the client thinks.

        Raises KafkaFailed if the client settings are impossible together.
        """
        self._kafka = kafka
        self._limit = {} if most_bytes is None else {"message_max_bytes": most_bytes}
        self._topic = topic
        self._reports = Reports[None]()
        self._well = True
        self._producer = self._open()

    def write(self, bodies: Sequence[Body]) -> None:
        """All of them, in order; raises NotWritten."""
        try:
            with fatal_errors():
                for body in bodies:
                    self._send(body)
                while self._producer.flush(_SLICE_S):
                    pass
        except KafkaException as error:
            self._begin_anew()
            raise NotWritten(self._told(error)) from error
        failed = self._reports.take()
        self._well = not failed
        if failed:
            raise NotWritten(f"Kafka did not take it: {sentence(failed[0].error)}.")

    def tidy(self) -> None:
        """Look whether a broker is back; raises NotWritten while none is."""
        if self._well:
            return
        try:
            self._producer.list_topics(self._topic, _LOOK_S)
        except KafkaException as error:
            raise NotWritten(self._told(error)) from error
        self._well = True

    def close(self) -> None:
        """Nothing waits: each ``write`` has waited for its own."""

    def _send(self, body: Body) -> None:
        produce, topic = self._producer.produce, self._topic
        if body.key_path is None:
            for record in body.records:
                produce(topic, record)
            return
        path = list(body.key_path)
        for record in body.records:
            produce(topic, record, key_of(record, path))

    def _open(self) -> Producer:
        # What is sent together is sent at once: ``flush`` does not wait for more.
        owned: dict[str, Any] = {**OWNED, **self._limit, "message_timeout_ms": GIVEN_UP_MS}
        config = producer_config(self._kafka, **owned)
        try:
            return Producer({**config, "on_delivery": self._reports.hear})
        except KafkaException as error:
            raise kafka_error(error, "Setting up the producer") from error

    def _begin_anew(self) -> None:
        """After an error that ends the producer, or may have left records in its queue."""
        self._well = False
        self._producer.purge()
        self._producer = self._open()
        self._reports.take()

    def _told(self, error: KafkaException) -> str:
        return str(kafka_error(error, f"Writing to the topic {self._topic}"))
