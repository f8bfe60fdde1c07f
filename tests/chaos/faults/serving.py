"""``serve`` follows what is published while it is killed, its clock set, its store of an older format.

What it answers in the end is compared with the truth, as what was published is: each window once.
"""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any, Final
from urllib.parse import quote

import duckdb
import orjson

from streamagg.serve.store.file import FORMAT, NAME
from tests.chaos.clock.shifted import ShiftedClock
from tests.chaos.faults.clock import HOUR_S
from tests.chaos.faults.processes import wait_a_moment
from tests.chaos.faults.topics import COMPACTED, alter
from tests.chaos.outcome import Verdict, compare_all
from tests.chaos.scenario import Scenario
from tests.chaos.world import World
from tests.support.pipeline import QUICK_GROUP
from tests.support.serving import Serving, serving

MOST_S: Final = 2.0
"""From its start, or from its first answer, until it is killed."""


def store(world: World) -> Path:
    """Where it keeps what it reads."""
    return world.directory / "store"


def place(world: World) -> str:
    """The directory that is published to, beside the topic."""
    return f"dir:{world.directory / 'counts'}"


def kill_again_and_again(world: World, followed: str, random: Random) -> int:
    """Before it has opened its store, and well behind that; once its store is of an older format then."""
    times = 6 if world.quick else 16
    for number in range(times):
        answers = number % 2 == 1
        serve = Serving(world.site.address, followed, store(world), waits=answers)
        try:
            if answers:
                serve.wait_until(lambda status: freshest(status) > 0)
            time.sleep(random.uniform(0, MOST_S))
        finally:
            serve.kill()
        # Early: nothing that was read before counts behind it.
        if number == times // 4:
            age(world, followed)
    return times


def age(world: World, followed: str) -> None:
    """The store says that it is of an older version, and what it holds is nothing to go on from."""
    with serving(world.site.address, followed, store(world)) as serve:
        serve.wait_until(lambda status: freshest(status) > 0)
        assert serve.stop() == 0
    with duckdb.connect(str(store(world) / NAME)) as connection:
        connection.execute("UPDATE about SET format = ?", [FORMAT - 1])
        connection.execute("UPDATE positions SET position = 'nonsense'")


def kill(world: World, random: Random) -> int:
    """Behind a topic that is compacted meanwhile."""
    alter(world, COMPACTED, world.run.output)
    world.start_instance()
    world.wait_for_windows()
    return kill_again_and_again(world, world.run.output, random)


def kill_beside_directory(world: World, random: Random) -> int:
    """Behind a directory, whose writer is killed, too."""
    world.start_instance()
    times = 0
    for _ in range(1 if world.quick else 3):
        write_directory(world)
        wait_a_moment(world, random)
        times += 1 + kill_again_and_again(world, place(world), random)
        world.instances[-1].kill()
    write_directory(world)
    return times


def write_directory(world: World) -> None:
    """One more run of the same input, as a group of its own."""
    flags = ("--output", place(world), "--group", f"{world.run.output}-directory")
    world.instances.append(world.run.start(*QUICK_GROUP, *flags))


def set_clock(world: World, random: Random) -> int:
    """What it reads goes on being answered and told, whatever the clock on its wall says."""
    clock = ShiftedClock(world.directory)
    world.start_instance()
    settings_s = (-HOUR_S, 0) if world.quick else (HOUR_S, -HOUR_S, 0, -30 * 24 * HOUR_S)
    with serving(world.site.address, world.run.output, store(world), env=clock.env) as serve:
        for ahead_s in settings_s:
            wait_a_moment(world, random)
            clock.set(ahead_s)
            latest_s = world.watch.latest_ms / 1_000
            serve.wait_until(lambda status, than=latest_s: freshest(status) > than)  # type: ignore[misc]
            assert serve.get("/livez")["live"]
            assert serve.get("/readyz")["ready"]
        assert serve.stop() == 0
    return len(settings_s)


def freshest(status: Mapping[str, Any]) -> float:
    """Start of the freshest window in seconds; 0 while there is none."""
    return float(status["calendars"].get("window", {}).get("freshest", 0))


def judge_topic(world: World) -> Verdict:
    """What was published, and then what it answers."""
    verdict = world.judge()
    with serving(world.site.address, world.run.output, store(world)) as serve:
        serve.wait_until(lambda status: status["behind"] == 0 and status["following"])
        return verdict + compare_all(list(answered(serve)), world.truth)


def judge_directory(world: World) -> Verdict:
    """The same; the writer of the directory is given the time to come to the end."""
    world.feeder.finish()
    expected = {f"{start // 1_000}".encode() for start in world.truth.closed()}
    with serving(world.site.address, place(world), store(world)) as serve:
        world.wait_until(lambda: expected <= {key for key, _ in answered(serve)}, "the last window")
        verdict = compare_all(list(answered(serve)), world.truth)
    return verdict + world.judge()


def answered(serve: Serving) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of all windows, page by page."""
    cursor = ""
    while True:
        page = serve.get(f"/v1/windows?from=0&limit=50{cursor}")
        for record in page.get("windows", ()):
            yield f"{record['ts']}".encode(), orjson.dumps(record)
        if not page.get("next"):
            return
        cursor = f"&cursor={quote(page['next'])}"


SCENARIOS = (
    Scenario(
        "serve-kill",
        "serve: SIGKILL at any time, a store of an older format, a compacted topic",
        kill,
        judge=judge_topic,
    ),
    Scenario(
        "serve-kill-directory",
        "serve: SIGKILL at any time, of it and of who writes the directory",
        kill_beside_directory,
        judge=judge_directory,
    ),
    Scenario("serve-clock", "serve: its clock set forth and back", set_clock, judge=judge_topic),
)
