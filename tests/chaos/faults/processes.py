"""Processes of streamagg that are killed, or sleep."""

import os
import signal
import time
from collections.abc import Callable
from random import Random
from typing import Final

from streamagg.faults import POINTS
from tests.chaos.scenario import Scenario
from tests.chaos.world import World
from tests.support.instances import Instance

TRANSACTION_S: Final = 14.0
"""Longer than a session and longer than a transaction may take."""
STUCK_S: Final = 32.0
"""Longer than a worker may be silent."""


def kill_coordinator(world: World, random: Random) -> int:
    """Its workers end by themselves, and a service manager starts it again."""
    times = 2 if world.quick else 5
    for _ in range(times):
        instance = world.start_instance()
        wait_a_moment(world, random)
        assert instance.workers(), "no workers are known"
        instance.signal(signal.SIGKILL)
        instance.wait()
        world.wait_until(lambda one=instance: not one.workers(), "the end of the orphans", 20)  # type: ignore[misc]
        world.start_instance()
        world.recovered()
        world.running[0].kill()
    return times


def kill_workers(kind: str) -> Callable[[World, Random], int]:
    """SIGKILL of one worker of a kind after the other."""

    def run(world: World, random: Random) -> int:
        times = 2 if world.quick else 6
        instance = world.start_instance()
        for _ in range(times):
            wait_a_moment(world, random)
            kill_one(world, instance, kind, random)
            world.recovered()
        return times

    return run


def kill_all(world: World, random: Random) -> int:
    """SIGKILL of the whole process group, as a power cut or an out-of-memory kill of a container."""
    times = 2 if world.quick else 6
    for _ in range(times):
        instance = world.start_instance()
        wait_a_moment(world, random)
        instance.kill()
        world.start_instance()
        world.recovered()
        world.running[0].kill()
    return times


def kill_anything(world: World, random: Random) -> int:
    """Whoever it hits, whenever it is: also while the last one is still recovering."""
    times = 6 if world.quick else 20
    world.start_instance()
    world.wait_for_windows()
    for _ in range(times):
        time.sleep(random.uniform(0, 4))
        instance = world.running[0] if world.running else world.start_instance()
        kind = random.choice(["unmarshaller", "aggregator", "coordinator", "all"])
        if kind == "all":
            instance.kill()
        elif kind == "coordinator":
            instance.signal(signal.SIGKILL)
            instance.wait()
        else:
            kill_one(world, instance, kind, random)
        if not world.running:
            world.start_instance()
    world.recovered()
    return times


def kill_at_points(world: World, random: Random) -> int:
    """Dead between two steps of a publication, once for each step."""
    points = drawn_points(world, random)
    for point in points:
        dying = world.start_instance(env=fault(f"{point}:0.5", random))
        world.wait_until(lambda one=dying: not one.running, f"a death {point}")  # type: ignore[misc]
        assert f"breaking at {point}" in dying.log, dying.log[-1_000:]
        successor = world.start_instance()
        world.recovered()
        successor.kill()
    return len(points)


def stop_coordinator(world: World, random: Random) -> int:
    """Asleep for longer than session and transaction last; there is no standby."""
    times = 1 if world.quick else 3
    instance = world.start_instance()
    for _ in range(times):
        wait_a_moment(world, random)
        sleep_of(instance.pid, TRANSACTION_S)
        world.recovered()
    return times


def stop_workers(kind: str, seconds: float) -> Callable[[World, Random], int]:
    """SIGSTOP of a worker, then SIGCONT: it goes on, or was replaced meanwhile."""

    def run(world: World, random: Random) -> int:
        instance = world.start_instance()
        wait_a_moment(world, random)
        victim = random.choice(instance.workers(kind))
        if seconds < STUCK_S:
            sleep_of(victim, seconds)
            assert victim in instance.workers(kind), "a short sleep is no death"
        else:
            os.kill(victim, signal.SIGSTOP)
            instance.wait_for(f"(process {victim}) is stuck", timeout_s=3 * seconds)
            world.wait_until(lambda: victim not in instance.workers(kind), "the end of the stuck worker")
        world.recovered()
        return 1

    return run


def hang_before_commit(world: World, random: Random) -> int:
    """The publishing thread hangs with a transaction open until the broker has aborted it."""
    times = 1 if world.quick else 2
    for _ in range(times):
        instance = world.start_instance(env=fault(f"before-commit:0.1:{TRANSACTION_S:g}", random))
        instance.wait_for("breaking at before-commit", timeout_s=120)
        time.sleep(TRANSACTION_S)
        world.recovered(timeout_s=150)
        instance.kill()
    return times


def wait_a_moment(world: World, random: Random) -> None:
    """Until something is published, and then any part of a window: the moment is what is drawn."""
    world.wait_for_windows(random.randint(1, 2))
    time.sleep(random.uniform(0, 1))


def kill_one(world: World, instance: Instance, kind: str, random: Random) -> None:
    """SIGKILL of a worker; one that was replaced a moment ago may not be there yet."""
    world.wait_until(lambda: bool(instance.workers(kind)), f"a living {kind}")
    os.kill(random.choice(instance.workers(kind)), signal.SIGKILL)


def sleep_of(pid: int, seconds: float) -> None:
    """SIGSTOP, and SIGCONT so much later."""
    os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(seconds)
    finally:
        os.kill(pid, signal.SIGCONT)


def drawn_points(world: World, random: Random) -> list[str]:
    """The steps of a publication, in random order."""
    points = list(POINTS)
    random.shuffle(points)
    return points[:2] if world.quick else points


def fault(what: str, random: Random) -> dict[str, str]:
    """The variable that makes an instance break itself, the same every time."""
    return {"STREAMAGG_FAULT": f"{what},seed:{random.randrange(1 << 32)}"}


SCENARIOS = (
    Scenario("kill-coordinator", "SIGKILL of the coordinator; no orphans", kill_coordinator, quick=True),
    Scenario("kill-unmarshaller", "SIGKILL of an unmarshaller", kill_workers("unmarshaller"), quick=True),
    Scenario("kill-aggregator", "SIGKILL of an aggregator", kill_workers("aggregator"), quick=True),
    Scenario("kill-all", "SIGKILL of all processes at once", kill_all),
    Scenario("kill-anything", "SIGKILL of anything at any time", kill_anything),
    Scenario("kill-at-points", "SIGKILL at named points of a publication", kill_at_points, quick=True),
    Scenario("stop-coordinator", f"SIGSTOP of the coordinator for {TRANSACTION_S:g} s", stop_coordinator),
    Scenario("stop-unmarshaller", "SIGSTOP of an unmarshaller for 8 s", stop_workers("unmarshaller", 8)),
    Scenario("stop-aggregator", "SIGSTOP of an aggregator for 8 s", stop_workers("aggregator", 8)),
    Scenario("stuck-unmarshaller", "an unmarshaller asleep for good", stop_workers("unmarshaller", STUCK_S)),
    Scenario("stuck-aggregator", "an aggregator asleep for good", stop_workers("aggregator", STUCK_S)),
    Scenario("hang-before-commit", "a commit after the broker gave the transaction up", hang_before_commit),
)
