"""Sends rejected records to a topic as they came, with their reason and origin in headers.

Their Kafka timestamp goes into a header too: as that of the letter it would let retention remove letters
of old records at once, and a broker refuses one that lies in the future.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Final, NamedTuple

import numpy as np
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from streamagg.errors import KafkaUnreachable, StreamaggError
from streamagg.kafka.client import (
    Right,
    consumer_config,
    fatal_errors,
    is_gone,
    is_too_large,
    kafka_error,
    producer_config,
)
from streamagg.kafka.delivery import Reports
from streamagg.model.batch import Batch, no_origin
from streamagg.model.settings import KafkaSettings
from streamagg.sources.kafka.fetching import origin_of

_FLUSH_S: Final = 30.0
"""As long as a worker may be silent: one that waits longer would be replaced as stuck."""
_READ_S: Final = 10.0
"""For one record that was read before. Without it the publication fails, and is tried again."""
MOST_FUTURE: Final = 100
"""Letters of one publication: each record is read again, and a publication may not take long."""
_NEAR: Final = 2_000
"""Going to another offset takes as long as reading so many records."""
Headers = list[tuple[str, str | bytes | None]]
OMITTED_HEADER: Final = "omitted"
"""Bytes of a payload that was too large to be sent along."""


class _Letter(NamedTuple):
    """A record as it is sent."""

    key: bytes | None
    payload: bytes | None
    headers: Headers

    def omitted(self) -> "_Letter":
        """What is sent of a record that is too large: where it came from has to do."""
        return _Letter(None, None, [*self.headers, (OMITTED_HEADER, str(len(self.payload or b"")).encode())])

    @property
    def whole(self) -> bool:
        """Nothing has been left out of it."""
        return all(name != OMITTED_HEADER for name, _ in self.headers)


class KafkaDeadLetters:
    """Writes rejected records down before their block is passed on.

    A checkpoint therefore never passes a record that is not written; after a crash some are written
    twice, which partition and offset in the headers tell.
    """

    def __init__(self, kafka: KafkaSettings, topic: str, input_topic: str) -> None:
        self._producer = Producer(producer_config(kafka, linger_ms=5, enable_idempotence=True))
        self._topic = topic
        self._input = input_topic.encode()
        self._reports = Reports[_Letter]()

    def put(self, batch: Batch, rejected: Sequence[tuple[int, str]]) -> None:
        """Write records and wait for the broker.

        Raises KafkaUnreachable, AccessDenied, TopicError or KafkaFailed.
        """
        self._send([self._letter(batch, position, reason) for position, reason in rejected])

    def _letter(self, batch: Batch, position: int, reason: str) -> _Letter:
        key, timestamp_ms = batch.origin(position)
        headers: Headers = [
            ("reason", reason.encode()),
            ("topic", self._input),
            ("partition", str(batch.partition).encode()),
            ("offset", str(batch.offsets[position]).encode()),
        ]
        if timestamp_ms >= 0:
            headers.append(("timestamp", str(timestamp_ms).encode()))
        return _Letter(key, batch.payloads[position], headers)

    def _send(self, letters: Sequence[_Letter]) -> None:
        for letter in letters:
            self._produce(letter)
        for letter in self._flush():
            # A broker refuses all records of a batch for the size of the batch: each gets a try of its own.
            self._send([letter if len(letters) > 1 else letter.omitted()])

    def _produce(self, letter: _Letter) -> None:
        delivered = self._reports.hear_of(letter)
        while True:
            try:
                self._producer.produce(
                    self._topic, letter.payload, letter.key, headers=letter.headers, on_delivery=delivered
                )
                return
            except BufferError:
                self._producer.poll(1.0)
            except KafkaException as error:
                if is_too_large(error.args[0]) and letter.whole:
                    # More than a client sends by default, and so also by itself.
                    self._produce(letter.omitted())
                    return
                raise self._error(error) from error

    def _flush(self) -> list[_Letter]:
        """The letters that were too large."""
        try:
            with fatal_errors():
                unsent = self._producer.flush(_FLUSH_S)
        except KafkaException as error:
            raise self._error(error) from error
        if unsent:
            raise KafkaUnreachable(f"the dead-letter topic {self._topic} did not take records in time")
        too_large: list[_Letter] = []
        for failed in self._reports.take():
            if not (is_too_large(failed.error) and all(letter.whole for letter in failed.which)):
                raise self._error(failed.error)
            too_large += failed.which
        return too_large

    def _error(self, cause: KafkaException | KafkaError) -> StreamaggError:
        doing = f"Writing to the dead-letter topic {self._topic}"
        return kafka_error(cause, doing, Right("WRITE", "topic", self._topic))


class FutureLetters:
    """Sends records that the clock rejected: they are read again, by their offset."""

    def __init__(self, kafka: KafkaSettings, topic: str, input_topic: str) -> None:
        self._letters = KafkaDeadLetters(kafka, topic, input_topic)
        self._consumer = Consumer(consumer_config(kafka))
        self._input = input_topic

    def put(self, places: Iterable[tuple[int, int]]) -> None:
        """Write the records at these (partition, offset) down and wait for the broker.

        Raises KafkaUnreachable, TopicError or KafkaFailed.
        """
        for partition, group in groupby(sorted(places), key=itemgetter(0)):
            offsets = [offset for _, offset in group]
            batch = self._read(partition, offsets)
            self._letters.put(batch, [(position, "future") for position in range(len(offsets))])
        self._consumer.unassign()

    def close(self) -> None:
        """Close the consumer."""
        self._consumer.close()

    def _read(self, partition: int, offsets: Sequence[int]) -> Batch:
        """The records at ascending offsets; of one that was removed meanwhile there is only the place."""
        wanted, found = set(offsets), dict[int, Message]()
        position: int | None = None
        for offset in offsets:
            if position is None or offset > position + _NEAR:
                self._consumer.assign([TopicPartition(self._input, partition, offset)])
                position = offset
            while position is not None and position <= offset:
                message = self._next()
                place = None if message is None else message.offset()
                if message is not None and place in wanted:
                    found[place] = message
                position = None if place is None else place + 1
        return _batch(partition, offsets, [found.get(offset) for offset in offsets])

    def _next(self) -> Message | None:
        """The next record; None if retention has removed what was to be read."""
        message = self._consumer.poll(_READ_S)
        if message is None:
            raise KafkaUnreachable(
                f"the input topic {self._input} could not be read for the dead-letter topic"
            )
        error = message.error()
        if error is None:
            return message
        if is_gone(error):
            return None
        doing = f"Reading the input topic {self._input} for the dead-letter topic"
        raise kafka_error(error, doing, Right("READ", "topic", self._input))


def _batch(partition: int, offsets: Sequence[int], messages: Sequence[Message | None]) -> Batch:
    payloads = [None if message is None else message.value() for message in messages]
    origins = [no_origin(0) if message is None else origin_of(message) for message in messages]
    places = np.array(offsets, np.int64)
    return Batch(
        0, partition, offsets[0], offsets[-1] + 1, -1, False, payloads, places, origin=origins.__getitem__
    )
