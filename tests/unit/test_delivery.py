"""What did not arrive is told by reason, once."""

from types import SimpleNamespace
from typing import Any

from confluent_kafka import KafkaError

from streamagg.kafka.delivery import Reports, Undelivered

RECORD: Any = SimpleNamespace(topic=lambda: "out")
LOST = KafkaError(KafkaError._MSG_TIMED_OUT)
LARGE = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)


def test_what_arrived_is_not_remembered() -> None:
    reports = Reports[str]()
    reports.hear(None, RECORD)
    reports.hear_of("a")(None, RECORD)
    assert (reports.first, reports.take()) == (None, [])


def test_what_did_not_is_told_by_reason_in_the_order_of_the_first_of_each() -> None:
    reports = Reports[str]()
    reports.hear_of("a")(LARGE, RECORD)
    reports.hear(LOST, RECORD)
    reports.hear_of("b")(LARGE, RECORD)
    large = Undelivered(LARGE, "out", 2, ["a", "b"])
    assert reports.first == large
    assert reports.take() == [large, Undelivered(LOST, "out", 1, [])]
    assert (reports.first, reports.take()) == (None, [])
