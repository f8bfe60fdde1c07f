"""What the machine has too little of: room on a disk, descriptors, memory, ports."""

import resource
import signal
import socket
import time
from collections.abc import Callable, Iterable
from random import Random
from typing import Final

from streamagg.errors import ExitCode
from tests.chaos.faults.processes import kill_one
from tests.chaos.scenario import Scenario
from tests.chaos.shape import Shape
from tests.chaos.world import World
from tests.support.instances import Instance, alive

LONG: Final = Shape(idle_timeout_s=300)
PATIENCE_S: Final = 180.0
LOAD_S: Final = 20.0


def disk_full(world: World, random: Random) -> int:
    """Not a byte more of the log can be written; meanwhile a worker dies, and the run is stopped."""
    instance = world.start_instance()
    world.wait_for_windows(2)
    limit(processes(instance), resource.RLIMIT_FSIZE, 1)
    size = instance.log_path.stat().st_size
    kill_one(world, instance, "unmarshaller", random)
    world.recovered(PATIENCE_S)
    instance.signal(signal.SIGTERM)
    assert instance.wait(PATIENCE_S) == ExitCode.OK
    assert instance.log_path.stat().st_size == size, "the disk was not full"
    world.start_instance()
    world.recovered(PATIENCE_S)
    return 1


def few_descriptors(world: World, random: Random) -> int:
    """No file can be opened any more, and no worker started in the place of a dead one."""
    instance = world.start_instance()
    world.wait_for_windows(2)
    limit([instance.pid], resource.RLIMIT_NOFILE, 3)
    time.sleep(1 if world.quick else 10)
    assert instance.running, "open descriptors stay as they are"
    kill_one(world, instance, "unmarshaller", random)
    code = instance.wait(PATIENCE_S)
    world.expected_ends[instance.pid] = code
    assert code == ExitCode.FAILURE
    assert "Too many open files" in instance.log
    world.start_instance()
    world.recovered(PATIENCE_S)
    return 1


def little_memory(kind: str) -> Callable[[World, Random], int]:
    """A worker may have nothing more, and lives on what it has or dies; a successor may again."""

    def run(world: World, random: Random) -> int:
        instance = world.start_instance()
        world.wait_for_windows(2)
        victim = random.choice(instance.workers(kind))
        limit([victim], resource.RLIMIT_AS, 1 << 20)
        # Memory that it has it may use again: more records than before need more.
        world.feeder.rate *= 20
        until = time.monotonic() + LOAD_S
        while alive(victim) and time.monotonic() < until:
            time.sleep(0.1)
        world.feeder.rate /= 20
        world.recovered(PATIENCE_S)
        assert instance.running
        return 1

    return run


def port_in_use(world: World, random: Random) -> int:
    """Another program has the port of the metrics: nothing begins, and one sentence says why."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = world.start_instance("--http", str(port))
        code = refused.wait(PATIENCE_S)
    world.expected_ends[refused.pid] = code
    assert code == ExitCode.USAGE
    assert f"--http 127.0.0.1:{port} cannot be served: Address already in use" in refused.log
    world.start_instance("--http", str(port))
    world.recovered(PATIENCE_S)
    return 1


def limit(pids: Iterable[int], kind: int, value: int) -> None:
    """Set a limit of running processes."""
    for pid in pids:
        resource.prlimit(pid, kind, (value, value))


def processes(instance: Instance) -> list[int]:
    """Of an instance, all of them."""
    return [instance.pid, *instance.workers()]


SCENARIOS = (
    Scenario("disk-full", "no room on the disk of the log", disk_full, shape=LONG, quick=True),
    Scenario("few-descriptors", "no further file descriptor", few_descriptors, shape=LONG),
    Scenario(
        "little-memory-aggregator",
        "an aggregator that gets no more memory",
        little_memory("aggregator"),
        shape=LONG,
    ),
    Scenario(
        "little-memory-unmarshaller",
        "an unmarshaller that gets no more memory",
        little_memory("unmarshaller"),
        shape=LONG,
    ),
    Scenario("port-in-use", "the port of the metrics in use", port_in_use, shape=LONG, quick=True),
)
