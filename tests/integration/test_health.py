"""Alive and ready, as told from outside about runs on real Kafka."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.integration.conftest import RunFactory
from tests.support.broker import Broker
from tests.support.health import address, ask, wait_for_reasons
from tests.support.instances import READY_S, Instance, wait_until
from tests.support.pipeline import Feed, Run, made_records

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

SERVED = ("--http", "127.0.0.1:0")
PATIENT_GROUP = ("-X", "session.timeout.ms=45000")
"""A member that sleeps stays a member, and all others wait for it."""
LONG_S = 150
"""For what takes several time-outs of Kafka's clients, one after the other."""


def health(instance: Instance, *flags: str) -> subprocess.CompletedProcess[str]:
    """``streamagg health`` as a container would call it."""
    return subprocess.run(
        [sys.executable, "-m", "streamagg", "health", *flags],
        env={**os.environ, "STREAMAGG_HTTP": address(instance)},
        capture_output=True,
        text=True,
        timeout=READY_S,
        check=False,
    )


def test_a_standby_is_ready_and_a_newcomer_is_not(new_run: RunFactory) -> None:
    run = new_run(1)
    with run.start(*SERVED, *PATIENT_GROUP) as leader:
        wait_for_reasons(leader)
        leader.signal(signal.SIGSTOP)
        with run.start(*SERVED, *PATIENT_GROUP) as other:
            wait_for_reasons(other, "not in the consumer group")
            assert ask(other, "/livez") == (200, [])
            asked = health(other, "--ready")
            assert (asked.returncode, asked.stdout) == (1, "not ready: not in the consumer group\n")
            leader.signal(signal.SIGCONT)
            wait_for_reasons(other)
            assert health(other, "--ready").stdout == "ready\n"
            wait_for_reasons(leader)
            log = leader.log + other.log
            assert log.count("standing by") == 1
            for instance in (leader, other):
                instance.signal(signal.SIGTERM)
            assert {leader.wait(), other.wait()} == {0}


def test_a_worker_that_stands_still_is_no_reason_to_be_killed_but_not_ready(new_run: RunFactory) -> None:
    run = new_run(1)
    with run.start(*SERVED, "--unmarshallers", "1", "--aggregators", "1") as instance:
        wait_for_reasons(instance)
        (worker,) = instance.workers("aggregator")
        os.kill(worker, signal.SIGSTOP)
        try:
            wait_for_reasons(instance, "aggregator-0 does not answer")
            assert ask(instance, "/livez") == (200, [])
            assert health(instance).returncode == 0
        finally:
            os.kill(worker, signal.SIGCONT)
        wait_for_reasons(instance)
        instance.signal(signal.SIGTERM)
        assert instance.wait() == 0


@pytest.mark.parametrize("how", ["killed", "frozen"])
def test_a_run_is_alive_while_kafka_is_away(
    own_broker: Broker, tmp_path_factory: pytest.TempPathFactory, how: str
) -> None:
    """Through all the time-outs that it meets with, again and again; and ready again afterwards."""
    run = Run(own_broker.address, "in", "out", tmp_path_factory.mktemp("runs"))
    client = AdminClient({"bootstrap.servers": own_broker.address})
    client.create_topics([NewTopic("in", 2, 1)])["in"].result(READY_S)
    Feed(own_broker.address, "in", 2).send(made_records(5_000))
    with run.start(*SERVED, "--idle-timeout", "1s") as instance:
        wait_for_reasons(instance)
        wait_until(lambda: len(run.published()) > 2, "windows")
        if how == "frozen":
            own_broker.pause()
        else:
            own_broker.kill()
        lives: list[tuple[int, list[str]]] = []
        unready: set[str] = set()

        def tried_again_and_again() -> bool:
            lives.append(ask(instance, "/livez"))
            unready.update(ask(instance, "/readyz")[1])
            # One that does not lead any more tries to get into the group, which is tested elsewhere.
            return len(unready) > 0 and instance.log.count("no broker answers") + tries(instance) > 1

        wait_until(tried_again_and_again, "attempts without Kafka", LONG_S)
        assert set(map(tuple_of, lives)) == {(200, ())}
        if how == "frozen":
            own_broker.resume()
        else:
            own_broker.start_again()
        wait_for_reasons(instance, timeout_s=LONG_S)
        instance.signal(signal.SIGTERM)
        assert instance.wait() == 0, instance.log


def tries(instance: Instance) -> int:
    """How often a run has begun to wait for Kafka."""
    return instance.log.count("trying again in")


def tuple_of(answer: tuple[int, list[str]]) -> tuple[int, tuple[str, ...]]:
    """The same, hashable."""
    return answer[0], tuple(answer[1])


def test_systemd_hears_of_start_pulse_and_end(new_run: RunFactory, tmp_path: Path) -> None:
    run = new_run(1)
    name = str(tmp_path / "notify")
    heard: list[str] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(name)
        systemd.settimeout(READY_S)

        def hear(line: str, times: int = 1) -> None:
            while heard.count(line) < times:
                heard.append(systemd.recv(4096).decode())

        with run.start(env={"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "1000000"}) as instance:
            hear("READY=1")
            hear("STATUS=leader")
            hear("WATCHDOG=1", 5)
            instance.signal(signal.SIGTERM)
            hear("STOPPING=1")
            assert instance.wait() == 0
    assert heard.count("READY=1") == 1
    assert "STOPPING=1" not in heard[:-1]
