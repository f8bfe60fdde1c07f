"""Directories and PostgreSQL: harm to streamagg, to the server, to the disk, and to files being read."""

import errno
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Final

from tests.chaos.faults.group import churn, zombie_at_points, zombie_leader
from tests.chaos.faults.processes import kill_anything, kill_at_points, wait_a_moment
from tests.chaos.files import FOREIGN_USERS
from tests.chaos.outputs import DirectoryOutput, PostgresOutput
from tests.chaos.places import Places
from tests.chaos.scenario import Scenario
from tests.chaos.shape import Shape
from tests.chaos.world import World
from tests.support.postgres import Postgres

INTO_FILES: Final = Places("topic", "directory")
INTO_TABLES: Final = Places("topic", "postgres")
FILES: Final = Places("directory", "directory")
FILES_INTO_TABLES: Final = Places("directory", "postgres")
NOT_IDLE: Final = Shape(idle_timeout_s=300)
"""Where records are kept from being read for long."""
FREEZE_S: Final = 40.0
"""Longer than a statement may take."""
FILES_MB: Final = 4
TABLES_MB: Final = 120
FULL: Final = "on a disk that is full"
_AWAY: Final = "trying again in"
_BLOCK: Final = bytes(64 << 10)
_FOREIGN_LINES: Final = 50


def kill_server(world: World, random: Random) -> int:
    """SIGKILL of all its processes, whatever they are at, and a start a moment later."""
    times = 2 if world.quick else 6
    world.start_instance()
    world.start_instance()
    server = server_of(world)
    for _ in range(times):
        wait_a_moment(world, random)
        server.kill()
        time.sleep(random.uniform(0, 3))
        server.start()
        world.recovered()
    return times


def freeze_server(world: World, random: Random) -> int:
    """All its processes sleep, and go on where they were."""
    times = 1 if world.quick else 3
    world.start_instance()
    world.start_instance()
    server = server_of(world)
    for number in range(times):
        wait_a_moment(world, random)
        server.send(signal.SIGSTOP)
        try:
            # Short, then longer than a statement may take, then anything.
            time.sleep((6.0, FREEZE_S, random.uniform(1, FREEZE_S))[number])
        finally:
            server.send(signal.SIGCONT)
        world.recovered()
    return times


def fill_disk(world: World, random: Random) -> int:
    """Somebody else takes all the room that there is, until the run has noticed, and a while longer."""
    times = 1 if world.quick else 4
    instance = world.start_instance()
    for _ in range(times):
        wait_a_moment(world, random)
        noticed = instance.log.count(_AWAY)
        filler = room_of(world) / "filler"
        fill(filler)
        try:
            world.wait_until(lambda n=noticed: instance.log.count(_AWAY) > n, "a disk that is full")  # type: ignore[misc]
            time.sleep(random.uniform(0, 5))
        finally:
            filler.unlink()
        bring_back(world)
        world.recovered()
    # A server without room for its own log ends itself, and is away then.
    assert FULL in instance.log or world.run.output.startswith("postgresql:"), instance.log[-1_000:]
    return times


def fill(path: Path) -> None:
    """With as much as there is room for."""
    with path.open("wb", buffering=0) as file:
        size = len(_BLOCK)
        while size:
            try:
                file.write(_BLOCK[:size])
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                size //= 2


def bring_back(world: World) -> None:
    """A server that has found no room for its log has ended itself: it is started again."""
    if isinstance(world.output, PostgresOutput):
        world.output.server.start()


def server_of(world: World) -> Postgres:
    """That of the output."""
    assert isinstance(world.output, PostgresOutput)
    return world.output.server


def room_of(world: World) -> Path:
    """Where the file system of the output begins."""
    if isinstance(world.output, DirectoryOutput):
        return world.output.root.parent
    return server_of(world).data.parent.parent


@dataclass(frozen=True, slots=True)
class Change:
    """What is done to a file, and what the log says then; empty: nothing."""

    act: Callable[[Path, int], None]
    told: str


def change_files(world: World, random: Random) -> int:
    """Something happens to files all of which has been read, or none; what it does is told."""
    changes = list(CHANGES) * (1 if world.quick else 3)
    random.shuffle(changes)
    world.start_instance()
    for change in changes:
        wait_a_moment(world, random)
        # Of what is packed only whole files are read, and looked at again when they are put away.
        plain = [number for number, writer in enumerate(world.file_feeder.writers) if writer.is_plain]
        change_one(world, random.choice(plain), change)
        world.recovered()
    return len(changes)


