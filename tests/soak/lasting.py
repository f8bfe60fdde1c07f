"""A world of one instance that lasts, hit by the faults of the chaos frame in turn."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Final

from tests.chaos.faults import scenarios
from tests.chaos.scenario import Scenario
from tests.chaos.shape import Shape
from tests.chaos.sites import OneBroker
from tests.chaos.world import World
from tests.support.instances import Instance

KILLING: Final = ("kill-unmarshaller", "kill-aggregator")
SPARING: Final = ("stop-unmarshaller", "stop-aggregator", "broker-restart", "broker-kill", "broker-freeze")
"""These leave every process of streamagg as it is: what grows in one that lives on would be seen.

The coordinator is never killed here, for the same reason; ``make chaos`` does it.
"""
ROLES: Final = ("unmarshaller", "aggregator")
WORKERS: Final = 2
"""Of each role, as the frame starts them."""


class Lasting(World):
    """Scenarios that start an instance get the one that runs."""

    def start_instance(self, *flags: str, env: Mapping[str, str] | None = None) -> Instance:
        """The running instance; flags count only for a first one."""
        running = self.running
        return running[0] if running else super().start_instance("--http", "0", *flags, env=env)


def lasting_world(site: OneBroker, directory: Path, rate: int, random: Random) -> Lasting:
    """Records come at ``rate`` a second; faults are as short as the frame has them."""
    # A broker that is away or frozen keeps records from the log, and that must not pass for silence.
    shape = Shape(rate=rate, idle_timeout_s=300)
    return Lasting(site, directory, shape, random, quick=True)


def deck(names: Sequence[str], random: Random) -> list[Scenario]:
    """The scenarios of these names, shuffled.

    Raises KeyError when the frame has none of a name.
    """
    found = {scenario.name: scenario for scenario in scenarios()}
    drawn = [found[name] for name in names]
    random.shuffle(drawn)
    return drawn


def broker_pid(world: World) -> int | None:
    """None while there is no broker."""
    assert isinstance(world.site, OneBroker)
    return world.site.broker.pid()


def workers_by_name(instance: Instance) -> dict[str, int]:
    """Process ids of the living workers, by the names of the log."""
    names = [f"{role}-{number}" for role in ROLES for number in range(WORKERS)]
    living = {name: instance.workers(name) for name in names}
    return {name: pids[-1] for name, pids in living.items() if pids}
