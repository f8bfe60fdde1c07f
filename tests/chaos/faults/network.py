"""The network between streamagg and its broker: slow, cut, half-open, narrow."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from tests.chaos.faults.broker import BUDGET, NOT_IDLE, bring_back
from tests.chaos.proxy import Network, Proxy
from tests.chaos.scenario import Scenario
from tests.chaos.shape import Shape
from tests.chaos.world import World
from tests.support.broker import HOST, Broker, free_port

CALM: Final = Network()
COMMITTING: Final = "breaking at before-commit"
SLOW_MS: Final = (50, 400)
NARROW_BYTES_PER_S: Final = 8_000
"""Less than what the feeder sends into a partition."""


@dataclass(frozen=True, slots=True)
class Proxied:
    """A broker with two listeners: the one that streamagg is given leads through a proxy."""

    broker: Broker
    proxy: Proxy

    @property
    def address(self) -> str:
        return f"{HOST}:{self.proxy.port}"

    @property
    def direct(self) -> str:
        return self.broker.address


@contextmanager
def proxied(directory: Path) -> Iterator[Proxied]:
    """Whoever asks through the proxy is sent to the proxy."""
    behind = free_port()
    with Proxy(behind) as proxy:
        broker = Broker(directory, small=True, properties=_listeners(behind, proxy.port))
        try:
            yield Proxied(broker.start(), proxy)
        finally:
            broker.kill()


def _listeners(behind: int, proxy: int) -> dict[str, str]:
    plain = f"PLAINTEXT://{HOST}:{{port}}"
    return {
        "listeners": f"{plain},PROXIED://{HOST}:{behind},CONTROLLER://{HOST}:{{controller_port}}",
        "advertised.listeners": f"{plain},PROXIED://{HOST}:{proxy}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT",
    }


def proxy_of(world: World) -> Proxy:
    """The proxy of the world."""
    assert isinstance(world.site, Proxied)
    return world.site.proxy


def delay(world: World, random: Random) -> int:
    """Every packet comes later, by another time in each round."""
    times = 2 if world.quick else 5
    world.start_instance()
    for _ in range(times):
        world.wait_for_windows(1)
        proxy_of(world).become(Network(delay_ms=random.randint(*SLOW_MS)))
        # It goes on working meanwhile.
        world.wait_for_windows(3)
        proxy_of(world).become(CALM)
        world.recovered()
    return times


def cut(world: World, random: Random) -> int:
    """All connections break, and break again before much can have happened."""
    times = 5 if world.quick else 15
    world.start_instance()
    for _ in range(times):
        world.wait_for_windows(1)
        for _ in range(random.randint(1, 4)):
            proxy_of(world).cut()
            time.sleep(random.uniform(0, 0.5))
        world.recovered()
    return times


def strand(world: World, random: Random) -> int:
    """The broker's side of every connection is gone, and streamagg is not told."""
    times = 1 if world.quick else 3
    world.start_instance()
    for _ in range(times):
        world.wait_for_windows(random.randint(1, 3))
        proxy_of(world).strand()
        world.recovered()
    return times


def hold(world: World, random: Random) -> int:
    """Nothing passes in one direction, then nothing in the other, then nothing at all."""
    ways: list[Network] = [
        Network(held=frozenset({"down"})),
        Network(held=frozenset({"up"})),
        Network(held=frozenset({"up", "down"})),
    ]
    world.start_instance()
    for network in ways:
        world.wait_for_windows(random.randint(1, 3))
        proxy_of(world).become(network)
        time.sleep(random.uniform(5, 8) if world.quick else random.uniform(10, 30))
        proxy_of(world).become(CALM)
        world.recovered()
    return len(ways)


def throttle(world: World, random: Random) -> int:
    """So narrow that the backlog grows."""
    times = 1 if world.quick else 3
    world.start_instance()
    for _ in range(times):
        world.wait_for_windows(random.randint(1, 3))
        proxy_of(world).become(Network(bytes_per_s=NARROW_BYTES_PER_S))
        time.sleep(10)
        proxy_of(world).become(CALM)
        world.recovered()
    return times


def kill_broker_in_commit(world: World, random: Random) -> int:
    """The broker dies when it has the commit, and the answer is on its way."""
    assert isinstance(world.site, Proxied)
    times = 2 if world.quick else 5
    instance = world.start_instance(*BUDGET, env={"STREAMAGG_FAULT": "before-commit:1:0.5"})
    for _ in range(times):
        world.wait_for_windows(random.randint(1, 3))
        commits = instance.log.count(COMMITTING)
        instance.wait_for(COMMITTING, commits + 1)
        proxy_of(world).become(Network(held=frozenset({"down"})))
        # Everybody sees the windows, but who published them.
        world.wait_for_windows(1)
        world.site.broker.kill()
        proxy_of(world).become(CALM)
        bring_back(world.site.broker)
        world.recovered()
    return times


SCENARIOS = (
    Scenario(
        "broker-kill-commit",
        "SIGKILL of the broker between a commit and its answer",
        kill_broker_in_commit,
        NOT_IDLE,
        proxied,
        quick=True,
    ),
    Scenario("network-delay", "packets delayed by 50-400 ms", delay, site=proxied),
    Scenario("network-cut", "connections cut", cut, site=proxied, quick=True),
    Scenario("network-strand", "connections half-open: the broker's side gone", strand, site=proxied),
    Scenario("network-hold", "one direction, or both, pass nothing for 10-30 s", hold, site=proxied),
    Scenario("network-throttle", "throttled below the rate of the input", throttle, Shape(), proxied),
)
