"""Periods of calendars, and the state topic that they outlive a start in, while things break."""

import signal
from random import Random
from typing import Final

from streamagg.model.settings import CalendarSettings
from tests.chaos.faults.group import zombie_at_points, zombie_leader
from tests.chaos.faults.processes import drawn_points, fault, kill_anything, wait_a_moment
from tests.chaos.faults.topics import delete, judge_published, refused
from tests.chaos.scenario import Scenario
from tests.chaos.shape import Shape
from tests.chaos.world import World

PERIODS: Final = Shape(
    calendars=(
        CalendarSettings("5s", 5_000),
        CalendarSettings("20s", 20_000),
        CalendarSettings("1m", 60_000),
    )
)
"""There are always some open, with windows that are not in the log behind the checkpoint any more."""

TWO_MINUTES: Final = CalendarSettings("2m", 120_000)
CROWD: Final = Shape(users=1_000_000, rate=10_000, calendars=(TWO_MINUTES,))
LARGE: Final = 300_000
"""Records, and about as many users, in the state of the period before the first restart."""
PERIOD_S: Final = 200.0
"""Until it is out at the latest."""


def rolling_restart(world: World, random: Random) -> int:
    """A new version in mid-period: a newcomer stands by, and the leader is told to end."""
    times = 2 if world.quick else 4
    world.start_instance(*aggregators(random))
    first = world.feeder.sent
    world.wait_until(lambda: world.feeder.sent > first + LARGE, "a large state")
    open_ms = world.feeder.now_ms // TWO_MINUTES.length_ms * TWO_MINUTES.length_ms
    for _ in range(times):
        leaving = world.wait_for_leader()
        world.start_instance(*aggregators(random)).wait_for("standing by", timeout_s=90)
        leaving.signal(signal.SIGTERM)
        leaving.wait()
        world.recovered()
    key = f"{TWO_MINUTES.name} {open_ms // 1_000}".encode()
    world.wait_until(lambda: key in world.watch.seen, "the period that has seen it all", PERIOD_S)
    return times


def kill_at_points(world: World, random: Random) -> int:
    """Dead between two steps of a publication; whoever comes next has another number of aggregators."""
    points = drawn_points(world, random)
    for point in points:
        dying = world.start_instance(*aggregators(random), env=fault(f"{point}:0.5", random))
        world.wait_until(lambda one=dying: not one.running, f"a death {point}")  # type: ignore[misc]
        assert f"breaking at {point}" in dying.log, dying.log[-1_000:]
        successor = world.start_instance(*aggregators(random))
        world.recovered()
        successor.kill()
    return len(points)


def aggregators(random: Random) -> tuple[str, str]:
    """A number of them."""
    return "--aggregators", str(random.randint(1, 4))


def state_topic(world: World) -> str:
    """Its name."""
    return f"{world.run.output}.{world.run.output}.state"


def delete_state_running(world: World, random: Random) -> int:
    """The leader notices before it publishes again; so does the next one, which finds an empty topic."""
    instance = world.start_instance()
    wait_a_moment(world, random)
    delete(world, state_topic(world))
    refused(world, instance, state_topic(world))
    refused(world, world.start_instance(), "the state topic does not say what open periods hold")
    return 2


def delete_state_stopped(world: World, random: Random) -> int:
    """Nobody can count the open periods any more."""
    instance = world.start_instance()
    wait_a_moment(world, random)
    instance.kill()
    delete(world, state_topic(world))
    refused(world, world.start_instance(), "the state topic does not say what open periods hold")
    return 1


SCENARIOS = (
    Scenario(
        "periods-kill-at-points", "calendars: SIGKILL at named points, other shards", kill_at_points, PERIODS
    ),
    Scenario("periods-kill-anything", "calendars: SIGKILL of anything at any time", kill_anything, PERIODS),
    Scenario("periods-zombie-leader", "calendars: the leader sleeps and wakes up", zombie_leader, PERIODS),
    Scenario("periods-zombie-at-points", "calendars: the same at named points", zombie_at_points, PERIODS),
    Scenario(
        "periods-rolling-restart",
        "calendars: a rolling restart in mid-period, 300,000 users",
        rolling_restart,
        CROWD,
    ),
    Scenario(
        "periods-state-deleted-running",
        "calendars: state topic deleted under a run: refused",
        delete_state_running,
        PERIODS,
        judge=judge_published,
    ),
    Scenario(
        "periods-state-deleted-stopped",
        "calendars: state topic deleted while stopped: refused",
        delete_state_stopped,
        PERIODS,
        judge=judge_published,
    ),
)
