"""The wall clock of streamagg is set while it runs; event time and the broker keep the true time."""

import signal
import time
from random import Random
from typing import Final

from streamagg.errors import ExitCode
from tests.chaos.clock.shifted import ShiftedClock
from tests.chaos.faults.processes import wait_a_moment
from tests.chaos.scenario import Scenario
from tests.chaos.shape import Shape
from tests.chaos.world import World
from tests.support.instances import Instance

HOUR_S: Final = 3_600
SETTINGS_S: Final = (HOUR_S, 0, -HOUR_S, 0)
"""How far the clock is ahead, one after the other."""
SESSION_S: Final = 6.0
"""Longer than a member of the group may be silent."""
STUCK_S: Final = 35.0
"""Longer than a worker may be silent."""
END_S: Final = 20.0
REFUSED: Final = "check the clock of this machine"


def clock_set(world: World, random: Random) -> int:
    """An hour forth, back, back again and forth; set back once more just before the end."""
    clock = ShiftedClock(world.directory)
    instance = world.start_instance(env=clock.env)
    settings_s = SETTINGS_S[:2] if world.quick else SETTINGS_S
    for ahead_s in settings_s:
        wait_a_moment(world, random)
        joined = assignments(instance)
        clock.set(ahead_s)
        world.recovered()
        # Waits that are lengthened by an hour show when the next heartbeat is due.
        time.sleep(SESSION_S)
        world.wait_for_windows()
        assert assignments(instance) == joined, "the group took it for dead"
    assert "starting again" not in instance.log, "a session was lost to the clock"
    clock.set(-HOUR_S)
    instance.signal(signal.SIGTERM)
    assert instance.wait(END_S) == ExitCode.OK
    return len(settings_s) + 1


def standby_set_back(world: World, random: Random) -> int:
    """Leader and standby on one machine whose clock is set back: both stay, and the standby takes over."""
    clock = ShiftedClock(world.directory)
    for _ in range(2):
        world.start_instance(env=clock.env)
    world.wait_until(lambda: all(map(assignments, world.instances)), "two members")
    wait_a_moment(world, random)
    time.sleep(SESSION_S)
    joined = [assignments(instance) for instance in world.instances]
    clock.set(-HOUR_S)
    time.sleep(SESSION_S)
    assert [assignments(instance) for instance in world.instances] == joined, "the group took one for dead"
    world.wait_for_leader().kill()
    world.recovered()
    return 1


def quiet_set_back(world: World, random: Random) -> int:
    """Nothing comes while the clock is set back, so that nothing ends a worker's wait for a record."""
    clock = ShiftedClock(world.directory)
    instance = world.start_instance(env=clock.env)
    wait_a_moment(world, random)
    workers = instance.workers()
    world.feeder.pause()
    world.feeder.flush()
    time.sleep(1)
    clock.set(-HOUR_S)
    time.sleep(STUCK_S)
    assert instance.workers() == workers, "a worker was taken for stuck"
    world.feeder.resume()
    world.recovered()
    assert "starting again" not in instance.log, "a session was lost to the clock"
    return 1


def far_ahead(world: World, random: Random) -> int:
    """The broker takes no record from more than an hour ahead; all goes on once the clock is right again."""
    # Not a restart may be spent on it: the clock is no fault of the run.
    return ahead_and_back(world, random, "--max-restarts", "0")


def far_ahead_with_letters(world: World, random: Random) -> int:
    """The same when unmarshallers write too; the clock may be set back while they wait for the broker."""
    # Two that are stuck each time may be replaced, and those that have said why they end.
    return ahead_and_back(
        world, random, "--max-restarts", "8", "--dead-letter", f"{world.run.output}-rejected"
    )


def ahead_and_back(world: World, random: Random, *flags: str) -> int:
    """Two hours ahead until that was told twice, and back."""
    clock = ShiftedClock(world.directory)
    times = 1 if world.quick else 3
    instance = world.start_instance(*flags, env=clock.env)
    for _ in range(times):
        wait_a_moment(world, random)
        told = instance.log.count(REFUSED)
        clock.set(2 * HOUR_S)
        instance.wait_for(REFUSED, told + 2)
        time.sleep(random.uniform(0, 2))
        clock.set(0)
        world.recovered()
    return times


def assignments(instance: Instance) -> int:
    """How often the group has given it partitions."""
    return instance.log.count("assigned [")


LONG: Final = Shape(idle_timeout_s=300)
SCENARIOS = (
    Scenario("clock-set", "the clock set an hour forth and back", clock_set, shape=LONG),
    Scenario("clock-set-two", "the clock of leader and standby set back", standby_set_back, shape=LONG),
    Scenario("clock-set-quiet", "the clock set back while nothing comes", quiet_set_back, shape=LONG),
    Scenario("clock-far-ahead", "the clock two hours ahead of the broker's", far_ahead, shape=LONG),
    Scenario(
        "clock-far-ahead-letters",
        "the same, with a dead-letter topic",
        far_ahead_with_letters,
        shape=LONG,
    ),
)