def change_one(world: World, partition: int, change: Change) -> None:
    """All of a partition is read; then something happens to its last file; then others follow."""
    feeder, instance = world.file_feeder, world.running[0]
    partitions = feeder.partitions
    with feeder.standing():
        key = str(feeder.close_window(partition) // 1_000).encode()
    world.wait_until(lambda: key in world.watch.seen, "the window of the last record")
    before = instance.log.count(change.told)
    change.act(feeder.writers[partition].finished[-1], feeder.now_ms)
    if change.told:
        world.wait_until(lambda: instance.log.count(change.told) > before, f"word of it: {change.told}")
    feeder.partitions = partitions


def shrink(path: Path, now_ms: int) -> None:
    """It loses its second half."""
    os.truncate(path, path.stat().st_size // 2)


def replace_file(path: Path, now_ms: int) -> None:
    """Another one gets its name."""
    other = path.with_name(f".{path.name}")
    other.write_bytes(foreign(now_ms))
    other.rename(path)


def write_anew(path: Path, now_ms: int) -> None:
    """It begins with something else, and is as long as it was."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.write(foreign(now_ms)[:size])


def come_too_late(path: Path, now_ms: int) -> None:
    """A file before all others."""
    path.with_name(f"00000000.{now_ms}.jsonl").write_bytes(foreign(now_ms))


def remove(path: Path, now_ms: int) -> None:
    """It is read, so nobody needs it."""
    path.unlink()


def foreign(now_ms: int) -> bytes:
    """Lines of users that are in no count."""
    return b"".join(
        b'{"ts":%d,"uid":"%d"}\n' % (now_ms, FOREIGN_USERS + number) for number in range(_FOREIGN_LINES)
    )


CHANGES: Final = (
    Change(shrink, "it has become shorter"),
    Change(replace_file, "its name stands for something else"),
    Change(write_anew, "its name stands for something else"),
    Change(come_too_late, "it appeared before files"),
    Change(remove, ""),
)
SCENARIOS = (
    Scenario(
        "files-kill-at-points",
        "directory to directory: SIGKILL at named points of a publication",
        kill_at_points,
        places=FILES,
        quick=True,
    ),
    Scenario(
        "files-kill-anything",
        "directory to directory: SIGKILL of anything at any time",
        kill_anything,
        places=FILES,
    ),
    Scenario("files-churn", "directory to directory: instances join and leave", churn, places=FILES),
    Scenario(
        "files-changed",
        "files cut, replaced, written anew, removed, too late under the reader",
        change_files,
        NOT_IDLE,
        places=FILES,
        quick=True,
    ),
    Scenario(
        "directory-zombie-leader",
        "topic to directory: the leader sleeps, wakes up",
        zombie_leader,
        places=INTO_FILES,
    ),
    Scenario(
        "directory-zombie-at-points",
        "topic to directory: the same at named points",
        zombie_at_points,
        places=INTO_FILES,
    ),
    Scenario(
        "directory-full",
        "topic to directory: the disk is full",
        fill_disk,
        places=replace(INTO_FILES, room_mb=FILES_MB),
        quick=True,
    ),
    Scenario(
        "postgres-kill-at-points",
        "directory to PostgreSQL: SIGKILL at named points of a publication",
        kill_at_points,
        places=FILES_INTO_TABLES,
        quick=True,
    ),
    Scenario(
        "postgres-zombie-leader",
        "directory to PostgreSQL: the leader sleeps, wakes up",
        zombie_leader,
        NOT_IDLE,
        places=FILES_INTO_TABLES,
    ),
    Scenario(
        "postgres-zombie-at-points",
        "topic to PostgreSQL: the same at named points",
        zombie_at_points,
        places=INTO_TABLES,
    ),
    Scenario(
        "postgres-kill",
        "directory to PostgreSQL: SIGKILL of the server",
        kill_server,
        places=FILES_INTO_TABLES,
    ),
    Scenario(
        "postgres-freeze",
        f"directory to PostgreSQL: the server sleeps, for {FREEZE_S:g} s at most",
        freeze_server,
        NOT_IDLE,
        places=FILES_INTO_TABLES,
    ),
    Scenario(
        "postgres-full",
        "topic to PostgreSQL: the disk of the server is full",
        fill_disk,
        places=replace(INTO_TABLES, room_mb=TABLES_MB),
    ),
)
