"""Instances of one group that come, go, fall asleep and wake up."""

import signal
import time
from random import Random
from typing import Final

from tests.chaos.faults.processes import drawn_points, fault, wait_a_moment
from tests.chaos.scenario import Scenario
from tests.chaos.world import World
from tests.support.instances import Instance, stopped

CHURN_S: Final = 4.0
"""An instance comes or goes so often."""
MOST: Final = 3
MAX_POLL_MS: Final = 4_000
HANG_S: Final = 9.0


def churn(world: World, random: Random) -> int:
    """Join, leave in good order, die; there is always one."""
    changes = 4 if world.quick else 15
    world.start_instance()
    world.wait_for_windows()
    for _ in range(changes):
        running = world.running
        leaves = len(running) >= MOST or (len(running) > 1 and random.random() < 0.5)
        if leaves:
            leave(random.choice(running), random)
        else:
            world.start_instance()
        time.sleep(CHURN_S)
    world.recovered()
    return changes


def leave(instance: Instance, random: Random) -> None:
    """In good order, or dead; the frame looks at how it ended."""
    if random.random() < 0.5:
        instance.kill()
    else:
        instance.signal(signal.SIGTERM)
        instance.wait()


def zombie_leader(world: World, random: Random) -> int:
    """The leader sleeps until its standby has published, and wakes up; then the other one."""
    times = 1 if world.quick else 4
    world.start_instance()
    world.start_instance()
    for _ in range(times):
        wait_a_moment(world, random)
        leader = world.wait_for_leader()
        leader.signal(signal.SIGSTOP)
        try:
            world.recovered()
        finally:
            leader.signal(signal.SIGCONT)
        world.wait_for_windows(2)
    return times


def zombie_at_points(world: World, random: Random) -> int:
    """The leader falls asleep between two steps of a publication, and wakes up when another one leads."""
    points = drawn_points(world, random)
    for point in points:
        sleeper = world.start_instance(env=fault(f"{point}:0.5:stop", random))
        world.wait_until(lambda one=sleeper: stopped(one.pid), f"asleep {point}")  # type: ignore[misc]
        standby = world.start_instance()
        world.recovered()
        sleeper.signal(signal.SIGCONT)
        world.wait_for_windows(3)
        for instance in (sleeper, standby):
            instance.kill()
    return len(points)


def twins(world: World, random: Random) -> int:
    """Two instances that call themselves the same start at once; static membership is refused."""
    times = 2 if world.quick else 4
    for _ in range(times):
        pair = [world.start_instance("-X", "client.id=twin") for _ in range(2)]
        wait_a_moment(world, random)
        random.choice(pair).kill()
        world.recovered()
        for instance in world.running:
            instance.kill()
    refused = world.start_instance("-X", "group.instance.id=twin")
    assert refused.wait() == 2, refused.log
    world.expected_ends[refused.pid] = 2
    assert "group.instance.id" in refused.log
    return times + 1


def max_poll_exceeded(world: World, random: Random) -> int:
    """The main thread hangs while the client's own thread keeps the session alive."""
    times = 1 if world.quick else 3
    limits = ("-X", f"max.poll.interval.ms={MAX_POLL_MS}")
    for _ in range(times):
        hanging = world.start_instance(*limits, env=fault(f"before-free:0.5:{HANG_S}", random))
        hanging.wait_for("breaking at before-free", timeout_s=90)
        standby = world.start_instance(*limits)
        # The group gives the partitions away before the hanging one knows.
        standby.wait_for("leading:", timeout_s=90)
        world.recovered()
        world.wait_for_windows(3)
        for instance in (hanging, standby):
            instance.kill()
    return times


SCENARIOS = (
    Scenario("churn", f"instances join and leave every {CHURN_S:g} s", churn),
    Scenario("zombie-leader", "the leader sleeps, a standby leads, it wakes up", zombie_leader, quick=True),
    Scenario("zombie-at-points", "the same at named points of a publication", zombie_at_points),
    Scenario("twins", "the same instance twice", twins),
    Scenario("max-poll", "max.poll.interval.ms exceeded", max_poll_exceeded),
)
