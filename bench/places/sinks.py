"""How many rows of results a second get into PostgreSQL and into a directory, and how soon they are there.

1. Windows of 10,000 groups, each published by itself: by the sink, and in turn by hand into the same table,
   which is the same rows as lines of ``COPY`` that are made before, into a temporary table, and from there by
   ``INSERT`` with ``ON CONFLICT``; and small ones.
2. A run from a directory, with a row of results for each record.
3. A run that goes on: from when the record that closes a window of 10,000 groups is written to when all of it
   is seen in the database.
"""

import json
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import psycopg

from bench.latency import spread
from bench.measure import usual_environment
from bench.places.beside import cpu_seconds, database, empty, published, run_of
from bench.places.usage import HOME
from bench.scratch import succeed, verb
from bench.topics import Told
from streamagg.core.checkpoint import Checkpoint
from streamagg.core.partition_clock import PartitionState
from streamagg.core.windows import Windows
from streamagg.model.measured import PublisherNumbers
from streamagg.model.results import RECORDS, USERS, Groups, Value, WindowTable
from streamagg.model.settings import DecodeSettings, MeasureSettings, RunSettings
from streamagg.sinks.contract import Publication
from streamagg.sinks.directory.files import Disk
from streamagg.sinks.directory.output import Output as DirectoryOutput
from streamagg.sinks.postgres.rows import COLUMNS, lines
from streamagg.sinks.postgres.sink import PostgresSink
from streamagg.sinks.postgres.transaction import Output as PostgresOutput
from tests.support.postgres import Postgres

GROUPS: Final = 10_000
WINDOWS: Final = 20
SMALL: Final = 10
"""Groups of a small window."""
SMALL_WINDOWS: Final = 500
FIRST: Final = 24_474_240
"""A window of a minute."""
DECODE: Final = DecodeSettings(
    group_by=("client",),
    measures=(MeasureSettings("used", "sum", "amount"), MeasureSettings("top", "max", "amount")),
)
GROUPED: Final = ("--group-by", "client", "--measure", "used=sum(amount)", "--measure", "top=max(amount)")
GOALS: Final = {"rows_per_second": 20_000, "visible_ms": 1_000}
RUN_WINDOWS: Final = 50
SEEN_WINDOWS: Final = 20
LAG_S: Final = 5
START_S: Final = 60.0
LOOK_S: Final = 0.005
_COLUMNS: Final = ", ".join(COLUMNS)
_BY_HAND: Final = (
    f"INSERT INTO streamagg_results (job, {_COLUMNS}) SELECT 'hand', {_COLUMNS} FROM by_hand"
    f" ON CONFLICT (job, calendar, ts, key) DO UPDATE SET ({_COLUMNS})"
    f" = ROW ({', '.join(f'excluded.{column}' for column in COLUMNS)})"
)


