"""Questions to stores that nothing is added to, and the same to DuckDB by hand in the same minute."""

import time
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlencode

import duckdb
import numpy as np

from bench.latency import spread
from bench.serve.server import asked, served
from bench.serve.stores import DAY_MS, DAYS, GROUPS, MEASURES, START_MS, made, tag
from bench.topics import Told
from streamagg.serve.store.file import NAME

TOP: Final = 100
POINTS: Final = 1_000
START_S: Final = START_MS // 1_000
DAY_S: Final = DAY_MS // 1_000
LEAST_S: Final = 600
Interval = tuple[int, int, int]
"""Tag, begin and end in seconds."""


def intervals(questions: int, least_s: int = LEAST_S, every: int = 1) -> Iterator[Interval]:
    """Of one of the top tags, from so long up to 24 h, anywhere in these."""
    random = np.random.default_rng(7)
    for _ in range(questions):
        length = int(random.integers(least_s, DAY_S + 1))
        begin = START_S + int(random.integers(0, DAY_S - length + 1))
        yield int(random.integers(0, TOP // every)) * every, begin, begin + length


def samples(number: int, begin_s: float, end_s: float) -> str:
    """1,000 samples of all measures."""
    query = {
        "from": begin_s,
        "to": end_s,
        "points": POINTS,
        "measure": ",".join(MEASURES),
        "group.tag": tag(number),
    }
    return f"/v1/series?{urlencode(query)}"


def series(quick: bool, told: Told) -> dict[str, Any]:
    """The measurement store at its full size."""
    questions = 60 if quick else 600
    with made("series", told) as store:
        with served(store) as server:
            rows = [
                asked(server, "10 min to 24 h", [samples(*one) for one in intervals(questions)]),
                asked(server, "24 h", [samples(*one) for one in intervals(questions // 3, DAY_S)]),
            ]
        rows.append(by_hand(store / NAME, [*intervals(questions // 3)]))
    return {"rows": rows}


def by_hand(file: Any, asked_for: list[Interval]) -> dict[str, Any]:
    """What the largest part of it takes in this minute on this machine: one query of DuckDB in this process,
    without HTTP, JSON, and a writer."""
    connection = duckdb.connect(str(file), read_only=True)
    numbers = dict(connection.execute("SELECT text, number FROM groups").fetchall())
    last = ", ".join(f"max_by(m{number}, ts)" for number in range(len(MEASURES)))
    took = []
    for one, begin_s, end_s in asked_for:
        began = time.perf_counter()
        begin, length = begin_s * 1_000, (end_s - begin_s) * 1_000
        group = numbers[f'["{tag(one)}"]']
        connection.execute(
            f"SELECT ((ts - {begin}) * {POINTS}) // {length} AS period, {last} FROM rows_1"
            f" WHERE grp = {group} AND ts >= {begin} AND ts < {begin + length}"
            " GROUP BY period"
        ).fetchnumpy()
        took.append((time.perf_counter() - began) * 1e3)
    connection.close()
    return {
        "what": "10 min to 24 h, DuckDB in one process, no HTTP",
        "questions": len(took) * 9 // 10,
        "ms": spread(took[len(took) // 10 :]),
    }


def users(quick: bool, told: Told) -> dict[str, Any]:
    """30 days of minutes, ends anywhere; and windows of a day."""
    random = np.random.default_rng(8)
    questions = 30 if quick else 200
    all_s = DAYS * DAY_S
    cut = [random.integers(60, 43_000, 2).tolist() for _ in range(questions)]
    ranges = [f"from={START_S + begin}&to={START_S + all_s - end}" for begin, end in cut]
    new = [f"{query}&not={START_S}/{START_S + 7 * DAY_S}" for query in ranges]
    days = [START_S + DAY_S * int(random.integers(0, DAYS)) for _ in range(questions)]
    with made("users", told) as store, served(store) as server:
        return {
            "rows": [
                asked(server, "users of 30 days", [f"/v1/users?{query}" for query in ranges]),
                asked(server, "the same, not in the first week", [f"/v1/users?{query}" for query in new]),
                asked(
                    server,
                    "windows of a day",
                    [f"/v1/windows?from={day}&to={day + DAY_S}&limit=2000" for day in days],
                ),
            ]
        }


def groups(quick: bool, told: Told) -> dict[str, Any]:
    """200 groups: disk and memory, and what questions take."""
    random = np.random.default_rng(9)
    questions = 20 if quick else 100
    whole = f"from={START_S}&to={START_S + DAYS * DAY_S}"
    day = f"from={START_S}&to={START_S + DAY_S}&limit=2000"
    names = [f"group-{random.integers(0, GROUPS)}" for _ in range(questions)]
    with made("groups", told) as store, served(store) as server:
        rows = [
            asked(server, "samples of a group", [f"/v1/series?{whole}&group.tag={name}" for name in names]),
            asked(
                server,
                "top 20, by records",
                [f"/v1/top?{whole}&by=tag&order=records"] * (questions // 3),
                rate=1,
            ),
            asked(
                server, "windows of a day of a group", [f"/v1/windows?{day}&group.tag={one}" for one in names]
            ),
        ]
        size = sum(file.stat().st_size for file in store.glob("history*"))
        return {"rows": rows, "disk_mb": round(size / 1e6), "memory_mb": server.memory_mb}
