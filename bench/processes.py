"""The processes of one run and what they use, read from /proc (Linux)."""

import contextlib
import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

TICKS_PER_SECOND: Final = os.sysconf("SC_CLK_TCK")
PAGE_BYTES: Final = os.sysconf("SC_PAGESIZE")
PROC: Final = Path("/proc")


@dataclass(frozen=True, slots=True)
class Sample:
    """One process at one moment."""

    name: str
    ended: bool
    """A zombie: it waits to be reaped and uses nothing more."""
    parent: int
    cpu_seconds: float
    """Its own, without that of its children."""
    resident_bytes: int


def sample(pid: int) -> Sample | None:
    """What a process is and has used; None when it is gone."""
    return _read(PROC / str(pid) / "stat")


def compiling_seconds(pid: int | None) -> float:
    """CPU of the threads that compile in a process of Java; 0 without one."""
    threads = [] if pid is None else (PROC / str(pid) / "task").iterdir()
    seen = [_read(thread / "stat") for thread in threads]
    return sum(each.cpu_seconds for each in seen if each and "CompilerThre" in each.name)


def _read(stat: Path) -> Sample | None:
    """A process or a thread."""
    try:
        text = stat.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name stands in parentheses and may hold any character, so fields are counted behind the last one.
    name, _, rest = text.partition("(")[2].rpartition(") ")
    fields = rest.split()
    ticks = int(fields[11]) + int(fields[12])
    resident = int(fields[21]) * PAGE_BYTES
    return Sample(name, fields[0] in "ZX", int(fields[1]), ticks / TICKS_PER_SECOND, resident)


def pids() -> list[int]:
    """All processes of the machine."""
    return [int(name) for name in os.listdir(PROC) if name.isdecimal()]


@dataclass(slots=True)
class Family:
    """All processes of a run: they carry its mark in their environment, or their parent does."""

    mark: str
    first: int | None = None
    """The process that was started, if known: its environment is not there yet while it is being started."""
    cpu_by_pid: dict[int, float] = field(default_factory=dict)
    """As last seen; also of those that have ended."""
    peak_bytes: int = 0
    """Resident memory of all together; shared pages count once for each."""
    _strangers: set[int] = field(default_factory=set)

    @property
    def cpu_seconds(self) -> float:
        """A little less than was used: what comes between the last look and the end is not seen."""
        return sum(self.cpu_by_pid.values())

    def look(self) -> list[int]:
        """Take a sample; returns the members that still run."""
        there, resident = [], 0
        for pid in sorted(pids()):
            seen = None if pid in self._strangers else sample(pid)
            if seen is None:
                continue
            if not self._is_member(pid, seen):
                self._strangers.add(pid)
                continue
            self.cpu_by_pid[pid] = seen.cpu_seconds
            if not seen.ended:
                there.append(pid)
                resident += seen.resident_bytes
        self.peak_bytes = max(self.peak_bytes, resident)
        return there

    def end(self, timeout_s: float = 5.0) -> None:
        """Kill whatever is left."""
        deadline = time.monotonic() + timeout_s
        while (there := self.look()) and time.monotonic() < deadline:
            for pid in there:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)

    def _is_member(self, pid: int, seen: Sample) -> bool:
        known = self.cpu_by_pid.keys() | {self.first}
        return pid in known or seen.parent in known or self._is_marked(pid)

    def _is_marked(self, pid: int) -> bool:
        try:
            return self.mark.encode() in (PROC / str(pid) / "environ").read_bytes()
        except OSError:
            return False
