"""Acceptance 4: two instances of one group, and the leader is killed, or falls asleep and wakes up."""

import json
import re
import signal

import pytest

from tests.integration.conftest import RunFactory
from tests.support.instances import Instance, wait_until
from tests.support.pipeline import CONSUMER_GROUP, QUICK_GROUP, Feed, made_records

pytestmark = [pytest.mark.kafka, pytest.mark.slow]
LEADING = "leading:"
BOTH_PROTOCOLS = pytest.mark.parametrize(
    "protocol", [QUICK_GROUP, CONSUMER_GROUP], ids=["classic", "consumer"]
)
OWNED = re.compile(r"(?:assigned|left with) \[(.*)\]")


def led_by_one(partitions: int, first: Instance, second: Instance) -> tuple[Instance, Instance]:
    """Leader and standby, once the group has settled: a newcomer may take partitions from the other."""

    def leader() -> Instance | None:
        if sorted(len(owned(i)) for i in (first, second)) != [partitions // 2, partitions - partitions // 2]:
            return None
        if owned(first) | owned(second) != set(range(partitions)):
            return None
        found = first if 0 in owned(first) else second
        return found if found.log.rfind(LEADING) > found.log.rfind("standing by") else None

    second.wait_for("assigned [")
    wait_until(lambda: leader() is not None, "a single leader")
    found = leader()
    assert found is not None
    return found, second if found is first else first


def owned(instance: Instance) -> set[int]:
    """The partitions an instance was last known to own."""
    told = OWNED.findall(instance.log)
    return {int(number) for number in told[-1].split(",") if number.strip()} if told else set()


@BOTH_PROTOCOLS
def test_a_standby_takes_over_from_a_killed_leader(protocol: tuple[str, ...], new_run: RunFactory) -> None:
    run = new_run(2)
    made = made_records(20_000)
    feed = Feed(run.bootstrap, run.input, 2)
    feed.send(made[:10_000])
    with run.start("--from", "earliest", *protocol) as one:
        one.wait_for(LEADING)
        with run.start("--from", "earliest", *protocol) as other:
            leader, standby = led_by_one(2, one, other)
            wait_until(lambda: len(run.published()) > 5, "windows of the leader")
            took_over = standby.log.count(LEADING) + 1
            leader.kill()
            standby.wait_for(LEADING, took_over)
            before = len(run.published())
            feed.send(made[10_000:])
            wait_until(lambda: len(run.published()) > before, "windows of the standby")
            standby.signal(signal.SIGTERM)
            assert standby.wait(10) == 0
    run.until_end(*protocol)
    run.check()


def test_an_instance_that_joins_a_group_at_work_does_not_begin_anew(new_run: RunFactory) -> None:
    run = new_run(2)
    Feed(run.bootstrap, run.input, 2).send(made_records(2_000))
    with run.start("--from", "earliest", "--idle-timeout", "1s", *QUICK_GROUP) as one:
        # Everything is published and committed when the other one comes.
        wait_until(lambda: len(run.published()) >= 4, "the windows")
        with run.start("--from", "earliest", *QUICK_GROUP) as other:
            other.wait_for("is at work")
            one.kill()
            other.wait_for(LEADING)
            other.signal(signal.SIGTERM)
            assert other.wait(10) == 0
    run.until_end(*QUICK_GROUP)
    run.check()


@BOTH_PROTOCOLS
def test_a_leader_that_wakes_up_publishes_nothing(protocol: tuple[str, ...], new_run: RunFactory) -> None:
    run = new_run(2)
    made = made_records(20_000)
    feed = Feed(run.bootstrap, run.input, 2)
    feed.send(made[:10_000])
    with run.start(*protocol) as one:
        one.wait_for(LEADING)
        with run.start(*protocol) as other:
            leader, standby = led_by_one(2, one, other)
            wait_until(lambda: len(run.published()) > 5, "windows of the leader")
            took_over = standby.log.count(LEADING) + 1
            leader.signal(signal.SIGSTOP)
            try:
                before = len(run.published())
                feed.send(made[10_000:])
                standby.wait_for(LEADING, took_over)
                wait_until(lambda: len(run.published()) > before, "windows of the standby")
            finally:
                leader.signal(signal.SIGCONT)
            # Whoever leads in the end, the two of them go on as one.
            feed.send(made_records(5_000, seed=2, corrupt=0))
            for instance in (leader, standby):
                instance.signal(signal.SIGTERM)
                assert instance.wait(15) == 0, instance.log
    run.until_end(*protocol)
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
            leader, standby = led_by_one(1, one, other)
            leader.signal(signal.SIGTERM)
            assert leader.wait(10) == 0, leader.log
            assert standby.wait_for(LEADING, standby.log.count(LEADING) + 1, timeout_s=8) < 8
            feed.send(made[5_000:])
            standby.signal(signal.SIGTERM)
            assert standby.wait(10) == 0
    run.until_end()
    run.check()


def test_a_standby_that_owns_nothing_is_ready_with_the_consumer_protocol(new_run: RunFactory) -> None:
    """It is told nothing by the group, which raises the epoch of the leader."""
    run = new_run(1)
    made = made_records(10_000)
    feed = Feed(run.bootstrap, run.input)
    feed.send(made[:5_000])
    with run.start(*CONSUMER_GROUP) as leader:
        leader.wait_for("ready as leader")
        with run.start(*CONSUMER_GROUP) as standby:
            standby.wait_for("standing by")
            standby.wait_for("ready as standby")
            before = len(run.published())
            feed.send(made[5_000:])
            wait_until(lambda: len(run.published()) > before, "windows of the leader")
            leader.signal(signal.SIGTERM)
            assert leader.wait(10) == 0, leader.log
            standby.wait_for(LEADING)
            standby.signal(signal.SIGTERM)
            assert standby.wait(10) == 0
        assert leader.log.count(LEADING) == 1
        assert "standing by" not in leader.log
    run.until_end()
    run.check()


def test_the_protocol_changes_one_instance_after_the_other(new_run: RunFactory) -> None:
    run = new_run(2)
    made = made_records(10_000)
    feed = Feed(run.bootstrap, run.input, 2)
    feed.send(made[:5_000])
    with run.start(*QUICK_GROUP) as old:
        old.wait_for(LEADING)
        with run.start(*CONSUMER_GROUP) as new:
            new.wait_for("ready as")
            old.signal(signal.SIGTERM)
            assert old.wait(10) == 0, old.log
            new.wait_for(LEADING)
            feed.send(made[5_000:])
            wait_until(lambda: len(run.published()) > 5, "windows")
            new.signal(signal.SIGTERM)
            assert new.wait(10) == 0
    run.until_end(*QUICK_GROUP)
    run.check()
