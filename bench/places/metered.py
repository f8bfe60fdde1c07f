"""The traffic of a measurement store out of a directory into PostgreSQL, by tag and half second.

First all at once, as a backlog; then line by line into a file that grows, at the rate of the store, while the
database is asked for the last window that is there.
"""

import json
import shutil
import subprocess
import time
from itertools import chain
from pathlib import Path
from typing import Any, Final

import psycopg

from bench.latency import spread
from bench.measure import usual_environment
from bench.places.beside import cpu_seconds, database, empty, run_of
from bench.places.sinks import append, fresh, wait_for_tables
from bench.places.usage import HOME
from bench.processes import sample
from bench.scratch import succeed, verb
from bench.topics import Told
from streamagg.tools.measurements import MeasurementSettings, measurements
from tests.support.postgres import Postgres

RATE: Final = 10_000
"""Measurements a second."""
BACKLOG: Final = 600_000
LIVE_S: Final = 30
STEP_S: Final = 0.1
START_S: Final = 60.0
READING: Final = ("--time-field", "time", "--time-unit", "ns", "--user-field", "none")
COUNTING: Final = (
    *("--group-by", "tag", "--granularity", "500ms", "--max-lag", "500ms"),
    *("--measure", "mean=avg(values.0)", "--measure", "top=max(values.0)", "--measure", "flow=sum(values.1)"),
)
_LAST: Final = """
    SELECT extract(epoch FROM max("end"))::float8 FROM streamagg_results
    WHERE job = 'streamagg' AND calendar IS NULL AND key = ''
"""


def measure(quick: bool, told: Told) -> dict[str, Any]:
    """Both of it."""
    HOME.mkdir(parents=True, exist_ok=True)
    with database() as server:
        told("a backlog of measurements")
        backlog = as_a_backlog(server, BACKLOG // (10 if quick else 1))
        told(f"{backlog}\n{RATE} measurements a second")
        live = as_they_come(server, LIVE_S // (3 if quick else 1))
        told(f"{live}")
    return {"rate": RATE, "backlog": backlog, "live": live}


def as_a_backlog(server: Postgres, count: int) -> dict[str, Any]:
    """As fast as it can."""
    source, url = fresh("measured"), empty(server)
    source.mkdir()
    (source / "0.jsonl").write_bytes(b"\n".join(lines(count)) + b"\n")
    stats, log = HOME / "measured.json", HOME / "measured.log"
    log.unlink(missing_ok=True)
    before = cpu_seconds(server)
    cost = succeed(run_of(source, url, *READING, *COUNTING, "--stats-json", str(stats)), log)
    server_s = cpu_seconds(server) - before
    shutil.rmtree(source)
    counters = json.loads(stats.read_bytes())
    rows, records = stored(url)
    seconds = counters["seconds"]
    return {
        "measurements": count,
        "missing": count - records,
        "seconds": seconds,
        "measurements_per_second": round(count / seconds),
        "rows": rows,
        "rows_per_second": round(rows / seconds),
        "cpu_us_a_measurement": round(cost.cpu_seconds / count * 1e6, 2),
        "server_cpu_us_a_measurement": round(server_s / count * 1e6, 2),
    }


def as_they_come(server: Postgres, seconds: int) -> dict[str, Any]:
    """At the rate of the store; how long after its end each window is there."""
    source, url = fresh("measured"), empty(server)
    source.mkdir()
    file, made = source / "0.jsonl", lines(RATE * (seconds + 2))
    append(file, made[0] + b"\n")
    command = verb("run", "--input", f"dir:{source}", "--output", url, *READING, *COUNTING)
    command += ["--idle-timeout", "1h", "--http", "off"]
    with (HOME / "measured.log").open("wb") as log:
        run = subprocess.Popen(command, stderr=log, stdout=log, env=usual_environment())
        try:
            wait_for_tables(url, HOME / "measured.log")
            found = _at_the_rate(url, file, made, seconds, [run.pid, *_children(run.pid)])
        finally:
            run.terminate()
            run.wait(START_S)
    shutil.rmtree(source)
    return found


def _at_the_rate(url: str, file: Path, made: list[bytes], seconds: int, pids: list[int]) -> dict[str, Any]:
    step, first_s = round(RATE * STEP_S), json.loads(made[0])["time"] / 1e9
    behind_ms: list[float] = []
    seen_s, cpu = 0.0, sum(map(_cpu_seconds, pids))
    began = time.perf_counter()
    with psycopg.connect(url, autocommit=True) as connection:
        for number in range(round(seconds / STEP_S)):
            # The measurements of a step are there when it is over.
            time.sleep(max(0.0, began + (number + 1) * STEP_S - time.perf_counter()))
            append(file, b"\n".join(made[1 + number * step : 1 + (number + 1) * step]) + b"\n")
            ((end_s,),) = connection.execute(_LAST).fetchall()
            if end_s is not None and end_s > seen_s:
                seen_s = end_s
                behind_ms.append((time.perf_counter() - began - (end_s - first_s)) * 1e3)
        took = time.perf_counter() - began
        cores = (sum(map(_cpu_seconds, pids)) - cpu) / took
    rows, records = stored(url)
    return {
        "seconds": round(took, 1),
        "measurements_per_second": round(seconds * RATE / took),
        "rows": rows,
        "rows_per_second": round(rows / took),
        "behind_ms": spread(behind_ms),
        "not_yet_there": seconds * RATE - records,
        "cores": round(cores, 2),
    }


def stored(url: str) -> tuple[int, int]:
    """Rows of groups, and the measurements that are in windows."""
    with psycopg.connect(url) as connection:
        ((rows, records),) = connection.execute(
            "SELECT count(*) FILTER (WHERE key <> ''),"
            " coalesce(sum(records) FILTER (WHERE key = ''), 0)::bigint FROM streamagg_results"
        ).fetchall()
    return rows, records


def lines(count: int) -> list[bytes]:
    """Of ``generate --shape measurements``, in order of time."""
    return list(chain.from_iterable(measurements(MeasurementSettings(count, rate=RATE))))


def _children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()]


def _cpu_seconds(pid: int) -> float:
    found = sample(pid)
    return 0.0 if found is None else found.cpu_seconds
