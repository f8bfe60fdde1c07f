"""Records out of a real consumer: in C and as message objects, with the same outcome."""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from time import monotonic

import pytest
from confluent_kafka import KafkaError, TopicPartition

from streamagg.decode import Decoder
from streamagg.errors import AccessDenied, CheckpointError, KafkaFailed
from streamagg.kafka import client_metrics as observing
from streamagg.model.measured import ClientNumbers
from streamagg.model.settings import DecodeSettings, KafkaSettings
from streamagg.sources.kafka.fetching import (
    Fetched,
    Fetching,
    MessageFetching,
    NativeFetching,
    load_native,
    raise_error,
)
from tests.conftest import TopicFactory
from tests.support.pipeline import Feed

pytestmark = pytest.mark.kafka
PATIENCE_S = 30

Open = Callable[..., Fetching]


def open_native(bootstrap: str, numbers: ClientNumbers | None = None) -> Fetching:
    native = load_native()
    assert native is not None, "the part in C was not built, or does not get on with this librdkafka"
    return NativeFetching(KafkaSettings(bootstrap), "t", numbers or ClientNumbers(), native)


def open_messages(bootstrap: str, numbers: ClientNumbers | None = None) -> Fetching:
    return MessageFetching(KafkaSettings(bootstrap), "t", numbers or ClientNumbers())


BOTH = pytest.mark.parametrize("open_fetching", [open_native, open_messages], ids=["native", "messages"])


def until_the_end(fetching: Fetching, topic: str, partitions: int) -> Iterator[Fetched]:
    """All that comes until every partition has been read to its end."""
    places = [TopicPartition(topic, partition, 0) for partition in range(partitions)]
    fetching.consumer.incremental_assign(places)
    ended, deadline = set(), monotonic() + PATIENCE_S
    while len(ended) < partitions:
        assert monotonic() < deadline
        for fetched in fetching.fetch(100, 50):
            if fetched.end is not None:
                ended.add(fetched.partition)
            yield fetched


@BOTH
def test_every_record_comes_once_in_its_order(broker: str, topic: TopicFactory, open_fetching: Open) -> None:
    name, sent = topic(partitions=3), defaultdict(list)
    feed = Feed(broker, name)
    for number in range(1_000):
        payload = None if number % 97 == 0 else b"" if number % 89 == 0 else b"%d" % number * (number % 50)
        partition = number % 2
        sent[partition].append((payload, 1_000 + number))
        feed.enqueue(payload, partition=partition, timestamp_ms=1_000 + number)
    feed.flush()
    came, ends = defaultdict(list), {}
    fetching = open_fetching(broker)
    for fetched in until_the_end(fetching, name, 3):
        rows = zip(fetched.payloads, fetched.timestamps_ms().tolist(), strict=True)
        assert fetched.offsets.tolist() == list(
            range(len(came[fetched.partition]), len(came[fetched.partition]) + len(fetched.payloads))
        )
        came[fetched.partition] += rows
        ends[fetched.partition] = fetched.end
    fetching.close()
    assert came[0] == sent[0]
    assert came[1] == sent[1]
    assert came[2] == []
    assert ends == {0: 500, 1: 500, 2: 0}


@BOTH
def test_parts_of_what_came(broker: str, topic: TopicFactory, open_fetching: Open) -> None:
    name = topic()
    feed = Feed(broker, name)
    for number in range(10):
        feed.enqueue(b"%d" % number)
    feed.flush()
    fetching = open_fetching(broker)
    payloads = next(until_the_end(fetching, name, 1)).payloads
    assert list(payloads[2:5]) == [b"2", b"3", b"4"]
    assert list(payloads[2:5][1:]) == [b"3", b"4"]
    assert list(payloads[7:99]) == [b"7", b"8", b"9"]
    assert (payloads[0], payloads[-1]) == (b"0", b"9")
    with pytest.raises(IndexError):
        payloads[10]
    fetching.close()


@BOTH
def test_an_offset_that_is_not_there(broker: str, topic: TopicFactory, open_fetching: Open) -> None:
    fetching, deadline = open_fetching(broker), monotonic() + PATIENCE_S
    fetching.consumer.incremental_assign([TopicPartition(topic(), 0, 7)])

    def fetch_until_it_fails() -> None:
        while monotonic() < deadline:
            list(fetching.fetch(10, 50))

    with pytest.raises(CheckpointError, match=r"partition 0 .* does not hold the offset"):
        fetch_until_it_fails()
    fetching.close()


