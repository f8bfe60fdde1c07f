"""Runs one command and says what it cost; runs one contender and says whether it counted right."""

import json
import os
import re
import resource
import select
import shlex
import signal
import subprocess
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.contender import Contender, Job
from bench.kafka import read_rows
from bench.machine import BUSY_CORES, machine_time
from bench.processes import Family, sample
from bench.work import Answer, Row, answer

REPOSITORY: Final = Path(__file__).resolve().parents[1]
SAMPLE_EVERY_S: Final = 0.1
TIMEOUT_S: Final = 600.0
MARK: Final = "BENCH_RUN_MARK"
UNUSUAL: Final = {"PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"}
"""Set where programs are developed, not where they run: the first has every process compile its modules anew,
0.3 s of CPU each here."""
LOG_LINE_CHARS: Final = 300
JAVA_STACK: Final = re.compile(r"at [\w.$/<>]+\(|\.\.\. \d+ (common frames|more)")


@dataclass(frozen=True, slots=True)
class Cost:
    """What one command used, all of its processes together."""

    exit_code: int | None
    """None: it took too long and was killed. Negative: the signal that ended it."""
    wall_seconds: float
    """From the start of the process to its end."""
    cpu_seconds: float
    """User and system, start-up included."""
    peak_bytes: int
    """Highest sum of resident memory, looked at ten times a second; shared pages count once for each."""
    broker_cpu_seconds: float
    """0 when nobody said which process the broker is."""
    others_cpu_seconds: float
    """Used meanwhile on this machine by neither the command, the broker nor the benchmark itself."""
    steal_seconds: float
    """What the machine below took from this one meanwhile, all cores together."""

    @property
    def is_disturbed(self) -> bool:
        """Something else used more of the machine meanwhile than a measurement bears."""
        return self.others_cpu_seconds > BUSY_CORES * self.wall_seconds


