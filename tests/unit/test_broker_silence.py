"""A client that nobody answers is found by asking."""

from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from streamagg.kafka import broker_silence as contact
from streamagg.kafka.broker_silence import BrokerSilence


class Asked:
    """A consumer that answers or does not."""

    def __init__(self) -> None:
        self.answers = False
        self.questions = 0

    def list_topics(self, topic: str, *, timeout: float) -> None:
        self.questions += 1
        if not self.answers:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(contact, "monotonic", lambda: now[0])
    return now


def lost_at(found: BrokerSilence, clock: list[float], seconds: range) -> list[int]:
    """The seconds at which contact is found to be lost."""
    at = []
    for clock[0] in seconds:
        if found.lost():
            at.append(int(clock[0]))
    return at


def test_three_questions_without_an_answer(clock: list[float]) -> None:
    consumer: Any = Asked()
    assert lost_at(BrokerSilence(consumer, "t"), clock, range(16)) == [15]
    assert consumer.questions == 3


def test_an_answer_and_a_record_begin_it_anew(clock: list[float]) -> None:
    consumer: Any = Asked()
    found = BrokerSilence(consumer, "t")
    assert lost_at(found, clock, range(12)) == []
    consumer.answers = True
    assert lost_at(found, clock, range(12, 17)) == []
    consumer.answers = False
    assert lost_at(found, clock, range(17, 29)) == []
    found.heard()
    assert lost_at(found, clock, range(29, 43)) == []
