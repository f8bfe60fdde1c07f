"""What machine this is, and whether anything else uses it."""

import os
import platform
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from bench.processes import TICKS_PER_SECOND, pids, sample
from tests.support import jars

CHECK_S: Final = 3.0
BUSY_CORES: Final = 0.10
"""More than so much of a core, used by something else, spoils a measurement."""
KIB_PER_GIB: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class MachineTime:
    """CPU time of all cores since the machine was started, or between two moments."""

    busy_seconds: float
    """Of programs, the kernel and interrupts."""
    steal_seconds: float

    def __sub__(self, earlier: Self) -> "MachineTime":
        return MachineTime(
            self.busy_seconds - earlier.busy_seconds, self.steal_seconds - earlier.steal_seconds
        )


def machine_time() -> MachineTime:
    """As the kernel counts it, in hundredths of a second."""
    return parse_machine_time(Path("/proc/stat").read_text())


def parse_machine_time(stat: str) -> MachineTime:
    """The first line of /proc/stat."""
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, stat.split("\n", 1)[0].split()[1:9])
    return MachineTime((user + nice + system + irq + softirq) / TICKS_PER_SECOND, steal / TICKS_PER_SECOND)


@dataclass(frozen=True, slots=True)
class Load:
    """What the machine did while the benchmark did nothing."""

    cores: float
    steal_cores: float
    busiest: tuple[tuple[str, float], ...]
    """The programs that used most, with the cores they used."""

    @property
    def is_busy(self) -> bool:
        """Too much for a measurement."""
        return self.cores > BUSY_CORES

    def __str__(self) -> str:
        who = (
            ", ".join(f"{name} {cores:.2f}" for name, cores in self.busiest) or "no process that is seen here"
        )
        return f"{self.cores:.2f} cores in use ({who}), {self.steal_cores:.2f} stolen"


def load(seconds: float = CHECK_S) -> Load:
    """Watch the machine for a while."""
    before, began, programs = machine_time(), time.monotonic(), _cpu_by_pid()
    time.sleep(seconds)
    spent, wall = machine_time() - before, time.monotonic() - began
    used = {
        f"{name} ({pid})": (cpu - programs.get(pid, (name, 0.0))[1]) / wall
        for pid, (name, cpu) in _cpu_by_pid().items()
        if pid != os.getpid()
    }
    busiest = sorted(used.items(), key=lambda item: -item[1])[:3]
    return Load(
        spent.busy_seconds / wall,
        spent.steal_seconds / wall,
        tuple((name, cores) for name, cores in busiest if cores >= BUSY_CORES / 10),
    )


def _cpu_by_pid() -> dict[int, tuple[str, float]]:
    seen = ((pid, sample(pid)) for pid in pids())
    return {pid: (found.name, found.cpu_seconds) for pid, found in seen if found is not None}


def description() -> dict[str, str]:
    """What a reader must know of the machine, by name."""
    memory = _field("/proc/meminfo", "MemTotal").split()[0]
    return {
        "cpu": _field("/proc/cpuinfo", "model name"),
        "cores": str(os.cpu_count()),
        "memory": f"{int(memory) / KIB_PER_GIB:.0f} GiB",
        "kernel": platform.release(),
        "python": platform.python_version(),
        "java": _java_version(),
    }


def _field(path: str, name: str) -> str:
    """The first value of a name in a file of ``name : value`` lines."""
    for line in Path(path).read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return "unknown"


def _java_version() -> str:
    try:
        done = subprocess.run([jars.java(), "-version"], capture_output=True, text=True, check=False)
    except OSError:
        return "none"
    lines = done.stderr.splitlines()
    return lines[0].split('"')[1] if lines and '"' in lines[0] else "unknown"
