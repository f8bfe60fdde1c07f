"""The broker goes away under a run and comes back: nothing is lost, doubled or different."""

import signal

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.support.broker import Broker
from tests.support.instances import READY_S, wait_until
from tests.support.pipeline import Feed, Run, made_records

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


def test_a_broker_that_is_killed_and_comes_back(
    own_broker: Broker, tmp_path_factory: pytest.TempPathFactory
) -> None:
    run = Run(own_broker.address, "in", "out", tmp_path_factory.mktemp("runs"))
    client = AdminClient({"bootstrap.servers": own_broker.address})
    client.create_topics([NewTopic("in", 2, 1)])["in"].result(READY_S)
    made = made_records(10_000)
    feed = Feed(own_broker.address, "in", 2)
    feed.send(made[:5_000])
    # Nothing is written while the broker starts: that must not count as silence.
    with run.start("--idle-timeout", "5m") as instance:
        instance.wait_for("leading:")
        wait_until(lambda: len(run.published()) > 2, "the first windows")
        own_broker.kill()
        own_broker.start_again()
        before = len(run.published())
        feed.send(made[5_000:])
        wait_until(lambda: len(run.published()) > before + 2, "windows after the loss", 60)
        instance.signal(signal.SIGTERM)
        assert instance.wait(10) == 0, instance.log
    run.until_end()
    run.check()
