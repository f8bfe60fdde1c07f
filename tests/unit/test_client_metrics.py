"""What a client tells of errors and brokers, without a broker."""

import json

import pytest
from confluent_kafka import KafkaError

from streamagg.kafka.client_metrics import note_error, note_statistics
from streamagg.model.measured import ClientNumbers, RoundTrip


def statistics(*brokers: tuple[int, int, int]) -> str:
    """As librdkafka writes them: number of the broker, both quantiles in microseconds."""
    named = {
        f"broker:{number}/{place}": {
            "name": f"broker:{number}",
            "nodeid": number,
            "rtt": {"min": 1, "p50": p50, "p99": p99, "cnt": 9},
            "toppars": {},
        }
        for place, (number, p50, p99) in enumerate(brokers)
    }
    return json.dumps({"name": "rdkafka#consumer-1", "ts": 1, "brokers": named, "topics": {}})


def test_round_trips_are_told_in_seconds_by_broker() -> None:
    numbers = ClientNumbers()
    note_statistics(numbers, statistics((1, 1_500, 20_000), (2, 300, 400)))
    assert numbers.round_trips == {"1": RoundTrip(0.0015, 0.02), "2": RoundTrip(0.0003, 0.0004)}


def test_a_broker_that_nothing_was_asked_of_is_left_out() -> None:
    """So is the address of the bootstrap, which bears no number."""
    numbers = ClientNumbers()
    note_statistics(numbers, statistics((1, 0, 0), (-1, 5, 5)))
    assert numbers.round_trips == {}


def test_of_several_connections_to_a_broker_the_slowest_counts() -> None:
    numbers = ClientNumbers()
    note_statistics(numbers, statistics((1, 100, 900), (1, 300, 400)))
    assert numbers.round_trips == {"1": RoundTrip(0.0003, 0.0009)}


def test_brokers_that_are_gone_are_forgotten() -> None:
    numbers = ClientNumbers()
    for number in range(1_000):
        note_statistics(numbers, statistics((number, 1, 1)))
    assert list(numbers.round_trips) == ["999"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"brokers": 3}', '{"brokers": {"a": {"rtt": "x"}}}'])
def test_statistics_of_another_form_change_nothing(text: str) -> None:
    numbers = ClientNumbers(round_trips={"1": RoundTrip(0.1, 0.2)})
    note_statistics(numbers, text)
    assert numbers.round_trips == {"1": RoundTrip(0.1, 0.2)}


def test_errors_are_counted_by_name() -> None:
    numbers = ClientNumbers()
    for code in (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT):
        note_error(numbers, KafkaError(code))
    assert numbers.errors == {"_TRANSPORT": 2, "_ALL_BROKERS_DOWN": 1}
