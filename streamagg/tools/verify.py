"""Compares what was published with a recount of the input topic, window by window."""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from time import monotonic
from typing import Final, Literal, NamedTuple

import orjson
from confluent_kafka import (
    TIMESTAMP_LOG_APPEND_TIME,
    TIMESTAMP_NOT_AVAILABLE,
    Consumer,
    KafkaError,
    Message,
    TopicPartition,
)

from streamagg.errors import KafkaUnreachable, StreamaggError, TopicError
from streamagg.kafka.admin import partitions_of
from streamagg.kafka.client import Right, consumer_config, is_gone, kafka_error
from streamagg.model.batch import Standing
from streamagg.model.settings import (
    NO_CEILING,
    CeilingSettings,
    DecodeSettings,
    KafkaSettings,
    WindowSettings,
)
from streamagg.sources.holding import EndWatch
from streamagg.sources.kafka.topic import TopicSource
from streamagg.tools.recount import PartitionRecount, Recount, Window, counted_users

BATCH_RECORDS: Final = 5_000
"""Messages taken at once, 11 MB of 2.2 KB each; progress is shown in between."""
SILENCE_S: Final = 30.0
"""A partition that is not read to its end and yields nothing for so long is given up."""

Kind = Literal["missing", "unexpected", "different", "doubled", "unreadable"]
Progress = Callable[[float, int], None]
"""Called with the fraction of the input that has been read, and how many records that was."""


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
    hold_timeout_ms: int | None = None
    """How long to wait for records that cannot be read yet; None: as long as a transaction may be open."""


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

    Raises TopicError, HeldUp, KafkaUnreachable or KafkaFailed.
    """
    started_s = monotonic()
    partitions_of(settings.kafka, settings.output)
    recount = recount_topic(settings, progress)
    outputs = read_published(settings)
    return compare(settings, recount, outputs, monotonic() - started_s)


def recount_topic(settings: VerifySettings, progress: Progress) -> Recount:
    """Count the input topic up to the end it has when the call begins, each partition in its own order."""
    recount = Recount()
    topic = _TopicReader(settings, settings.input)
    partitions: dict[int | None, PartitionRecount] = {}
    for message in topic.messages():
        number = message.partition()
        partition = partitions.get(number)
        if partition is None:
            partition = partitions[number] = PartitionRecount(settings.window, settings.decode, recount)
        kind, kafka_time_ms = message.timestamp()
        partition.add(
            message.value(),
            None if kind == TIMESTAMP_NOT_AVAILABLE else kafka_time_ms,
            by_broker=kind == TIMESTAMP_LOG_APPEND_TIME,
        )
        if recount.consumed % BATCH_RECORDS == 0:
            progress(topic.passed / topic.length, recount.consumed)
    for partition in partitions.values():
        partition.end()
    return recount


def read_published(settings: VerifySettings) -> list[Published | Difference]:
    """The committed records of the output topic; a Difference for what is no count."""
    outputs = []
    for message in _TopicReader(settings, settings.output).messages():
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
    """Reads the committed records of a topic up to its present end: all partitions at once.

    The end is that of all records. Where a committed reader does not get there, this waits: a transaction
    that is open there may still bring some.
    """

    def __init__(self, settings: VerifySettings, topic: str) -> None:
        self._settings = settings
        self._topic = topic
        self._source = TopicSource(settings.kafka, topic)
        numbers = range(self._source.partitions())
        self._begins = self._source.offsets(numbers, "earliest")
        self._ends = self._source.log_ends(numbers)
        self._position = dict(self._begins)
        self.length = sum(self._ends.values()) - sum(self._begins.values())
        """Offsets to read, gaps included."""

    @property
    def passed(self) -> int:
        """Offsets read, gaps included."""
        read = (min(position, self._ends[number]) for number, position in self._position.items())
        return sum(read) - sum(self._begins.values())

    def messages(self) -> Iterator[Message]:
        """The messages of all partitions.

        Raises HeldUp, KafkaUnreachable, or the error for whatever Kafka answers.
        """
        consumer = Consumer(consumer_config(self._settings.kafka, enable_partition_eof=True))
        asking = ThreadPoolExecutor(1)
        try:
            yield from self._read(consumer, asking)
        finally:
            asking.shutdown(wait=False, cancel_futures=True)
            consumer.close()

    def _read(self, consumer: Consumer, asking: Executor) -> Iterator[Message]:
        settings = self._settings
        ending = EndWatch(self._source, settings.hold_timeout_ms, "nothing is compared", asking)
        unread = self._standing()
        consumer.assign([TopicPartition(self._topic, number, at.offset) for number, at in unread.items()])
        heard_s = monotonic()
        while unread:
            messages = consumer.consume(BATCH_RECORDS, 0.2)
            yield from self._within(messages)
            still = self._standing()
            done = [TopicPartition(self._topic, number) for number in unread if number not in still]
            if done:
                consumer.incremental_unassign(done)
            unread = still
            ending.look(self._standing)
            if messages or ending.held:
                heard_s = monotonic()
            elif monotonic() - heard_s > SILENCE_S:
                number, at = next(iter(unread.items()))
                raise KafkaUnreachable(
                    f"Partition {number} of {self._topic} yields nothing from offset {at.offset} on. Check"
                    " that its leader is up."
                )

    def _standing(self) -> dict[int, Standing]:
        """Partitions that are not read to their end."""
        position, ends = self._position, self._ends
        return {n: Standing(position[n], end) for n, end in ends.items() if position[n] < end}

    def _within(self, messages: list[Message]) -> Iterator[Message]:
        """Those before the end. Offsets have gaps: what ends a partition may be an event and no message."""
        for message in messages:
            number, offset, error = message.partition() or 0, message.offset() or 0, message.error()
            if error is None:
                self._position[number] = offset + 1
                if offset < self._ends[number]:
                    yield message
            elif error.code() == KafkaError._PARTITION_EOF:
                self._position[number] = offset
            elif not error.retriable():
                raise self._failed(error, number)

    def _failed(self, error: KafkaError, number: int) -> StreamaggError:
        if is_gone(error):
            return TopicError(
                f"Partition {number} of {self._topic} does not hold offset {self._position[number]} any more:"
                " retention has removed it, or the topic was made anew. Start again when it is left alone."
            )
        needs = Right("READ", "topic", self._topic), Right("DESCRIBE", "group", self._settings.kafka.group)
        return kafka_error(error, f"Reading the topic {self._topic}", *needs)
