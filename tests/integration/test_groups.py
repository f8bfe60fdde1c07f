"""Groups that cannot be joined, and names that they may have."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from confluent_kafka import Consumer

from tests.integration.conftest import RunFactory
from tests.support.instances import wait_until
from tests.support.pipeline import CONSUMER_GROUP, Feed, Run, made_records

pytestmark = pytest.mark.kafka


@contextmanager
def another_program(run: Run, group: str) -> Iterator[None]:
    """A member of the group that shares partitions out in its own way."""
    client = Consumer(
        {"bootstrap.servers": run.bootstrap, "group.id": group, "partition.assignment.strategy": "range"}
    )
    client.subscribe([run.input])

    def at_work() -> bool:
        client.poll(0.05)
        return bool(client.assignment())

    wait_until(at_work, "the other program at work")
    done = threading.Event()

    def poll() -> None:
        while not done.is_set():
            client.poll(0.05)

    polling = threading.Thread(target=poll)
    polling.start()
    try:
        yield
    finally:
        done.set()
        polling.join()
        client.close()


@pytest.mark.parametrize("protocol", [(), CONSUMER_GROUP], ids=["classic", "consumer"])
def test_the_group_of_another_program_is_refused(protocol: tuple[str, ...], new_run: RunFactory) -> None:
    run = new_run()
    with another_program(run, run.output):
        code, words = run.refused(*protocol)
    assert code == 2
    assert f"The group {run.output} belongs to another program" in words
    assert "--group" in words


def test_a_session_that_brokers_do_not_allow_is_refused(new_run: RunFactory) -> None:
    code, words = new_run().refused("-X", "session.timeout.ms=500", "-X", "heartbeat.interval.ms=100")
    assert code == 2
    assert "session.timeout.ms=500" in words


def test_a_group_may_have_any_name_without_transactions(new_run: RunFactory) -> None:
    run = new_run()
    run = replace(run, group=f"größe-{run.output}")
    Feed(run.bootstrap, run.input).send(made_records(500))
    assert run.refused()[0] == 2
    run.until_end("--delivery", "at-least-once")
    run.check()