def run_command(
    command: Sequence[str],
    *,
    log: Path,
    timeout_s: float = TIMEOUT_S,
    broker_pid: int | None = None,
    environment: Mapping[str, str] | None = None,
) -> Cost:
    """Run a command in the root of the repository to its end; whatever it started ends with it.

    Its standard output and error go to the file ``log``. ``environment`` is added to the usual one.
    """
    mark = uuid.uuid4().hex
    machine, broker, own = machine_time(), _cpu_of(broker_pid), _own_cpu()
    began = time.monotonic()
    with log.open("ab") as out:
        process = subprocess.Popen(
            command,
            cwd=REPOSITORY,
            env={**usual_environment(), **(environment or {}), MARK: mark},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    family = Family(f"{MARK}={mark}", process.pid)
    try:
        in_time = _watch(process.pid, family, began + timeout_s)
    finally:
        # Also on Ctrl-C: nothing of a run stays behind.
        reaped = _reap(process, family)
    wall = time.monotonic() - began
    cpu = max(reaped, family.cpu_seconds)
    broker_cpu = _cpu_of(broker_pid) - broker
    spent = machine_time() - machine
    others = spent.busy_seconds - cpu - broker_cpu - (_own_cpu() - own)
    return Cost(
        exit_code=process.returncode if in_time else None,
        wall_seconds=round(wall, 3),
        cpu_seconds=round(cpu, 3),
        peak_bytes=family.peak_bytes,
        broker_cpu_seconds=round(broker_cpu, 3),
        others_cpu_seconds=max(0.0, round(others, 3)),
        steal_seconds=round(spent.steal_seconds, 3),
    )


def usual_environment() -> dict[str, str]:
    """The present environment without what is unusual where programs run."""
    return {name: value for name, value in os.environ.items() if name not in UNUSUAL}


def _watch(pid: int, family: Family, deadline: float) -> bool:
    """Look at the family until its first process ends; False when that takes too long."""
    descriptor = os.pidfd_open(pid)
    try:
        while time.monotonic() < deadline:
            family.look()
            if select.select([descriptor], [], [], SAMPLE_EVERY_S)[0]:
                return True
        return False
    finally:
        os.close(descriptor)


def _reap(process: "subprocess.Popen[bytes]", family: Family) -> float:
    """End and wait for a process and its family; returns the CPU of all it has waited for itself."""
    family.look()
    # Before the process is reaped, its number cannot be given to another group.
    os.killpg(process.pid, signal.SIGKILL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    family.end()
    return used.ru_utime + used.ru_stime


def _cpu_of(pid: int | None) -> float:
    seen = None if pid is None else sample(pid)
    return seen.cpu_seconds if seen else 0.0


def _own_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


@dataclass(frozen=True, slots=True)
class Verdict:
    """Windows of a run, or pages of windows, beside the truth."""

    windows: int
    """Windows there are in truth."""
    right: int
    wrong: int
    """Published with another number of users."""
    missing: int
    extra: int
    """Published, and there is no such window."""

    def __str__(self) -> str:
        faults = {"wrong": self.wrong, "missing": self.missing, "too many": self.extra}
        told = ", ".join(f"{number} {what}" for what, number in faults.items() if number)
        return f"{self.right} of {self.windows}" + (f": {told}" if told else "")


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one contender."""

    contender: str
    cost: Cost
    error: str | None
    """Why it failed, in one line; then the two below are None."""
    seconds: float | None
    """From the first fetch to the last window complete; with a file, from start to end of the process."""
    verdict: Verdict | None
    """None also for a contender that counts nothing."""


def run_contender(
    contender: Contender,
    job: Job,
    cache: Path,
    truth: Answer,
    *,
    log: Path,
    broker_pid: int | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Run:
    """Run a prepared contender once and check what it counted; a failure is a result too."""
    log.unlink(missing_ok=True)
    command = contender.command(job, cache)
    log.write_text(f"$ {shlex.join(command)}\n")
    cost = run_command(command, log=log, timeout_s=timeout_s, broker_pid=broker_pid)
    if cost.exit_code is None:
        return Run(contender.name, cost, f"not finished after {timeout_s:.0f} s", None, None)
    if cost.exit_code != 0:
        return Run(contender.name, cost, f"exit code {cost.exit_code}: {last_line(log)}", None, None)
    try:
        seconds, verdict = _result(contender, job, cost, truth)
    except (OSError, ValueError, KeyError, TypeError) as error:
        return Run(contender.name, cost, f"no usable result: {error!r}", None, None)
    return Run(contender.name, cost, None, seconds, verdict)


def _result(contender: Contender, job: Job, cost: Cost, truth: Answer) -> tuple[float, Verdict | None]:
    """Seconds and verdict; raises ValueError when the contender has not read every record."""
    result = json.loads(job.result.read_bytes())
    written = _written(result)
    read = result["records"] if "records" in result or not written else _records(written)
    if read != job.topic.records:
        raise ValueError(f"{read:,} of {job.topic.records:,} records read")
    seconds = cost.wall_seconds if contender.reads == "file" else float(result["seconds"])
    if seconds <= 0:
        raise ValueError(f"it took {seconds:g} s")
    if not contender.counts:
        return seconds, None
    return seconds, compare(answer(written or _told(result, job), contender.work), truth)


def _written(result: Mapping[str, Any]) -> list[Row]:
    """The rows of the file that the result names, if it names one."""
    if "rows" not in result:
        return []
    return [json.loads(line) for line in Path(result["rows"]).read_bytes().splitlines()]


def _records(rows: Sequence[Row]) -> int:
    return sum(int(row["records"]) for row in rows)


def _told(result: Mapping[str, Any], job: Job) -> Iterable[Row]:
    """Rows of the result or else, where it has none or only their number, those that were published."""
    windows = result.get("windows")
    if not isinstance(windows, dict):
        return read_rows(job.bootstrap, job.output)
    return ({"ts": start, "cnt": users} for start, users in windows.items())


def compare(windows: Answer, truth: Answer) -> Verdict:
    """What was counted beside what is true, key by key."""
    right = sum(windows.get(start) == users for start, users in truth.items())
    missing = len(truth.keys() - windows.keys())
    return Verdict(
        windows=len(truth),
        right=right,
        wrong=len(truth) - missing - right,
        missing=missing,
        extra=len(windows.keys() - truth.keys()),
    )


def last_line(log: Path) -> str:
    """The end of what a program said before it died, without the stack of a Java exception."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines()]
    told = [line for line in lines if line and not JAVA_STACK.match(line)]
    return told[-1][:LOG_LINE_CHARS] if told else ""
