"""Compares what was published with a recount of the input topic, window by window."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import monotonic
from typing import Final, Literal, NamedTuple

import orjson
from confluent_kafka import (
    OFFSET_BEGINNING,
    TIMESTAMP_NOT_AVAILABLE,
    Consumer,
    KafkaError,
    Message,
    TopicPartition,
)

from streamagg.errors import KafkaUnreachable
from streamagg.kafka.admin import end_offsets, partitions_of
from streamagg.kafka.client import consumer_config, kafka_error
from streamagg.recount import PartitionRecount, Recount, Window
from streamagg.settings import DecodeSettings, KafkaSettings, WindowSettings

BATCH_RECORDS: Final = 5_000
SILENCE_S: Final = 30.0
"""A partition that is not read to its end and yields nothing for so long is given up."""

Kind = Literal["missing", "unexpected", "different", "doubled", "unreadable"]
Progress = Callable[[int], None]
"""Told how many more offsets have been passed."""


class Count(NamedTuple):
    """What is known of one window."""

    unique: int
    records: int


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


@dataclass(frozen=True, slots=True)
class Comparison:
    """The outcome, by windows."""

    windows: int
    """Windows recounted."""
    matching: int
    open: int
    """Not published yet, and allowed to be."""
    partial: int
    """Published as partial: counted from the middle on, so that there is nothing to compare."""
    differences: tuple[Difference, ...]


def recount_topic(settings: VerifySettings, progress: Progress) -> Recount:
    """Count the input topic up to the end it has when the call begins, partition by partition.

    Raises TopicError, KafkaUnreachable or KafkaFailed.
    """
    recount = Recount()
    for messages in _partitions(settings.kafka, settings.input):
        partition = PartitionRecount(settings.window, settings.decode, recount)
        for message, passed in messages:
            kind, kafka_time_ms = message.timestamp()
            partition.add(message.value(), None if kind == TIMESTAMP_NOT_AVAILABLE else kafka_time_ms)
            progress(passed)
        partition.end()
    return recount


def read_published(settings: VerifySettings) -> list[Published | Difference]:
    """The committed records of the output topic; a Difference for what is no count.

    Raises TopicError, KafkaUnreachable or KafkaFailed.
    """
    outputs = []
    for messages in _partitions(settings.kafka, settings.output):
        for message, _ in messages:
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
        value = Count(int(record["cnt"]), int(record["records"]))
        return Published(window_ms, value, bool(record["partial"]))
    except (ValueError, TypeError, KeyError) as error:
        return Difference("unreadable", None, None, (), f"{place}: {error}")


def compare(settings: VerifySettings, recount: Recount, outputs: list[Published | Difference]) -> Comparison:
    """Compare every window; differences come in the order of windows, unreadable records last."""
    expected = _expected(settings.window, recount.windows)
    published: dict[int, list[Published]] = {}
    for output in outputs:
        if isinstance(output, Published):
            published.setdefault(output.window_ms, []).append(output)
    last = max(published, default=-1)
    matching = not_yet = partial = 0
    differences = []
    for window_ms in sorted(expected.keys() | published.keys()):
        own = published.get(window_ms, [])
        if any(one.partial for one in own):
            partial += 1
            continue
        if not own and settings.allow_open and window_ms > last:
            not_yet += 1
            continue
        counts = tuple(one.value for one in own)
        kind = _judge(expected.get(window_ms), counts, settings.allow_repeats)
        if kind is None:
            matching += 1
        else:
            differences.append(Difference(kind, window_ms, expected.get(window_ms), counts))
    differences += [output for output in outputs if isinstance(output, Difference)]
    return Comparison(len(expected), matching, not_yet, partial, tuple(differences))


def _judge(expected: Count | None, counts: tuple[Count, ...], allow_repeats: bool) -> Kind | None:
    if expected is None:
        return "unexpected"
    if not counts:
        return "missing"
    if set(counts) != {expected}:
        return "different"
    return "doubled" if len(counts) > 1 and not allow_repeats else None


def _expected(settings: WindowSettings, windows: dict[int, Window]) -> dict[int, Count]:
    """Counts by window, with the empty windows between them if those are published."""
    expected = {start_ms: Count(len(window.users), window.records) for start_ms, window in windows.items()}
    if settings.empty_windows and expected:
        for start_ms in range(min(expected), max(expected), settings.granularity_ms):
            expected.setdefault(start_ms, Count(0, 0))
    return expected


def _partitions(kafka: KafkaSettings, topic: str) -> Iterator[Iterator[tuple[Message, int]]]:
    """The partitions of a topic, one after the other: messages, each with the offsets passed with it."""
    numbers = range(partitions_of(kafka, topic))
    first = end_offsets(kafka, topic, numbers, at="earliest")
    ends = end_offsets(kafka, topic, numbers, at="latest")
    consumer = Consumer(consumer_config(kafka, group_id="streamagg-verify", enable_partition_eof=True))
    try:
        for number in numbers:
            if first[number] < ends[number]:
                start = TopicPartition(topic, number, OFFSET_BEGINNING)
                yield _read(consumer, start, first[number], ends[number])
    finally:
        consumer.close()


def _read(consumer: Consumer, start: TopicPartition, first: int, end: int) -> Iterator[tuple[Message, int]]:
    """Committed messages below ``end``. Offsets have gaps: the end may be an event and no message."""
    consumer.assign([start])
    position, heard_s = first, monotonic()
    while True:
        messages = consumer.consume(BATCH_RECORDS, 0.2)
        if messages:
            heard_s = monotonic()
        elif monotonic() - heard_s > SILENCE_S:
            raise KafkaUnreachable(
                f"Partition {start.partition} of {start.topic} yields nothing from offset {position} on."
                " Check that its leader is up."
            )
        for message in messages:
            error = message.error()
            if error is not None:
                if error.code() == KafkaError._PARTITION_EOF:
                    return
                if not error.retriable():
                    raise kafka_error(error, f"Reading the topic {start.topic}")
                continue
            offset = message.offset()
            assert offset is not None
            if offset >= end:
                return
            yield message, offset + 1 - position
            position = offset + 1
            if position == end:
                return
