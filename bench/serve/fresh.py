"""The measurement store at work: a producer, Kafka, the engine and ``serve`` on one machine, 24 h of history.

The last 33 minutes of it came minute by minute, so that they are short segments and a tail. Half of the
questions are about intervals that end at the freshest window, where the newest value of an answer tells how
long ago it left the producer.
"""

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from bench.latency import spread
from bench.measure import usual_environment
from bench.processes import sample
from bench.scratch import DIRECTORY, Site, site, verb
from bench.serve.asking import intervals, samples
from bench.serve.produce import RATE
from bench.serve.server import RATE as QUESTIONS_A_SECOND
from bench.serve.server import Server, asked, served
from bench.serve.stores import (
    DAY_MS,
    HALF_SECOND_MS,
    HOME,
    MEASURES,
    START_MS,
    chunk,
    made,
    of_measurements,
)
from bench.topics import Told
from streamagg.serve.store.store import Store

MINUTES: Final = 33
"""So much that a segment is sorted meanwhile, and none are merged: that happens once in 37 minutes."""
MINUTE_MS: Final = 60_000
PARTITIONS: Final = 4
MAX_LAG_MS: Final = 200
WARMING_S: Final = 15
BEGIN_MS: Final = START_MS + DAY_MS + MINUTES * MINUTE_MS
"""What time it is when the producer begins."""


def fresh(quick: bool, told: Told) -> dict[str, Any]:
    """How long answers take, and how old their newest values are."""
    seconds = 20 if quick else 90
    with made("series", told) as store, site(None, DIRECTORY) as place:
        told("copying the store")
        with copied(store) as live, place.topics(PARTITIONS, 1) as (measured, counts):
            return {
                "messages_a_second": RATE,
                "max_lag_ms": MAX_LAG_MS,
                **_measured(place, live, measured, counts, seconds),
            }


@contextmanager
def copied(store: Path) -> Iterator[Path]:
    """With some minutes more, stored as they come."""
    live = HOME / "live"
    shutil.rmtree(live, ignore_errors=True)
    shutil.copytree(store, live)
    try:
        writer = Store(live)
        for begin_ms in range(START_MS + DAY_MS, BEGIN_MS, MINUTE_MS):
            writer.append(of_measurements(chunk(begin_ms, MINUTE_MS)))
            writer.sort()
        writer.close()
        yield live
    finally:
        shutil.rmtree(live, ignore_errors=True)


def _measured(place: Site, live: Path, measured: str, counts: str, seconds: int) -> dict[str, Any]:
    kafka = ("--bootstrap-servers", place.bootstrap)
    with (
        _running(_engine(measured, counts, *kafka), "engine") as engine,
        served(live, "--from", counts, *kafka) as server,
    ):
        command = [sys.executable, "-m", "bench.serve.produce", place.bootstrap, measured]
        command += [str(BEGIN_MS), str(WARMING_S + seconds + 30)]
        with _running(command, "producer") as producer:
            assert producer.stdout is not None
            began = float(producer.stdout.readline())
            time.sleep(WARMING_S)
            pids = {"engine": engine.pid, "serve": server.process.pid, "producer": producer.pid}
            if place.broker_pid is not None:
                pids["broker"] = place.broker_pid
            return _asked(server, began, pids, seconds)


def _engine(measured: str, counts: str, *kafka: str) -> list[str]:
    command = verb("run", *kafka, "--input", measured, "--output", counts, "--group", counts)
    command += ["--user-field", "none", "--time-field", "time", "--time-unit", "ns", "--group-by", "tag"]
    command += ["--granularity", f"{HALF_SECOND_MS}ms", "--max-lag", f"{MAX_LAG_MS}ms", "--http", "off"]
    for number, name in enumerate(MEASURES):
        command += ["--measure", f"{name}=last(values.{number})"]
    return [*command, "--unmarshallers", "1", "--log-format", "json"]


@contextmanager
def _running(command: Sequence[str], name: str) -> Iterator["subprocess.Popen[str]"]:
    with (
        (HOME / f"{name}.log").open("wb") as log,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, text=True, env=usual_environment()
        ) as process,
    ):
        try:
            yield process
        finally:
            process.terminate()


def _asked(server: Server, began: float, pids: dict[str, int], seconds: int) -> dict[str, Any]:
    """Every other question is about what is freshest."""
    ages: list[float] = []

    def look(answer: Any) -> None:
        newest = [one for one in answer["series"][MEASURES[0]]["values"] if one is not None][-1]
        if answer["to"] * 1_000 > BEGIN_MS:
            ages.append((time.time() - began) * 1e3 - newest)

    targets = []
    for number, (tag, begin_s, end_s) in enumerate(intervals(int(seconds * QUESTIONS_A_SECOND))):
        anywhere = samples(tag, begin_s, end_s)
        targets.append(
            anywhere
            if number % 2
            else anywhere.replace(f"from={begin_s}&to={end_s}", f"from=-{end_s - begin_s}s")
        )
    cpu, before = {name: _cpu_s(pid) for name, pid in pids.items()}, time.perf_counter()
    found = asked(server, "10 min to 24 h, half of them up to now", targets, look)
    took = time.perf_counter() - before
    return {
        "rows": [found],
        "age_ms": spread(ages),
        "cores": {name: round((_cpu_s(pid) - cpu[name]) / took, 2) for name, pid in pids.items()},
    }


def _cpu_s(pid: int) -> float:
    """With its children, as they are now."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()
    found = [sample(one) for one in (pid, *map(int, children))]
    return sum(one.cpu_seconds for one in found if one is not None)
