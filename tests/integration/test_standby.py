"""Acceptance 4: two instances of one group, and the leader is killed, or falls asleep and wakes up."""

import json
import signal

import pytest

from tests.integration.conftest import RunFactory
from tests.support.instances import Instance, wait_until
from tests.support.pipeline import QUICK_GROUP, Feed, made_records

pytestmark = [pytest.mark.kafka, pytest.mark.slow]
LEADING = "leading:"


def led_by_one(first: Instance, second: Instance) -> tuple[Instance, Instance]:
    """Leader and standby, once the group has settled."""

    def leader() -> Instance | None:
        turns = [i.log.rfind(LEADING) > i.log.rfind("standing by") for i in (first, second)]
        return first if turns == [True, False] else second if turns == [False, True] else None

    first.wait_for("assigned [")
    second.wait_for("assigned [")
    wait_until(lambda: leader() is not None, "a single leader")
    found = leader()
    assert found is not None
    return found, second if found is first else first


def test_a_standby_takes_over_from_a_killed_leader(new_run: RunFactory) -> None:
    run = new_run(2)
    made = made_records(20_000)
    feed = Feed(run.bootstrap, run.input, 2)
    feed.send(made[:10_000])
    with run.start("--from", "earliest", *QUICK_GROUP) as one:
        one.wait_for(LEADING)
        with run.start("--from", "earliest", *QUICK_GROUP) as other:
            leader, standby = led_by_one(one, other)
            wait_until(lambda: len(run.published()) > 5, "windows of the leader")
            took_over = standby.log.count(LEADING) + 1
            leader.kill()
            standby.wait_for(LEADING, took_over)
            feed.send(made[10_000:])
            before = len(run.published())
            wait_until(lambda: len(run.published()) > before, "windows of the standby")
            standby.signal(signal.SIGTERM)
            assert standby.wait(10) == 0
    run.until_end(*QUICK_GROUP)
    run.check()


def test_a_leader_that_wakes_up_publishes_nothing(new_run: RunFactory) -> None:
    run = new_run(2)
    made = made_records(20_000)
    feed = Feed(run.bootstrap, run.input, 2)
    feed.send(made[:10_000])
    with run.start(*QUICK_GROUP) as one:
        one.wait_for(LEADING)
        with run.start(*QUICK_GROUP) as other:
            leader, standby = led_by_one(one, other)
            wait_until(lambda: len(run.published()) > 5, "windows of the leader")
            took_over = standby.log.count(LEADING) + 1
            leader.signal(signal.SIGSTOP)
            try:
                feed.send(made[10_000:])
                standby.wait_for(LEADING, took_over)
                before = len(run.published())
                wait_until(lambda: len(run.published()) > before, "windows of the standby")
            finally:
                leader.signal(signal.SIGCONT)
            # Whoever leads in the end, the two of them go on as one.
            feed.send(made_records(5_000, seed=2, corrupt=0))
            for instance in (leader, standby):
                instance.signal(signal.SIGTERM)
                assert instance.wait(15) == 0, instance.log
    run.until_end(*QUICK_GROUP)
    run.check()
    assert all(json.loads(value)["cnt"] for value in run.published())


def test_a_leader_that_leaves_hands_over_at_once(new_run: RunFactory) -> None:
    run = new_run(1)
    made = made_records(10_000)
    feed = Feed(run.bootstrap, run.input)
    feed.send(made[:5_000])
    with run.start() as one:
        one.wait_for(LEADING)
        with run.start() as other:
            wait_until(lambda: bool(run.published()), "windows of the leader")
            leader, standby = led_by_one(one, other)
            leader.signal(signal.SIGTERM)
            assert leader.wait(10) == 0
            assert standby.wait_for(LEADING, standby.log.count(LEADING) + 1, timeout_s=8) < 8
            feed.send(made[5_000:])
            standby.signal(signal.SIGTERM)
            assert standby.wait(10) == 0
    run.until_end()
    run.check()
