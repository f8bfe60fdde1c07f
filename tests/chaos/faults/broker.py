"""The broker restarts, dies, freezes; of three brokers the one that coordinates is lost."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from tests.chaos.cluster import Cluster, Role
from tests.chaos.scenario import Scenario
from tests.chaos.shape import Shape
from tests.chaos.sites import OneBroker, one_broker
from tests.chaos.world import World
from tests.support.broker import Broker, BrokerFailed

NOT_IDLE: Final = Shape(idle_timeout_s=300)
"""Without a broker no record reaches the log, and that must not pass for silence."""
BUDGET: Final = ("--max-restarts", "3")
"""Small: what happens to a broker is no reason to give up."""


@dataclass(frozen=True, slots=True)
class ThreeBrokers:
    """A cluster, and nothing between it and its clients."""

    cluster: Cluster

    @property
    def address(self) -> str:
        return self.cluster.address

    @property
    def direct(self) -> str:
        return self.cluster.address


@contextmanager
def three_brokers(directory: Path) -> Iterator[ThreeBrokers]:
    """Each a small one."""
    with Cluster(directory) as cluster:
        yield ThreeBrokers(cluster)


def broker_of(world: World) -> Broker:
    """The only broker of the world."""
    assert isinstance(world.site, OneBroker)
    return world.site.broker


def bring_back(broker: Broker) -> None:
    """Clients that look for the lost broker may hold its port for a moment, by connecting to themselves."""
    deadline = time.monotonic() + 60
    while True:
        with suppress(BrokerFailed):
            broker.start()
            return
        assert time.monotonic() < deadline, f"the broker does not come back, see {broker.log}"
        time.sleep(0.2)


def restart(world: World, random: Random) -> int:
    """SIGTERM, and a start."""
    times = 1 if world.quick else 3
    world.start_instance(*BUDGET)
    for _ in range(times):
        world.wait_for_windows(random.randint(1, 3))
        broker_of(world).stop()
        bring_back(broker_of(world))
        world.recovered()
    return times


def kill(world: World, random: Random) -> int:
    """SIGKILL, as a power cut."""
    times = 2 if world.quick else 5
    world.start_instance(*BUDGET)
    for _ in range(times):
        world.wait_for_windows(random.randint(1, 3))
        time.sleep(random.uniform(0, 1))
        broker_of(world).kill()
        bring_back(broker_of(world))
        world.recovered()
    return times


def freeze(world: World, random: Random) -> int:
    """SIGSTOP: connections stay open and nothing answers."""
    world.start_instance(*BUDGET)
    world.wait_for_windows(random.randint(1, 3))
    broker_of(world).pause()
    time.sleep(20 if world.quick else 60)
    broker_of(world).resume()
    world.recovered()
    return 1


def thaw(world: World, random: Random) -> int:
    """Frozen for longer than its session, a broker may tell its clients of a cluster without brokers."""
    times = 1 if world.quick else 5
    world.start_instance(*BUDGET)
    for _ in range(times):
        world.wait_for_windows(random.randint(1, 3))
        broker_of(world).pause()
        time.sleep(random.uniform(10, 15))
        broker_of(world).resume()
        world.recovered()
    return times


def lose_coordinators(world: World, random: Random) -> int:
    """The node that coordinates the group is killed, then the one that coordinates the transactions."""
    assert isinstance(world.site, ThreeBrokers)
    cluster = world.site.cluster
    run = world.run
    group = run.group or run.output
    roles: list[tuple[Role, str]] = [("group", group), ("transaction", f"streamagg-{group}-{run.input}")]
    rounds = 1 if world.quick else 2
    world.start_instance(*BUDGET)
    for role, name in roles * rounds:
        world.wait_for_windows(random.randint(1, 3))
        node = cluster.coordinator(role, name)
        assert node is not None
        cluster.nodes[node].kill()
        world.recovered()
        cluster.restart(node)
    return len(roles) * rounds


SCENARIOS = (
    Scenario("broker-restart", "broker restarted", restart, NOT_IDLE, one_broker),
    Scenario("broker-kill", "SIGKILL of the broker", kill, NOT_IDLE, one_broker, quick=True),
    Scenario(
        "broker-freeze", "broker frozen for a minute (20 s in short runs)", freeze, NOT_IDLE, one_broker
    ),
    Scenario("broker-thaw", "broker frozen for 10 to 15 s, again and again", thaw, NOT_IDLE, one_broker),
    Scenario(
        "cluster-coordinators",
        "3 brokers: group and transaction coordinator lost in turn",
        lose_coordinators,
        NOT_IDLE,
        three_brokers,
    ),
)
