"""What one would take instead, asked for the same samples of the same rows.

One question after the other: programs and their servers by their own clients in one process, without HTTP and
JSON; ``serve`` over HTTP. Each is given the index or the order that suits it.
"""

import json
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
import psycopg

from bench.contender import NotAvailable
from bench.contenders.query_engines import ENVIRONMENT
from bench.environment import own_versions
from bench.latency import spread
from bench.scratch import DIRECTORY
from bench.serve.asking import POINTS, Interval, intervals, samples
from bench.serve.server import asked, served
from bench.serve.stores import HOME, MEASURES, SLICE, START_MS, chunks, made
from bench.topics import Told
from tests.support.postgres import Postgres, PostgresMissing

HOUR_MS: Final = 3_600_000
QUESTIONS: Final = 200
CHECKED: Final = 5
"""Questions whose answers are compared."""
HERE: Final = Path(__file__).parent
Samples = list[list[float | None]]
"""Of each measure."""
COLUMNS: Final = ", ".join(MEASURES)


def beside(quick: bool, told: Told) -> dict[str, Any]:
    """A row for each."""
    questions = [*intervals(QUESTIONS // 4 if quick else QUESTIONS, every=SLICE)]
    right: list[float] = []

    def look(answer: Any) -> None:
        if len(right) < CHECKED:
            right.append(checksum([answer["series"][name]["values"] for name in MEASURES]))

    with made("slice", told) as store, served(store) as server:
        ours = asked(
            server, "streamagg serve, over HTTP", [samples(*one) for one in questions], look, rate=None
        )
        rows = [{**ours, "disk_mb": _size_mb(store)}]
    for name, measure in OTHERS.items():
        told(name)
        try:
            found = measure(questions)
        except (NotAvailable, PostgresMissing) as reason:
            rows.append({"what": name, "unavailable": str(reason)})
            continue
        checked = found.pop("checksums")
        agree = np.allclose(checked, right, rtol=1e-9, atol=0)
        rows.append({"what": name, "agrees": bool(agree), **found})
    return {"rows": rows, "versions": own_versions("duckdb", "psycopg")}


def checksum(answer: Samples) -> float:
    """Of the samples of all measures, whose places count, too."""
    return sum(
        (place + 1) * value for column in answer for place, value in enumerate(column) if value is not None
    )


def timed(questions: Sequence[Interval], ask: Callable[[Interval], Samples]) -> dict[str, Any]:
    """How long it takes; the first tenth warms up."""
    took: list[float] = []
    checksums: list[float] = []
    for one in questions:
        began = time.perf_counter()
        answer = ask(one)
        took.append((time.perf_counter() - began) * 1e3)
        if len(checksums) < CHECKED:
            checksums.append(checksum(answer))
    kept = took[len(took) // 10 :]
    return {"questions": len(kept), "ms": spread(kept), "checksums": checksums}


def postgres(questions: Sequence[Interval]) -> dict[str, Any]:
    """A look into the index for each sample: what somebody writes who knows it."""
    server = Postgres({"shared_buffers": "1GB", "max_wal_size": "8GB"})
    try:
        server.start()
        with psycopg.connect(server.url(), autocommit=True) as connection:
            loading = _load(connection)
            size = connection.execute("SELECT pg_total_relation_size('measured')").fetchone()
            assert size is not None
            found = timed(questions, lambda one: _of_postgres(connection, one))
        return {**found, "loading_s": loading, "disk_mb": round(size[0] / 1e6)}
    finally:
        server.remove()


def _load(connection: "psycopg.Connection[Any]") -> int:
    began = time.perf_counter()
    columns = ", ".join(f"{name} float8" for name in MEASURES)
    connection.execute(f"CREATE UNLOGGED TABLE measured (tag int, ts bigint, {columns})".encode())
    fields = [("count", ">i2"), ("l0", ">i4"), ("tag", ">i4"), ("l1", ">i4"), ("ts", ">i8")]
    fields += [(f"{kind}{name}", form) for name in MEASURES for kind, form in (("l", ">i4"), ("", ">f8"))]
    with connection.cursor().copy("COPY measured FROM STDIN (FORMAT BINARY)") as copy:
        copy.write(b"PGCOPY\n\xff\r\n\0" + bytes(8))
        for found in chunks(SLICE):
            rows = np.zeros(len(found.starts), fields)
            rows["count"], rows["l0"], rows["l1"] = 2 + len(MEASURES), 4, 8
            rows["tag"], rows["ts"] = found.tags, found.starts
            for name, column in zip(MEASURES, found.values, strict=True):
                rows[f"l{name}"], rows[name] = 8, column
            copy.write(rows.tobytes())
        copy.write(b"\xff\xff")
    connection.execute("CREATE INDEX ON measured (tag, ts)")
    connection.execute("VACUUM ANALYZE measured")
    return round(time.perf_counter() - began)


def _of_postgres(connection: "psycopg.Connection[Any]", one: Interval) -> Samples:
    tag, begin_s, end_s = one
    begin, length = begin_s * 1_000, (end_s - begin_s) * 1_000
    # Times are whole milliseconds: a period begins at its edge, rounded up.
    query = f"""SELECT {COLUMNS} FROM generate_series(0, {POINTS - 1}) period LEFT JOIN LATERAL (
        SELECT {COLUMNS} FROM measured WHERE tag = {tag}
        AND ts >= {begin} + (period::bigint * {length} + {POINTS - 1}) / {POINTS}
        AND ts < {begin} + ((period + 1)::bigint * {length} + {POINTS - 1}) / {POINTS}
        ORDER BY ts DESC LIMIT 1) found ON true ORDER BY period"""
    return [list(column) for column in zip(*connection.execute(query.encode()).fetchall(), strict=True)]


@contextmanager
def _files() -> Iterator[Path]:
    """A Parquet file for each hour, sorted by tag and time; made once."""
    directory = HOME / "parquet"
    directory.mkdir(parents=True, exist_ok=True)
    by_hour: dict[int, list[Any]] = {}
    if not (directory / "made").exists():
        for found in chunks(SLICE):
            by_hour.setdefault((int(found.starts[0]) - START_MS) // HOUR_MS, []).append(found)
        for hour, parts in by_hour.items():
            rows = {
                name: np.concatenate([getattr(part, name) for part in parts]) for name in ("tags", "starts")
            }
            columns = {"tag": rows["tags"].astype(np.int32), "ts": rows["starts"]}
            values = np.concatenate([part.values for part in parts], axis=1)
            columns |= dict(zip(MEASURES, values, strict=True))
            file = directory / f"{hour:02}.parquet"
            duckdb.execute(f"COPY (FROM columns ORDER BY tag, ts) TO '{file}' (COMPRESSION zstd)")
        (directory / "made").touch()
    yield directory


def parquet(questions: Sequence[Interval]) -> dict[str, Any]:
    """The files of the hours that a question touches."""
    with _files() as directory:
        connection = duckdb.connect()
        found = timed(questions, lambda one: _of_parquet(connection, directory, one))
        connection.close()
        return {**found, "disk_mb": _size_mb(directory)}


def _of_parquet(connection: duckdb.DuckDBPyConnection, directory: Path, one: Interval) -> Samples:
    tag, begin_s, end_s = one
    begin, length = begin_s * 1_000, (end_s - begin_s) * 1_000
    hours = range((begin - START_MS) // HOUR_MS, (begin + length - 1 - START_MS) // HOUR_MS + 1)
    last = ", ".join(f"max_by({name}, ts)" for name in MEASURES)
    period, *columns = (
        connection.execute(
            f"SELECT ((ts - {begin}) * {POINTS}) // {length} AS period, {last} FROM read_parquet(?)"
            f" WHERE tag = {tag} AND ts >= {begin} AND ts < {begin + length} GROUP BY period",
            [[str(directory / f"{hour:02}.parquet") for hour in hours]],
        )
        .fetchnumpy()
        .values()
    )
    placed = np.full((len(MEASURES), POINTS), None, object)
    for row, column in zip(placed, columns, strict=True):
        row[period] = column
    return [row.tolist() for row in placed]


def chdb(questions: Sequence[Interval]) -> dict[str, Any]:
    """In the Python that the contenders share; it loads the Parquet files."""
    cache = DIRECTORY / "cache"
    ENVIRONMENT.install(cache)
    with _files() as directory:
        command = [str(ENVIRONMENT.python(cache)), str(HERE / "ask_chdb.py"), str(directory)]
        done = subprocess.run(
            command, input=json.dumps(questions), capture_output=True, text=True, check=False
        )
    if done.returncode:
        raise NotAvailable(done.stderr[-300:])
    answers: dict[str, Any] = json.loads(done.stdout)
    took = answers.pop("took_ms")
    kept = took[len(took) // 10 :]
    checksums = [checksum(one) for one in answers.pop("answers")]
    return {**answers, "questions": len(kept), "ms": spread(kept), "checksums": checksums}


def _size_mb(directory: Path) -> int:
    return round(sum(file.stat().st_size for file in directory.rglob("*") if file.is_file()) / 1e6)


OTHERS: Final[dict[str, Callable[[Sequence[Interval]], dict[str, Any]]]] = {
    "PostgreSQL, index on tag and time": postgres,
    "DuckDB on Parquet files by hour": parquet,
    "ClickHouse (chDB), ordered by tag and time": chdb,
}
