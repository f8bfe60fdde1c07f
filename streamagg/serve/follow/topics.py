"""Topics that are followed: of results, of sketches, of periods so far.

Only committed records are seen. Where reading goes on is stored with the records, and nothing is committed to
a group, so that any number may follow. A topic that was deleted and made again is known by its id, and read
from its beginning.
"""

from collections.abc import Iterable, Mapping
from time import monotonic
from typing import Final, NamedTuple

import orjson
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from streamagg.errors import StreamaggError
from streamagg.events import Log
from streamagg.kafka.client import Right, consumer_config, is_gone, is_passing, kafka_error
from streamagg.kafka.identity import TopicIdentity
from streamagg.model.batch import Identity
from streamagg.model.settings import KafkaSettings
from streamagg.serve import theta
from streamagg.serve.follow.contract import Delivery
from streamagg.serve.records import WINDOW, milliseconds
from streamagg.serve.store.store import Position, SketchRow

MOST_RECORDS: Final = 20_000
"""Taken at once: 5 MB of records."""
MOST_SKETCHES: Final = 1_000
"""Taken at once where sketches may be among them: 33 MB."""
LOOK_S: Final = 5.0
"""How often it is looked whether topics are the same, and have as many partitions."""
Part = tuple[str, int]
"""A topic and a partition."""
log = Log(__name__)


class TopicChanged(StreamaggError):
    """A topic is another one, or has other partitions: it is opened again."""


class Topics(NamedTuple):
    """What is followed."""

    output: str
    sketches: str | None = None
    running: str | None = None

    @property
    def all(self) -> list[str]:
        return [topic for topic in self if topic is not None]


class TopicsFollowed:
    """Implements ``Followed``."""

    def __init__(self, kafka: KafkaSettings, topics: Topics, positions: Mapping[Position, str]) -> None:
        """``positions``: of the store. Raises TopicError where a topic is not there, and other
        StreamaggErrors."""
        self._topics = topics
        self._identities = {topic: TopicIdentity(kafka, topic) for topic in topics.all}
        self._known = {topic: identity.ask() for topic, identity in self._identities.items()}
        self._offsets: dict[Part, int] = {}
        self._at_end: set[Part] = set()
        self._moved: set[Part] = set()
        self._next_look_s = monotonic() + LOOK_S
        self._most = MOST_SKETCHES if topics.sketches else MOST_RECORDS
        try:
            self._consumer = Consumer(consumer_config(kafka, enable_partition_eof=True))
        except KafkaException as error:
            raise kafka_error(error, "Setting up the Kafka client") from error
        self._go_on(positions)
        self._assign()

    @property
    def behind(self) -> int | None:
        """By what the client knows of the ends."""
        behind = 0
        for topic, known in self._known.items():
            for part in ((topic, number) for number in range(known.partitions)):
                if part in self._at_end:
                    continue
                _, high = self._consumer.get_watermark_offsets(TopicPartition(*part), cached=True)
                if high < 0 or part not in self._offsets:
                    return None
                behind += max(0, high - self._offsets[part])
        return behind

    def poll(self, timeout_ms: int) -> Delivery:
        """Raises StreamaggError."""
        self._look()
        try:
            messages = self._consumer.consume(self._most, timeout_ms / 1_000)
        except KafkaException as error:
            raise kafka_error(error, "Reading") from error
        by_topic: dict[str | None, list[Message]] = {}
        for message in messages:
            if self._is_record(message):
                by_topic.setdefault(message.topic(), []).append(message)
        sketches, unreadable = _sketches(by_topic.get(self._topics.sketches, ()))
        return Delivery(
            [
                value
                for message in by_topic.get(self._topics.output, ())
                if (value := message.value()) is not None
            ],
            sketches,
            [(message.key() or b"", message.value()) for message in by_topic.get(self._topics.running, ())],
            len(messages) < self._most,
            unreadable,
            self._positions(),
        )

    def close(self) -> None:
        """Let go of the connections."""
        self._consumer.close()

    def _go_on(self, positions: Mapping[Position, str]) -> None:
        """Where each partition has been read to, if it is still the same."""
        for topic, known in self._known.items():
            for number in range(known.partitions):
                text = positions.get((_place(topic), str(number)))
                offset = _offset(text, known) if topic != self._topics.running else None
                if text is not None and offset is None:
                    log.warning(
                        "topic_anew",
                        "the topic {topic} was made anew: partition {partition} is read from its beginning",
                        topic=topic,
                        partition=number,
                    )
                if offset is not None:
                    self._offsets[topic, number] = offset

    def _assign(self) -> None:
        """Read on from there, and from the beginning where nothing has been read."""
        parts = [
            (topic, number) for topic, known in self._known.items() for number in range(known.partitions)
        ]
        begins = [TopicPartition(*part, self._offsets.get(part, OFFSET_BEGINNING)) for part in parts]
        self._consumer.assign(begins)

    def _look(self) -> None:
        """Raises TopicChanged, and TopicError where one is gone."""
        if monotonic() < self._next_look_s:
            return
        for topic, identity in self._identities.items():
            found = identity.ask()
            if found != self._known[topic]:
                raise TopicChanged(f"The topic {topic} was made anew, or has other partitions.")
        self._next_look_s = monotonic() + LOOK_S

    def _is_record(self, message: Message) -> bool:
        """Takes note of where reading stands. Raises StreamaggError."""
        part = (message.topic() or "", message.partition() or 0)
        error = message.error()
        if error is None:
            self._advance(part, (message.offset() or 0) + 1)
            self._at_end.discard(part)
            return True
        if error.code() == KafkaError._PARTITION_EOF:
            self._advance(part, message.offset() or 0)
            self._at_end.add(part)
        elif is_gone(error):
            log.warning(
                "history_gap",
                "records of {topic}, partition {partition}, are gone before they were read",
                topic=part[0],
                partition=part[1],
            )
            self._offsets.pop(part, None)
            self._assign()
        elif not is_passing(error):
            raise kafka_error(error, f"Reading the topic {part[0]}", Right("READ", "topic", part[0]))
        return False

    def _advance(self, part: Part, offset: int) -> None:
        if self._offsets.get(part) != offset:
            self._offsets[part] = offset
            self._moved.add(part)

    def _positions(self) -> dict[Position, str]:
        """Those that have changed; periods so far are read from the beginning each time."""
        found = {
            (_place(topic), str(number)): f"{self._known[topic].id}@{self._offsets[topic, number]}"
            for topic, number in self._moved
            if topic != self._topics.running
        }
        self._moved.clear()
        return found


def _place(topic: str) -> str:
    return f"topic:{topic}"


def _offset(text: str | None, known: Identity) -> int | None:
    """None where it is of another topic of that name."""
    identity, _, offset = (text or "").rpartition("@")
    return int(offset) if text is not None and not known.differs(identity) else None


def _sketches(messages: Iterable[Message]) -> tuple[list[SketchRow], int]:
    """Those that can be read, and how many cannot."""
    found, unreadable = [], 0
    for message in messages:
        try:
            sketch = message.value() or b""
            theta.read(sketch)
            found.append(SketchRow(*_keyed(message.key() or b""), sketch))
        except (ValueError, OverflowError):
            unreadable += 1
    return found, unreadable


def _keyed(key: bytes) -> tuple[str, int, bytes | None]:
    """Calendar, start and group of a key. Raises ValueError."""
    head, bracket, rest = key.partition(b" [")
    calendar, _, start = head.decode().rpartition(" ")
    group = b"[" + rest if bracket else None
    if group is not None:
        orjson.loads(group)
    return calendar or WINDOW, milliseconds(float(start)), group
