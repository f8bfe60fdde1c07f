"""More records, more users, and more distance between partitions than usual."""

import time
from pathlib import Path
from random import Random
from typing import Any, Final

import orjson

from streamagg.errors import ExitCode
from streamagg.model.settings import SKETCH_USERS, CeilingSettings
from streamagg.tools.recount import counted_users
from tests.chaos.faults.processes import kill_one
from tests.chaos.outcome import Verdict
from tests.chaos.scenario import Scenario
from tests.chaos.shape import Shape
from tests.chaos.truth import WINDOWS, Count, Truth
from tests.chaos.world import World
from tests.support.instances import Instance
from tests.support.pipeline import Feed

RUSH: Final = 20
BEHIND_S: Final = 3_600
STEP_MS: Final = 50
"""Event time between two records of the partition that is behind."""
MOST_GROWTH_BYTES: Final = 400 << 20
"""Of all processes: the queues of two readers take 64 MiB, those of blocks and rows the rest."""
FLOOD_USERS: Final = 100_000
CEILING: Final = CeilingSettings(SKETCH_USERS, "approximate")
FLOOD: Final = Shape(granularity_ms=2_000, max_lag_ms=6_000, idle_timeout_s=300)
PATIENCE_S: Final = 300.0


def rush(world: World, random: Random) -> int:
    """Twenty times as many records for a minute."""
    world.start_instance()
    world.wait_for_windows(2)
    usual, before = world.feeder.rate, world.feeder.sent
    world.feeder.rate = RUSH * usual
    time.sleep(10 if world.quick else 60)
    world.feeder.rate = usual
    assert world.feeder.sent - before > 5 * usual, "this machine was too busy for a rush"
    world.recovered(PATIENCE_S)
    return 1


def others_only(world: World) -> None:
    """Partition 0 is fed by the scenario."""
    world.feeder.partitions = world.feeder.partitions[1:]


