"""Recounts the input topic, reads the output topic, and compares."""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from time import monotonic
from typing import Final

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
from streamagg.sources.holding import EndWatch
from streamagg.sources.kafka.topic import TopicSource
from streamagg.tools.comparison import Verification, VerifySettings, compare
from streamagg.tools.published import Difference, Published, published_count
from streamagg.tools.recount import PartitionRecount, Recount

BATCH_RECORDS: Final = 5_000
"""Messages taken at once, 11 MB of 2.2 KB each; progress is shown in between."""
SILENCE_S: Final = 30.0
"""A partition that is not read to its end and yields nothing for so long is given up."""

Progress = Callable[[float, int], None]
"""Called with the fraction of the input that has been read, and how many records that was."""


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
            partition = PartitionRecount(settings.window, settings.decode, recount, number or 0)
            partitions[number] = partition
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
        where = f"partition {message.partition()}, offset {message.offset()}"
        number, group_by = message.partition() or 0, settings.decode.group_by
        outputs.append(published_count(message.key(), message.value(), where, number, group_by))
    return outputs


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
