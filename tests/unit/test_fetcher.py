"""Messages out of a client's queue, in C. Without Java: tests/integration/test_fetching.py has a broker."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from types import ModuleType

import numpy as np
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from streamagg.kafka.embedded import PARTITIONS, embedded_broker
from streamagg.sources.kafka.fetching import load_native

PATIENCE_S = 30
EACH = 50


@pytest.fixture(scope="module")
def bootstrap() -> Iterator[str]:
    """A broker that holds EACH records in each partition of the topic ``input``."""
    with embedded_broker(["input"]) as address:
        producer = Producer({"bootstrap.servers": address, "log_level": 0})
        for number in range(EACH):
            for partition in range(PARTITIONS):
                key = b"key" if number % 2 else None
                producer.produce("input", value(partition, number), key, partition, timestamp=1000 + number)
        assert producer.flush(PATIENCE_S) == 0
        yield address


@pytest.fixture
def native() -> ModuleType:
    module = load_native()
    assert module is not None
    return module


def value(partition: int, number: int) -> bytes | None:
    """The last record of a partition has none."""
    return None if number == EACH - 1 else b"%d/%d" % (partition, number)


@contextmanager
def fetching(native: ModuleType, bootstrap: str) -> Iterator:
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "g",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "statistics.interval.ms": 10,
            "plugin.library.paths": native.__file__,
        }
    )
    fetcher = native.Fetcher(consumer)
    try:
        consumer.assign([TopicPartition("input", partition, 0) for partition in range(PARTITIONS)])
        yield fetcher
    finally:
        fetcher.close()
        consumer.close()


def fetched_until_the_end(fetcher) -> Iterator:
    ended, deadline = set(), monotonic() + PATIENCE_S
    while len(ended) < PARTITIONS:
        assert monotonic() < deadline
        for messages in fetcher.fetch(64, 100, 5):
            partition, end, error = messages.state()
            assert error == 0
            if end >= 0:
                ended.add(partition)
            yield messages


def column(packed: Callable[[], bytes]) -> list[int]:
    return np.frombuffer(packed(), np.int64).tolist()


def test_what_messages_say(native: ModuleType, bootstrap: str) -> None:
    came: dict[int, list] = {partition: [] for partition in range(PARTITIONS)}
    with fetching(native, bootstrap) as fetcher:
        for messages in fetched_until_the_end(fetcher):
            partition, _, _ = messages.state()
            assert set(column(messages.appended)) <= {-1}
            numbers = zip(column(messages.offsets), column(messages.timestamps), strict=True)
            came[partition] += [
                (offset, time_ms, messages[at], messages.origin(at))
                for at, (offset, time_ms) in enumerate(numbers)
            ]
    assert came == {
        partition: [
            (number, 1000 + number, value(partition, number), (b"key" if number % 2 else None, 1000 + number))
            for number in range(EACH)
        ]
        for partition in range(PARTITIONS)
    }


def test_parts_of_messages(native: ModuleType, bootstrap: str) -> None:
    with fetching(native, bootstrap) as fetcher:
        messages = next(each for each in fetched_until_the_end(fetcher) if len(each) > 2)
        whole = list(messages)
        assert list(messages[1:-1]) == whole[1:-1]
        assert messages[-1] == whole[-1]
        assert messages[1:].state()[0] == messages.state()[0]
        with pytest.raises(IndexError, match="no such message"):
            messages[len(whole)]
        with pytest.raises(IndexError, match="no such message"):
            messages.origin(-1)
        with pytest.raises(ValueError, match="no steps"):
            messages[::2]


USES = {
    "offsets": lambda messages: messages.offsets(),
    "item": lambda messages: messages[0],
    "origin": lambda messages: messages.origin(0),
    "buffer": memoryview,
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_messages_are_gone_with_their_fetcher(native: ModuleType, bootstrap: str, use: Callable) -> None:
    with fetching(native, bootstrap) as fetcher:
        kept = [messages for messages in fetched_until_the_end(fetcher) if len(messages)]
    for messages in kept:
        with pytest.raises(RuntimeError, match="the fetcher of these messages is closed"):
            use(messages)


def test_a_closed_fetcher(native: ModuleType, bootstrap: str) -> None:
    with fetching(native, bootstrap) as fetcher:
        fetcher.close()
        with pytest.raises(RuntimeError, match="the fetcher is closed"):
            fetcher.fetch(1, 0, 0)


def test_statistics_are_news_once(native: ModuleType, bootstrap: str) -> None:
    with fetching(native, bootstrap) as fetcher:
        deadline = monotonic() + PATIENCE_S
        news: list = []
        while not news:
            assert monotonic() < deadline
            fetcher.fetch(1, 20, 0)
            news = fetcher.take_news()
        assert [type(each) for each in news] == [str]
        assert fetcher.take_news() == []


def test_a_fetcher_needs_a_consumer_of_this_plugin(native: ModuleType, bootstrap: str) -> None:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "g", "log_level": 0})
    with pytest.raises(RuntimeError, match="no consumer was made with this plugin"):
        native.Fetcher(consumer)
    consumer.close()