def one_behind(world: World, random: Random) -> int:
    """A partition whose records begin an hour before those of the others; then it has caught up."""
    instance = world.start_instance()
    instance.wait_for("leading:")
    started_bytes = resident_bytes(instance)
    own = Feed(world.site.direct, world.run.input, world.shape.partitions)
    time_ms = world.feeder.now_ms - (BEHIND_S // 10 if world.quick else BEHIND_S) * 1_000
    most_bytes, sent = 0, 0
    while time_ms < world.feeder.now_ms:
        user = random.randrange(world.shape.users)
        world.truth.add(0, time_ms, user)
        own.enqueue(b'{"ts":%d,"uid":"%d"}' % (time_ms, user), partition=0)
        time_ms, sent = time_ms + STEP_MS, sent + 1
        if sent % 1_000 == 0:
            most_bytes = max(most_bytes, resident_bytes(instance))
    own.flush()
    world.feeder.partitions = [0, *world.feeder.partitions]
    now_key = b"%d" % (world.feeder.now_ms // 1_000)

    def caught_up() -> bool:
        nonlocal most_bytes
        most_bytes = max(most_bytes, resident_bytes(instance))
        return any(key >= now_key for key in world.watch.seen)

    world.recoveries_s.append(world.wait_until(caught_up, "the partition that was behind", PATIENCE_S))
    grown = most_bytes - started_bytes
    assert grown < MOST_GROWTH_BYTES, f"memory has grown by {grown >> 20} MiB"
    return 1


def flood_stops(world: World, random: Random) -> int:
    """Too many users in a window: the run ends before it, and goes on with a higher ceiling."""
    limited = world.start_instance("--max-users", str(CEILING.max_users))
    world.wait_for_windows(2)
    start_ms = flood(world)
    code = limited.wait(PATIENCE_S)
    world.expected_ends[limited.pid] = code
    assert code == ExitCode.TOO_MANY_USERS, limited.log[-1_000:]
    assert f"has more than {CEILING.max_users:,} unique users, so neither it nor a later" in limited.log
    published = {int(row["ts"]) * 1_000 for row in rows(world)}
    assert max(published) == start_ms - world.shape.granularity_ms, "not all before it, or more than those"
    world.start_instance("--max-users", str(2 * FLOOD_USERS))
    world.recovered(PATIENCE_S)
    return 1


def flood_approximates(world: World, random: Random) -> int:
    """Too many users in a window, and a death meanwhile: its count is the estimate of all its users."""
    flags = ("--max-users", str(CEILING.max_users), "--above-max-users", CEILING.above)
    instance = world.start_instance(*flags)
    world.wait_for_windows(2)
    start_ms = flood(world)
    kill_one(world, instance, "aggregator", random)
    key = b"%d" % (start_ms // 1_000)
    world.wait_until(lambda: key in world.watch.seen, "the flooded window", PATIENCE_S)
    world.recovered(PATIENCE_S)
    (row,) = [row for row in rows(world) if row["ts"] * 1_000 == start_ms]
    assert row["approximate"] is True
    assert abs(row["cnt"] / FLOOD_USERS - 1) < row["error"] < 0.01
    assert not any("approximate" in other for other in rows(world) if other != row)
    return 1


def flood(world: World) -> int:
    """So many users in one window, all those of the feeder among them; returns its start in ms."""
    world.feeder.pause()
    time_ms = world.feeder.now_ms
    own = Feed(world.site.direct, world.run.input, world.shape.partitions)
    for user in range(FLOOD_USERS):
        partition = user % world.shape.partitions
        world.truth.add(partition, time_ms, user)
        own.enqueue(b'{"ts":%d,"uid":"%d"}' % (time_ms, user), partition=partition)
    own.flush()
    world.feeder.resume()
    return time_ms // world.shape.granularity_ms * world.shape.granularity_ms


class ApproximateTruth(Truth):
    """The truth, with the estimate of a flood in the place of its count."""

    def __init__(self, exact: Truth) -> None:
        self._exact = exact
        self._about, _ = counted_users({str(user) for user in range(FLOOD_USERS)}, CEILING)

    @property
    def calendars(self) -> tuple[str, ...]:
        """As of the truth."""
        return self._exact.calendars

    def closed(self, calendar: str = WINDOWS) -> dict[int, Count]:
        """Windows that must have come out, by their start in ms."""
        return {start: self._seen(count) for start, count in self._exact.closed(calendar).items()}

    def open(self, calendar: str = WINDOWS) -> dict[int, Count]:
        """Windows that may come out too."""
        return {start: self._seen(count) for start, count in self._exact.open(calendar).items()}

    def _seen(self, count: Count) -> Count:
        return Count(self._about, count.records) if count.unique == FLOOD_USERS else count


def judge_approximate(world: World) -> Verdict:
    """As usual, with an estimate where one is due."""
    world.truth = ApproximateTruth(world.truth)
    return world.judge()


def rows(world: World) -> list[dict[str, Any]]:
    """What is published so far."""
    return [orjson.loads(value) for value in world.run.published()]


def resident_bytes(instance: Instance) -> int:
    """Of the main process and its workers."""
    return sum(_resident_bytes(pid) for pid in (instance.pid, *instance.workers()))


def _resident_bytes(pid: int) -> int:
    try:
        pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(pages) * 4096


SCENARIOS = (
    Scenario("rush", f"{RUSH} times the usual rate for a minute", rush, quick=True),
    Scenario(
        "one-behind",
        "a partition an hour behind the others",
        one_behind,
        shape=Shape(idle_timeout_s=300),
        prepare=others_only,
    ),
    Scenario("flood-stop", "more users than --max-users: stop", flood_stops, shape=FLOOD),
    Scenario(
        "flood-approximate",
        "more users than --max-users: approximate",
        flood_approximates,
        shape=FLOOD,
        judge=judge_approximate,
        quick=True,
    ),
)
