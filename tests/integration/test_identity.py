"""A topic is asked for its id time and again, which leaves nothing behind."""

import gc

import pytest
from confluent_kafka import Uuid

from streamagg.kafka.identity import TopicIdentity
from streamagg.model.settings import KafkaSettings
from tests.conftest import TopicFactory

pytestmark = pytest.mark.kafka
QUESTIONS = 20


def test_answers_do_not_stay_in_memory(broker: str, topic: TopicFactory) -> None:
    identity = TopicIdentity(KafkaSettings(broker), topic("in", partitions=3))
    first = identity.ask()
    assert first.partitions == 3
    before = ids_in_memory()
    assert {identity.ask() for _ in range(QUESTIONS)} == {first}
    assert ids_in_memory() - before < QUESTIONS // 2


def ids_in_memory() -> int:
    gc.collect()
    return sum(isinstance(each, Uuid) for each in gc.get_objects())
