"""Compares what was published with a recount of the input topic, window by window."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import monotonic
from typing import Final, Literal, NamedTuple

import orjson
from confluent_kafka import (
    TIMESTAMP_NOT_AVAILABLE,
    Consumer,
    KafkaError,
    Message,
    TopicPartition,
)

from streamagg.errors import KafkaUnreachable
from streamagg.kafka.admin import end_offsets, partitions_of
from streamagg.kafka.client import Right, consumer_config, kafka_error
from streamagg.recount import PartitionRecount, Recount, Window, counted_users
from streamagg.settings import NO_CEILING, CeilingSettings, DecodeSettings, KafkaSettings, WindowSettings

BATCH_RECORDS: Final = 5_000
SILENCE_S: Final = 30.0
"""A partition that is not read to its end and yields nothing for so long is given up."""

Kind = Literal["missing", "unexpected", "different", "doubled", "unreadable"]
Progress = Callable[[float, int], None]
"""Told which fraction of the input is read, and how many records that were."""


class Count(NamedTuple):
    """What is known of one window."""

    unique: int
    records: int
    approximate: bool = False


class Published(NamedTuple):
    """One record of the output topic."""

    window_ms: int
    """Start of the window."""
    value: Count
    partial: bool


@dataclass(frozen=True, slots=True)
class Difference:
    """One window, or one output record that cannot be read, about which the two disagree."""

    kind: Kind
    window_ms: int | None
    recounted: Count | None
    published: tuple[Count, ...]
    detail: str = ""


@dataclass(frozen=True, slots=True)
class VerifySettings:
    """What is compared, and how the run was set."""

    input: str
    output: str
    window: WindowSettings
    decode: DecodeSettings
    kafka: KafkaSettings
    allow_open: bool = False
    """Windows after the last published one are not missing but not published yet."""
    allow_repeats: bool = False
    """A window may be published again with the same value (at-least-once delivery)."""
    ceiling: CeilingSettings = NO_CEILING


@dataclass(frozen=True, slots=True)
class Verification:
    """The outcome, by windows."""

    recount: Recount
    windows: int
    """Windows recounted."""
    matching: int
    open: int
    """Not published yet, and allowed to be."""
    partial: int
    """Published as partial: counted from the middle on, so that there is nothing to compare."""
    differences: tuple[Difference, ...]
    """In the order of windows, unreadable records last."""
    seconds: float


def verify(settings: VerifySettings, progress: Progress) -> Verification:
    """Recount the input, read the output, compare.

    Raises TopicError, KafkaUnreachable or KafkaFailed.
    """
    started_s = monotonic()
    partitions_of(settings.kafka, settings.output)
    recount = recount_topic(settings, progress)
    outputs = read_published(settings)
    return compare(settings, recount, outputs, monotonic() - started_s)


def recount_topic(settings: VerifySettings, progress: Progress) -> Recount:
    """Count the input topic up to the end it has when the call begins, partition by partition."""
    recount = Recount()
    topic = _TopicReader(settings.kafka, settings.input)
    for messages in topic.partitions():
        partition = PartitionRecount(settings.window, settings.decode, recount)
        for message in messages:
            kind, kafka_time_ms = message.timestamp()
            partition.add(message.value(), None if kind == TIMESTAMP_NOT_AVAILABLE else kafka_time_ms)
            if recount.consumed % BATCH_RECORDS == 0:
                progress(topic.passed / topic.length, recount.consumed)
        partition.end()
    return recount


def read_published(settings: VerifySettings) -> list[Published | Difference]:
    """The committed records of the output topic; a Difference for what is no count."""
    outputs = []
    for messages in _TopicReader(settings.kafka, settings.output).partitions():
        for message in messages:
            place = f"partition {message.partition()}, offset {message.offset()}"
            outputs.append(published_count(message.key(), message.value(), place))
    return outputs


def published_count(key: bytes | None, payload: bytes | None, place: str) -> Published | Difference:
    """An output record as a count; ``place`` says where it was found."""
    try:
        record = orjson.loads(payload or b"")
        window_ms = round(record["ts"] * 1_000)
        if key is None or round(float(key) * 1_000) != window_ms:
            raise ValueError("the key is not the window")
        approximate = bool(record.get("approximate", False))
        value = Count(int(record["cnt"]), int(record["records"]), approximate)
        return Published(window_ms, value, bool(record["partial"]))
    except (ValueError, TypeError, KeyError) as error:
        return Difference("unreadable", None, None, (), f"{place}: {error}")


def compare(
    settings: VerifySettings, recount: Recount, outputs: list[Published | Difference], seconds: float
) -> Verification:
    """Compare every window."""
    expected = _expected(settings, recount.windows)
    published: dict[int, list[Published]] = {}
    for output in outputs:
        if isinstance(output, Published):
            published.setdefault(output.window_ms, []).append(output)
    last_ms = max(published, default=-1)
    matching = not_yet = partial = 0
    differences = []
    for window_ms in sorted(expected.keys() | published.keys()):
        own = published.get(window_ms, [])
        counts = tuple(one.value for one in own)
        if any(one.partial for one in own):
            partial += 1
        elif not own and settings.allow_open and window_ms > last_ms:
            not_yet += 1
        elif kind := _judge(expected.get(window_ms), counts, settings.allow_repeats):
            differences.append(Difference(kind, window_ms, expected.get(window_ms), counts))
        else:
            matching += 1
    differences += [output for output in outputs if isinstance(output, Difference)]
    return Verification(recount, len(expected), matching, not_yet, partial, tuple(differences), seconds)


def _judge(expected: Count | None, counts: tuple[Count, ...], allow_repeats: bool) -> Kind | None:
    if expected is None:
        return "unexpected"
    if not counts:
        return "missing"
    if set(counts) != {expected}:
        return "different"
    return "doubled" if len(counts) > 1 and not allow_repeats else None


def _expected(settings: VerifySettings, windows: dict[int, Window]) -> dict[int, Count]:
    """Counts by window, with the empty windows between them if those are published."""
    expected = {}
    for start_ms, window in windows.items():
        unique, approximate = counted_users(window.users, settings.ceiling)
        expected[start_ms] = Count(unique, window.records, approximate)
    if settings.window.empty_windows and expected:
        for start_ms in range(min(expected), max(expected), settings.window.granularity_ms):
            expected.setdefault(start_ms, Count(0, 0))
    return expected


class _TopicReader:
    """Reads the committed records of a topic, one partition after the other, up to their present ends."""

    def __init__(self, kafka: KafkaSettings, topic: str) -> None:
        self._kafka = kafka
        self._topic = topic
        numbers = range(partitions_of(kafka, topic))
        self._position = end_offsets(kafka, topic, numbers, at="earliest")
        self._ends = end_offsets(kafka, topic, numbers, at="latest")
        self._first = sum(self._position.values())
        self.length = sum(self._ends.values()) - self._first
        """Offsets to read, gaps included."""

    @property
    def passed(self) -> int:
        """Offsets read, gaps included."""
        return sum(self._position.values()) - self._first

    def partitions(self) -> Iterator[Iterator[Message]]:
        """The messages of each partition that has any; each is to be read before the next."""
        consumer = Consumer(consumer_config(self._kafka, enable_partition_eof=True))
        try:
            for number, end in self._ends.items():
                if self._position[number] < end:
                    yield self._read(consumer, number)
        finally:
            consumer.close()

    def _read(self, consumer: Consumer, number: int) -> Iterator[Message]:
        """Offsets have gaps: what ends a partition may be an event and no message."""
        consumer.assign([TopicPartition(self._topic, number, self._position[number])])
        heard_s = monotonic()
        while self._position[number] < self._ends[number]:
            messages = consumer.consume(BATCH_RECORDS, 0.2)
            if messages:
                heard_s = monotonic()
            elif monotonic() - heard_s > SILENCE_S:
                raise KafkaUnreachable(
                    f"Partition {number} of {self._topic} yields nothing from offset"
                    f" {self._position[number]} on. Check that its leader is up."
                )
            for message in messages:
                self._position[number] = self._after(message, self._ends[number])
                if message.error() is None and self._position[number] <= self._ends[number]:
                    yield message

    def _after(self, message: Message, end: int) -> int:
        """The next offset to read."""
        error, offset, number = message.error(), message.offset(), message.partition()
        if error is None and offset is not None:
            return offset + 1
        if error is not None and error.code() == KafkaError._PARTITION_EOF:
            return end
        if error is not None and not error.retriable():
            needs = Right("READ", "topic", self._topic), Right("DESCRIBE", "group", self._kafka.group)
            raise kafka_error(error, f"Reading the topic {self._topic}", *needs)
        assert number is not None
        return self._position[number]
