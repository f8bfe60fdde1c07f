"""Loads Parquet files into a table of ClickHouse, and asks it: ``ask_chdb.py DIRECTORY < questions``.

Runs in a Python of its own, without streamagg. Writes the times of all answers and the first answers.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

from chdb.session import Session  # type: ignore[import-not-found]

POINTS = 1_000
MEASURES = [f"v{number}" for number in range(10)]
CHECKED = 5


def main(directory: str) -> None:
    """One table, one query for each question."""
    with tempfile.TemporaryDirectory() as place:
        session = Session(place)
        began = time.perf_counter()
        session.query("CREATE DATABASE history ENGINE = Atomic")
        columns = ", ".join(f"{name} Float64" for name in MEASURES)
        session.query(
            f"CREATE TABLE history.measured (tag Int32, ts Int64, {columns})"
            " ENGINE = MergeTree ORDER BY (tag, ts)"
        )
        session.query(f"INSERT INTO history.measured SELECT * FROM file('{directory}/*.parquet', Parquet)")
        session.query("OPTIMIZE TABLE history.measured FINAL")
        loading = round(time.perf_counter() - began)
        took: list[float] = []
        answers: list[list[list[float | None]]] = []
        for one in json.load(sys.stdin):
            began = time.perf_counter()
            answer = _ask(session, *one)
            took.append((time.perf_counter() - began) * 1e3)
            if len(answers) < CHECKED:
                answers.append(answer)
        size = sum(file.stat().st_size for file in Path(place).rglob("*") if file.is_file())
        print(
            json.dumps(
                {"took_ms": took, "answers": answers, "loading_s": loading, "disk_mb": round(size / 1e6)}
            )
        )


def _ask(session: Session, tag: int, begin_s: int, end_s: int) -> list[list[float | None]]:
    begin, length = begin_s * 1_000, (end_s - begin_s) * 1_000
    last = ", ".join(f"argMax({name}, ts)" for name in MEASURES)
    rows = json.loads(
        session.query(
            f"SELECT intDiv((ts - {begin}) * {POINTS}, {length}) AS period, {last} FROM history.measured"
            f" WHERE tag = {tag} AND ts >= {begin} AND ts < {begin + length} GROUP BY period",
            "JSONCompact",
        ).bytes()
    )["data"]
    placed: list[list[float | None]] = [[None] * POINTS for _ in MEASURES]
    for period, *values in rows:
        for column, value in zip(placed, values, strict=True):
            column[int(period)] = value
    return placed


if __name__ == "__main__":
    main(sys.argv[1])
