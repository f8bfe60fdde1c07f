"""Takes fetched records out of a consumer: in C where that was built, else one message object each."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import compress
from types import ModuleType
from typing import Any, Final, Protocol

import numpy as np
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Consumer, KafkaError, KafkaException, Message, cimpl

from streamagg.errors import CheckpointError
from streamagg.events import Log
from streamagg.kafka.broker_silence import BrokerSilence
from streamagg.kafka.client import Right, consumer_config, is_gone, kafka_error
from streamagg.kafka.client_metrics import note_error, note_statistics, observing
from streamagg.model.batch import Origin, no_origin
from streamagg.model.columns import Int64Column
from streamagg.model.measured import ClientNumbers
from streamagg.model.settings import KafkaSettings

log = Log(__name__)

_MORE_MS: Final = 20
"""Once records come, how long more of them are waited for: their delay, against the cost of small batches.
With 20 and not 50 ms, and answers that the broker gathers, a steady stream took 0.24 instead of 0.29 cores
("Tried" in REPORT.md)."""
_SYSLOG_LEVELS: Final = (50, 50, 50, 40, 30, 20, 20, 10)
"""Levels of logging for those of syslog, from emergency to debug."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """Consecutive records of one partition."""

    partition: int
    payloads: Sequence[bytes | None]
    offsets: Int64Column
    """Ascending, shape ``(len(payloads),)``."""
    timestamps_ms: Callable[[], Int64Column]
    """Kafka timestamps of the same shape; -1 where a record has none."""
    appended_ms: Callable[[], Int64Column]
    """Those of them at which the broker has appended the record; -1 where its producer has stamped it."""
    end: int | None
    """The end of the partition, if the consumer has come to it and nothing follows."""
    origin: Origin = no_origin
    """What else is known of each record."""
    size_of: Callable[[Sequence[bytes | None]], int] = lambda payloads: sum(map(len, filter(None, payloads)))
    """Bytes of payloads, or of some of them."""


class Fetching(Protocol):
    """A consumer whose records come in batches."""

    @property
    def consumer(self) -> Consumer:
        """What partitions are assigned to."""

    def fetch(self, limit: int, timeout_ms: int) -> Iterable[Fetched]:
        """Up to so many records, by partition: the first within the time-out, and what follows soon.

        Raises KafkaUnreachable, AccessDenied, TopicError, CheckpointError (what is to be read next is not
        there) or KafkaFailed.
        """

    def lost(self) -> bool:
        """The consumer gets no answers any more; to be asked when nothing is fetched."""

    def close(self) -> None:
        """Close the consumer."""


def open_fetching(kafka: KafkaSettings, topic: str, numbers: ClientNumbers) -> Fetching:
    """A consumer that is in no group: it takes what it is assigned of the topic, and commits nothing.

    What it meets with is counted in ``numbers``.
    """
    native = load_native()
    return NativeFetching(kafka, topic, numbers, native) if native else MessageFetching(kafka, topic, numbers)


@cache
def load_native() -> ModuleType | None:
    """The module in C, or None where it was not built or does not get on with this librdkafka."""
    try:
        from streamagg.sources.kafka import _fetcher
    except ImportError:
        return None
    try:
        _fetcher.load(cimpl.__file__)
    except ImportError as error:
        log.warning(
            "fetcher_substituted", "records are fetched one by one, which is slower: {error}", error=error
        )
        return None
    return _fetcher


class NativeFetching:
    """Leaves payloads where librdkafka has put them."""

    def __init__(self, kafka: KafkaSettings, topic: str, numbers: ClientNumbers, native: ModuleType) -> None:
        config = _config(kafka, numbers)
        self._topic = topic
        self._numbers = numbers
        # What would need the interpreter while it is not there is kept in C until it is asked for.
        for callback in ("logger", "error_cb", "stats_cb"):
            del config[callback]
        self.consumer = Consumer({**config, "plugin.library.paths": native.__file__})
        self._native: Any = native
        self._fetcher = native.Fetcher(self.consumer)
        self._contact = BrokerSilence(self.consumer, topic)

    def fetch(self, limit: int, timeout_ms: int) -> Iterable[Fetched]:
        """Implements ``Fetching``."""
        groups = self._fetcher.fetch(limit, timeout_ms, min(timeout_ms, _MORE_MS))
        self._pass_on_log()
        self._note_news()
        if groups:
            self._contact.heard()
        for messages in groups:
            partition, end, error = messages.state()
            if error:
                self._numbers.failed(KafkaError(error).name())
                raise_error(KafkaError(error), self._topic, partition)
            offsets = np.frombuffer(messages.offsets(), np.int64)
            yield Fetched(
                partition,
                messages,
                offsets,
                partial(_packed, messages.timestamps),
                partial(_packed, messages.appended),
                end if end >= 0 else None,
                messages.origin,
                _packed_size,
            )

    def lost(self) -> bool:
        """Implements ``Fetching``."""
        return self._contact.lost()

    def close(self) -> None:
        """Implements ``Fetching``."""
        self._fetcher.close()
        self.consumer.close()
        self._pass_on_log()

    def _note_news(self) -> None:
        """What callbacks would have told."""
        for news in self._fetcher.take_news():
            if isinstance(news, str):
                note_statistics(self._numbers, news)
            else:
                note_error(self._numbers, KafkaError(news))

    def _pass_on_log(self) -> None:
        lines, dropped = self._native.take_log()
        for level, text in lines:
            log.write(_SYSLOG_LEVELS[min(level, 7)], "kafka_client", "{line}", line=text)
        if dropped:
            log.warning(
                "kafka_client_left_out", "{lines} more lines of librdkafka were left out", lines=dropped
            )


class MessageFetching:
    """Takes message objects from confluent-kafka."""

    def __init__(self, kafka: KafkaSettings, topic: str, numbers: ClientNumbers) -> None:
        self.consumer = Consumer(_config(kafka, numbers))
        self._topic = topic
        self._numbers = numbers
        self._contact = BrokerSilence(self.consumer, topic)

    def fetch(self, limit: int, timeout_ms: int) -> Iterable[Fetched]:
        """Implements ``Fetching``."""
        for partition, messages in _by_partition(self.consumer.consume(limit, timeout_ms / 1000)).items():
            self._contact.heard()
            end = None
            if any(map(Message.error, messages)):
                messages, end = self._records(messages)
            yield Fetched(
                partition,
                list(map(Message.value, messages)),
                np.fromiter(map(Message.offset, messages), np.int64, len(messages)),
                partial(_column, _timestamp, messages),
                partial(_column, appended_at, messages),
                end,
                partial(_origin_at, messages),
            )

    def lost(self) -> bool:
        """Implements ``Fetching``."""
        return self._contact.lost()

    def close(self) -> None:
        """Implements ``Fetching``."""
        self.consumer.close()

    def _records(self, messages: list[Message]) -> tuple[list[Message], int | None]:
        """Split events from records; the offset of the end of the partition if nothing follows it."""
        records, end = [], None
        for message in messages:
            error = message.error()
            if error is None:
                records.append(message)
                end = None
            elif error.code() == KafkaError._PARTITION_EOF:
                end = message.offset()
            else:
                self._numbers.failed(error.name())
                raise_error(error, self._topic, message.partition() or 0)
        return records, end


def _config(kafka: KafkaSettings, numbers: ClientNumbers) -> dict[str, Any]:
    return consumer_config(kafka, enable_partition_eof=True, **observing(numbers))


def raise_error(error: KafkaError, topic: str, partition: int) -> None:
    """Raise what an error that came instead of a record means."""
    if is_gone(error):
        raise CheckpointError(
            f"partition {partition} of the input does not hold the offset that is to be read "
            "next: retention has removed it, or the topic was made anew; start anew with --from earliest"
        )
    if error.fatal() or not error.retriable():
        need = Right("READ", "topic", topic)
        raise kafka_error(KafkaException(error), f"Reading the input topic {topic}", need)


def _by_partition(messages: list[Message]) -> dict[int, list[Message]]:
    """The messages of each partition, in their order, without a step of the interpreter for each."""
    numbers = list(map(Message.partition, messages))
    return {
        number: list(compress(messages, map(number.__eq__, numbers)))
        for number in dict.fromkeys(numbers)
        if number is not None
    }


def _packed_size(messages: Any) -> int:
    """Of pairs of an address and a size."""
    return int(np.frombuffer(messages, np.int64)[1::2].sum())


def _packed(numbers: Callable[[], bytes]) -> Int64Column:
    return np.frombuffer(numbers(), np.int64)


def _column(number_of: Callable[[Message], int], messages: list[Message]) -> Int64Column:
    return np.fromiter(map(number_of, messages), np.int64, len(messages))


def appended_at(message: Message) -> int:
    """When the broker has appended a record, in milliseconds; -1 if its time is that of its producer."""
    kind, timestamp = message.timestamp()
    return timestamp if kind == TIMESTAMP_LOG_APPEND_TIME else -1


def origin_of(message: Message) -> tuple[bytes | None, int]:
    """Key and Kafka timestamp (milliseconds, -1 for none) of a record."""
    return message.key(), _timestamp(message)


def _origin_at(messages: list[Message], position: int) -> tuple[bytes | None, int]:
    return origin_of(messages[position])


def _timestamp(message: Message) -> int:
    kind, timestamp = message.timestamp()
    return timestamp if kind else -1
