"""The state topic on real Kafka: what may go wrong with it is waited for, or refused in words."""

from dataclasses import replace

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from streamagg.errors import KafkaUnreachable, StreamaggError, TopicError
from streamagg.kafka.admin import partitions_of, topic_setting
from streamagg.model.measured import PublisherNumbers
from streamagg.model.settings import Delivery, KafkaSettings, RunSettings
from streamagg.sinks.contract import State
from streamagg.sinks.kafka import state as module
from tests.conftest import TopicFactory
from tests.support.instances import READY_S, wait_until
from tests.support.leader import found, leading, publish, sink_of

pytestmark = pytest.mark.kafka
KEPT: State = ((b"day 0", b"first"), (b"through", b"1"))


@pytest.fixture
def settings(broker: str, topic: TopicFactory) -> RunSettings:
    """With topics and a group that nobody else uses; the state topic is absent."""
    output = topic("out")
    kafka = KafkaSettings(broker, group=f"group-of-{output}")
    return RunSettings(topic("in"), output, kafka=kafka, state_topic=f"{output}.state")


def name_of(settings: RunSettings) -> str:
    assert settings.state_topic is not None
    return settings.state_topic


def delete(settings: RunSettings, topic: str) -> None:
    admin = AdminClient({"bootstrap.servers": settings.kafka.bootstrap_servers})
    admin.delete_topics([topic])[topic].result(READY_S)

    def is_gone() -> bool:
        try:
            partitions_of(settings.kafka, topic)
        except TopicError:
            return True
        return False

    wait_until(is_gone, f"the end of {topic}")


def test_it_is_made_as_it_must_be(settings: RunSettings) -> None:
    sink = sink_of(settings)
    with pytest.raises(TopicError, match="does not exist"):
        sink.require(lambda: None)
    with pytest.raises(TopicError, match="--no-create-topics"):
        sink_of(replace(settings, create_topics=False)).make()
    sink.make()
    sink.require(lambda: None)
    assert partitions_of(settings.kafka, name_of(settings)) == 1
    assert topic_setting(settings.kafka, name_of(settings), "cleanup.policy") == "compact"
    assert topic_setting(settings.kafka, name_of(settings), "no.such.setting") is None


@pytest.mark.parametrize("policy", ["delete", "compact,delete"])
def test_one_that_forgets_is_refused(policy: str, settings: RunSettings, topic: TopicFactory) -> None:
    forgetful = topic("state", config={"cleanup.policy": policy})
    sink = sink_of(replace(settings, state_topic=forgetful))
    for ask in (sink.make, lambda: sink.require(lambda: None)):
        with pytest.raises(TopicError, match=rf"{forgetful} has cleanup.policy=\S*delete.*set it to compact"):
            ask()


def test_one_without_an_order_is_refused(settings: RunSettings, topic: TopicFactory) -> None:
    wide = topic("state", partitions=2, config={"cleanup.policy": "compact"})
    with pytest.raises(TopicError, match="has 2 partitions and must have one"):
        sink_of(replace(settings, state_topic=wide)).make()


def test_one_that_was_deleted_is_empty_at_a_start(settings: RunSettings) -> None:
    sink_of(settings).make()
    with leading(settings) as leader:
        publish(leader, KEPT)
        assert found(leader) == list(KEPT)
    delete(settings, name_of(settings))
    sink_of(settings).make()
    with leading(settings) as leader:
        assert found(leader) == []


def test_a_leader_takes_no_other_one_for_that_which_it_has_read(settings: RunSettings) -> None:
    """Whatever it added would be all that the next start finds."""
    sink_of(settings).make()
    with leading(settings) as leader:
        assert found(leader) == []
        publish(leader, KEPT)
        delete(settings, name_of(settings))
        with pytest.raises(TopicError, match="was deleted"):
            publish(leader, KEPT, 2)
    sink_of(settings).make()
    with leading(settings) as leader:
        assert found(leader) == []
        publish(leader, KEPT, 2)
        delete(settings, name_of(settings))
        sink_of(settings).make()
        with pytest.raises(TopicError, match=r"deleted and made anew.*--from earliest"):
            publish(leader, KEPT, 3)
        assert found(leader) == []


def left_open(settings: RunSettings, transactional_id: str) -> Producer:
    """A producer whose transaction has written to the state topic and is not ended."""
    producer = Producer(
        {
            "bootstrap.servers": settings.kafka.bootstrap_servers,
            "transactional.id": transactional_id,
            "transaction.timeout.ms": 60_000,
        }
    )
    producer.init_transactions(READY_S)
    producer.begin_transaction()
    producer.produce(name_of(settings), b"of nobody", b"day 0")
    assert producer.flush(READY_S) == 0
    return producer


def test_what_a_killed_leader_had_not_committed_is_no_state(settings: RunSettings) -> None:
    sink_of(settings).make()
    with leading(settings) as leader:
        publish(leader, KEPT)
    killed = left_open(settings, f"streamagg-{settings.kafka.group}-{settings.input}")
    with leading(settings) as leader:
        assert found(leader) == list(KEPT)
        publish(leader, ((b"day 0", b"second"),), 2)
        assert found(leader) == [(b"through", b"1"), (b"day 0", b"second")]
    del killed


def test_an_open_transaction_of_somebody_else_is_waited_for(settings: RunSettings) -> None:
    """Behind it is committed state, which a reader that stopped there would not find."""
    sink_of(settings).make()
    other = left_open(settings, f"other-{settings.output}")
    with leading(settings) as leader:
        publish(leader, KEPT)
        turns = 0

        def alive() -> None:
            nonlocal turns
            turns += 1
            if turns == 10:
                other.abort_transaction(READY_S)

        assert list(leader.state(alive)) == list(KEPT)
        assert turns >= 10


def test_one_that_stays_open_is_told(settings: RunSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PATIENCE_S", 0.5)
    sink_of(settings).make()
    other = left_open(settings, f"other-{settings.output}")
    with leading(settings) as leader:
        publish(leader, KEPT)
        with pytest.raises(KafkaUnreachable, match="a transaction of another producer is open there"):
            found(leader)
    other.abort_transaction(READY_S)


@pytest.mark.parametrize("delivery", ["exactly-once", "at-least-once"])
def test_the_last_value_is_not_out_without_the_others(
    delivery: Delivery, settings: RunSettings, topic: TopicFactory
) -> None:
    """The first is too large for the topic, and for a batch with those behind it."""
    small = topic("state", config={"cleanup.policy": "compact", "max.message.bytes": "65536"})
    cramped = replace(settings, state_topic=small, delivery=delivery)
    told = pytest.raises(StreamaggError, match=rf"topic {small} failed.*max.message.bytes")
    with leading(cramped) as leader:
        publish(leader, KEPT)
        with told:
            publish(leader, ((b"large", b"x" * 100_000), (b"day 0", None), (b"through", b"2")), 2)
    with leading(cramped) as leader:
        assert found(leader) == list(KEPT)


def test_it_is_measured(settings: RunSettings) -> None:
    sink_of(settings).make()
    numbers = PublisherNumbers()
    with leading(settings, numbers) as leader:
        assert (numbers.state_bytes, numbers.restore_s) == (0, None)
        publish(leader, (*KEPT, (b"gone", None)))
        assert numbers.state_bytes == sum(len(key) + len(value or b"") for key, value in KEPT) + len(b"gone")
        found(leader)
        assert numbers.restore_s is not None
        assert 0 < numbers.restore_s < READY_S