@BOTH
def test_nobody_there(open_fetching: Open) -> None:
    fetching = open_fetching("127.0.0.1:1")
    assert [list(fetching.fetch(10, 20)) for _ in range(10)] == [[]] * 10
    fetching.close()


def fetch_until(fetching: Fetching, condition: Callable[[], object]) -> None:
    deadline = monotonic() + PATIENCE_S
    while not condition():
        assert monotonic() < deadline
        for _ in fetching.fetch(100, 50):
            pass


@BOTH
def test_errors_of_the_client_are_counted(open_fetching: Open) -> None:
    numbers = ClientNumbers()
    fetching = open_fetching("127.0.0.1:1", numbers)
    fetch_until(fetching, lambda: numbers.errors.get("_TRANSPORT"))
    fetching.close()
    assert set(numbers.errors) <= {"_TRANSPORT", "_ALL_BROKERS_DOWN"}


@BOTH
def test_an_error_of_a_partition_is_counted(broker: str, topic: TopicFactory, open_fetching: Open) -> None:
    numbers = ClientNumbers()
    fetching = open_fetching(broker, numbers)
    fetching.consumer.incremental_assign([TopicPartition(topic(), 0, 99)])
    with pytest.raises(CheckpointError):
        fetch_until(fetching, lambda: False)
    fetching.close()
    assert sum(numbers.errors.values()) == 1


@BOTH
def test_the_way_to_the_broker_is_told(
    broker: str, topic: TopicFactory, open_fetching: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observing, "_STATISTICS_EVERY_MS", 100)
    numbers, name = ClientNumbers(), topic()
    Feed(broker, name).send([b"x"])
    fetching = open_fetching(broker, numbers)
    for _ in until_the_end(fetching, name, 1):
        pass
    fetch_until(fetching, lambda: numbers.round_trips)
    fetching.close()
    (way,) = numbers.round_trips.values()
    assert 0 < way.median_s <= way.p99_s < PATIENCE_S
    assert numbers.errors == {}


@BOTH
def test_sizes_are_those_of_the_payloads(broker: str, topic: TopicFactory, open_fetching: Open) -> None:
    name = topic()
    Feed(broker, name).send([b"abc", None, b"", b"12345", b"z"])
    fetching = open_fetching(broker)
    found = [fetched for fetched in until_the_end(fetching, name, 1) if len(fetched.payloads)]
    assert sum(fetched.size_of(fetched.payloads) for fetched in found) == 3 + 5 + 1
    assert [fetched.size_of(fetched.payloads[:0]) for fetched in found] == [0] * len(found)
    assert found[-1].size_of(found[-1].payloads[-1:]) == 1
    fetching.close()


@BOTH
def test_a_record_ends_a_wait(broker: str, topic: TopicFactory, open_fetching: Open) -> None:
    name = topic(partitions=1)
    fetching, feed = open_fetching(broker), Feed(broker, name)
    for _ in until_the_end(fetching, name, 1):
        pass
    sending = threading.Timer(0.5, feed.send, [[b"x"]])
    sending.start()
    began = monotonic()
    (fetched,) = fetching.fetch(1, 1_000 * PATIENCE_S)
    assert monotonic() - began < PATIENCE_S / 2
    assert list(fetched.payloads) == [b"x"]
    sending.join()
    fetching.close()


def test_closing_while_records_are_held(broker: str, topic: TopicFactory) -> None:
    name = topic()
    feed = Feed(broker, name)
    feed.enqueue(b"x")
    feed.flush()
    fetching = open_native(broker)
    held = list(until_the_end(fetching, name, 1))
    fetching.close()
    with pytest.raises(RuntimeError, match="closed"):
        held[0].payloads[0]
    with pytest.raises(RuntimeError, match="closed"):
        held[0].timestamps_ms()
    with pytest.raises(RuntimeError, match="closed"):
        Decoder(DecodeSettings()).decode(held[0].payloads)


def test_what_errors_mean() -> None:
    with pytest.raises(KafkaFailed, match="Reading the input topic t failed"):
        raise_error(KafkaError(KafkaError._BAD_MSG), "t", 3)
    with pytest.raises(AccessDenied):
        raise_error(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED), "t", 3)