def measure(quick: bool, told: Told) -> dict[str, Any]:
    """All of it."""
    HOME.mkdir(parents=True, exist_ok=True)
    with database() as server:
        told("rows of results into PostgreSQL")
        alone = into_postgres(server)
        told(f"{alone}\nrows of results into a directory")
        files = into_directory()
        told(f"{files}\nthe same beside the engine")
        beside = beside_the_engine(server, RUN_WINDOWS // (5 if quick else 1))
        told(f"{beside}\nhow soon a window of {GROUPS} groups is there")
        seen = visible(server, SEEN_WINDOWS // (4 if quick else 1))
        told(f"{seen}")
    return {
        "goals": GOALS,
        "postgres": alone,
        "directory": files,
        "beside_the_engine": beside,
        "visible": seen,
    }


def window(number: int, groups: int) -> WindowTable:
    """Full of made-up numbers."""
    random = np.random.default_rng(number)
    columns: dict[str, list[int | float | None]] = {
        USERS: random.integers(1, 9, groups).tolist(),
        RECORDS: random.integers(1, 20, groups).tolist(),
        "used": (random.integers(0, 10**6, groups) / 100).tolist(),
        "top": random.integers(0, 100, groups).tolist(),
    }
    row = {USERS: Value(groups), RECORDS: Value(groups), "used": Value(0.5), "top": Value(99)}
    texts = [b'["client-%06d"]' % each for each in range(groups)]
    return WindowTable(number, False, row, Groups(groups, texts, columns))


def publication(table: WindowTable) -> Publication:
    """Of one window, from four partitions."""
    at = Checkpoint(PartitionState(table.window), table.window, table.window)
    return Publication((table,), dict.fromkeys(range(4), at))


@dataclass(slots=True)
class Cost:
    """What publishing windows one by one takes."""

    publish: Callable[[WindowTable], object]
    server: Postgres | None = None
    rows: int = 0
    took_s: list[float] = field(default_factory=list)
    cpu_s: float = 0.0
    server_s: float = 0.0

    def add(self, table: WindowTable) -> None:
        """Publish one."""
        began, cpu, server = time.perf_counter(), time.process_time(), self._of_server()
        self.publish(table)
        self.took_s.append(time.perf_counter() - began)
        self.cpu_s += time.process_time() - cpu
        self.server_s += self._of_server() - server
        self.rows += rows_of(table)

    def _of_server(self) -> float:
        return 0.0 if self.server is None else cpu_seconds(self.server)

    @property
    def rows_per_second(self) -> float:
        """While it publishes."""
        return self.rows / sum(self.took_s)

    def found(self) -> dict[str, float]:
        """For the file of results."""
        return {
            "rows_per_second": round(self.rows_per_second),
            "cpu_us_a_row": round(self.cpu_s / self.rows * 1e6, 2),
            "server_cpu_us_a_row": round(self.server_s / self.rows * 1e6, 2),
            "ms_a_window": round(statistics.median(self.took_s) * 1e3, 1),
            "ms_at_most": round(max(self.took_s) * 1e3, 1),
        }


def rows_of(table: WindowTable) -> int:
    """That of all groups together, and one of each."""
    return 1 if table.groups is None else 1 + len(table.groups.texts)


def into_postgres(server: Postgres) -> dict[str, Any]:
    """New rows, then the same once more, and both by hand, in turn; then small windows."""
    url = empty(server)
    settings = RunSettings("in", url, decode=DECODE)
    PostgresSink(settings, lambda point: None).make()
    tables = [window(FIRST + number, GROUPS) for number in range(WINDOWS)]
    by_hand = _ByHand(url, tables)
    found: dict[str, Any] = {}
    for name in ("new", "again"):
        with _output(settings) as publish:
            # The first one warms up, and finds out whether rows are there.
            publish(window(FIRST - 1, GROUPS))
            ours, theirs = Cost(publish, server), Cost(by_hand.publish, server)
            for table in tables:
                ours.add(table)
                theirs.add(table)
        found[name], found[f"{name}_by_hand"] = ours.found(), theirs.found()
        found[f"{name}_of_by_hand"] = round(ours.rows_per_second / theirs.rows_per_second, 2)
    by_hand.close()
    with _output(settings) as publish:
        small = Cost(publish, server)
        for number in range(SMALL_WINDOWS):
            small.add(window(FIRST + 1_000 + number, SMALL))
    found["small"] = small.found()
    return found


@contextmanager
def _output(settings: RunSettings) -> Iterator[Callable[[WindowTable], None]]:
    output = PostgresOutput(settings, "bench", lambda: None, lambda point: None, PublisherNumbers())
    output.open(lambda: True)
    try:
        yield lambda table: output.publish(publication(table), time.monotonic())
    finally:
        output.close()


class _ByHand:
    """What somebody would write who wants just the rows in the table."""

    def __init__(self, url: str, tables: Sequence[WindowTable]) -> None:
        self._connection = psycopg.connect(url, autocommit=True)
        self._connection.execute(
            "CREATE TEMPORARY TABLE by_hand ON COMMIT DELETE ROWS"
            f" AS SELECT {_COLUMNS} FROM streamagg_results WITH NO DATA".encode()
        )
        windows = Windows(RunSettings("in", "out").window)
        self._rows = {table.window: b"".join(lines(windows, table, DECODE.group_by)) for table in tables}

    def publish(self, table: WindowTable) -> None:
        """One transaction."""
        with self._connection.transaction():
            with (
                self._connection.cursor() as cursor,
                cursor.copy(f"COPY by_hand ({_COLUMNS}) FROM STDIN".encode()) as copy,
            ):
                copy.write(self._rows[table.window])
            self._connection.execute(_BY_HAND.encode())

    def close(self) -> None:
        self._connection.close()


def into_directory() -> dict[str, Any]:
    """JSON lines and Parquet, written to last."""
    found: dict[str, Any] = {}
    for name, count, groups in (("large", WINDOWS, GROUPS), ("small", SMALL_WINDOWS, SMALL)):
        root = fresh("sink")
        root.mkdir()
        settings = RunSettings("in", f"dir:{root}", decode=DECODE)
        numbers = PublisherNumbers()
        output = DirectoryOutput(
            settings, "there", Disk(root), "bench", lambda: None, lambda point: None, numbers
        )
        output.open(lambda: True)
        cost = Cost(_publishing(output))
        for number in range(count):
            cost.add(window(FIRST + number, groups))
        found[name] = cost.found()
        shutil.rmtree(root)
    return found


def _publishing(output: DirectoryOutput) -> Callable[[WindowTable], None]:
    return lambda table: output.publish(publication(table), time.monotonic())


def beside_the_engine(server: Postgres, windows: int) -> dict[str, Any]:
    """A run of a directory with a row for each record, into both; all rows have to be there."""
    source = fresh("rows")
    _write_rows(source, windows)
    found = {}
    url = empty(server)
    before = cpu_seconds(server)
    found["postgres"] = _run(source, url, windows)
    found["postgres"]["server_cpu_seconds"] = round(cpu_seconds(server) - before, 2)
    found["postgres"]["missing"] = windows * (GROUPS + 1) - _count_rows(url)
    root = fresh("sink")
    found["directory"] = _run(source, f"dir:{root}", windows)
    found["directory"]["missing"] = windows * (GROUPS + 1) - sum(1 for _ in published(root))
    shutil.rmtree(root)
    shutil.rmtree(source)
    return found


def _run(source: Path, output: str, windows: int) -> dict[str, Any]:
    log, stats = HOME / "sinks.log", HOME / "sinks.json"
    log.unlink(missing_ok=True)
    more = ("--granularity", "1s", *GROUPED, "--settle", "0s", "--stats-json", str(stats))
    cost = succeed(run_of(source, output, *more), log)
    seconds = json.loads(stats.read_bytes())["seconds"]
    return {
        "rows": windows * (GROUPS + 1),
        "seconds": seconds,
        "rows_per_second": round(windows * (GROUPS + 1) / seconds),
        "cpu_seconds": cost.cpu_seconds,
        "peak_mb": round(cost.peak_bytes / 1e6),
    }


def _count_rows(url: str) -> int:
    with psycopg.connect(url) as connection:
        ((count,),) = connection.execute("SELECT count(*) FROM streamagg_results").fetchall()
    return int(count)


def _write_rows(source: Path, windows: int) -> None:
    """A record of each group in each second, over four directories."""
    for part in range(4):
        (source / str(part)).mkdir(parents=True)
        with (source / str(part) / "0.jsonl").open("wb") as file:
            for number in range(windows):
                file.write(records_of(number, range(part, GROUPS, 4)))


def records_of(second: int, groups: Sequence[int]) -> bytes:
    """One of each group."""
    time_s = FIRST * 60 + second
    return b"".join(
        [
            b'{"ts":%d,"uid":"user-%d","client":"client-%06d","amount":%d.%02d}\n'
            % (time_s, group % 997, group, group % 200, group % 100)
            for group in groups
        ]
    )


def visible(server: Postgres, windows: int) -> dict[str, Any]:
    """Milliseconds from the record that closes a window of all groups to the window in the database."""
    source, url = fresh("live"), empty(server)
    source.mkdir()
    file = source / "0.jsonl"
    file.write_bytes(records_of(0, range(1)))
    command = verb("run", "--input", f"dir:{source}", "--output", url, "--granularity", "1s", *GROUPED)
    command += ["--max-lag", f"{LAG_S}s", "--max-jump", "1h", "--idle-timeout", "1h", "--http", "off"]
    took = []
    with (HOME / "live.log").open("wb") as log:
        run = subprocess.Popen(command, stderr=log, stdout=log, env=usual_environment())
        try:
            wait_for_tables(url, HOME / "live.log")
            with psycopg.connect(url, autocommit=True) as connection:
                for number in range(windows):
                    second = (number + 1) * 2 * LAG_S
                    append(file, records_of(second, range(GROUPS)))
                    time.sleep(1.0)
                    append(file, records_of(second + LAG_S + 1, range(1)))
                    began = time.perf_counter()
                    _wait_for_window(connection, second, began)
                    took.append((time.perf_counter() - began) * 1e3)
        finally:
            run.terminate()
            run.wait(START_S)
    shutil.rmtree(source)
    return {"windows": windows, "groups": GROUPS, "ms": spread(took)}


def append(file: Path, content: bytes) -> None:
    """As who writes a log does."""
    with file.open("ab") as out:
        out.write(content)


def wait_for_tables(url: str, log: Path) -> None:
    """The run has begun to publish."""
    give_up = time.monotonic() + START_S
    while time.monotonic() < give_up:
        with psycopg.connect(url, autocommit=True) as connection:
            made = connection.execute("SELECT to_regclass('streamagg_checkpoints') IS NOT NULL").fetchone()
            if made == (True,) and connection.execute("SELECT FROM streamagg_jobs").fetchone() is not None:
                return
        time.sleep(0.1)
    raise TimeoutError(f"the run did not begin: {log.read_text()[-1000:]}")


def _wait_for_window(connection: psycopg.Connection, second: int, began: float) -> None:
    while time.perf_counter() < began + START_S:
        found = connection.execute(
            "SELECT count(*) FROM streamagg_results WHERE job = 'streamagg' AND calendar IS NULL"
            ' AND ts = to_timestamp(%s) AND "group" IS NOT NULL',
            (FIRST * 60 + second,),
        ).fetchone()
        if found == (GROUPS,):
            return
        time.sleep(LOOK_S)
    raise TimeoutError(f"window {second} did not come: {(HOME / 'live.log').read_text()[-1000:]}")


def fresh(name: str) -> Path:
    """Of nothing from before."""
    path = HOME / name
    shutil.rmtree(path, ignore_errors=True)
    return path
