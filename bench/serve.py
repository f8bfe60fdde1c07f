"""What questions to ``serve`` take, on a history of the real size: ``python -m bench.serve``.

Three stores, made once in ``.bench/serve`` (4 GB, some minutes):

``series``  24 h of the measurement store: base windows of half a second of 2,000 tags, the n-th 0.99 times as
often as
            the one before, 10 measures each: 77 million rows
``users``   30 days of minutes of all users, 10,000 in each, with sketches, 1.4 GB of them
``groups``  30 days of minutes with 200 groups: 8.6 million rows

Each is served by ``streamagg serve`` and asked over HTTP, one question after the other at 10 a second. Prints
a table; ``python -m bench.serve NAME ...`` takes only these of ``series``, ``users``, ``groups``, ``live``.
"""

import asyncio
import http.client
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import numpy as np

from bench.scratch import DIRECTORY
from streamagg.core.measures.theta import compact_theta
from streamagg.serve.records import WINDOW, Rows
from streamagg.serve.store.store import Batch, SketchRow, Store
from streamagg.serve.store.unions import unite

HOME: Final = DIRECTORY / "serve"
START_MS: Final = 1_788_220_800_000
"""2026-09-01T00:00:00Z."""
DAY_MS: Final = 86_400_000
TAGS: Final = 2_000
MEASURES: Final = tuple(f"v{number}" for number in range(10))
HALF_SECOND_MS: Final = 500
USERS: Final = 10_000
GROUPS: Final = 200
DAYS: Final = 30
RATE: Final = 10.0
"""Questions a second."""
QUESTIONS: Final = 300
CLIENTS: Final = 1_000
LIVE_S: Final = 30


def rows(starts: Any, groups: Sequence[bytes | None], length_ms: int, counts: Any, measures: Any) -> Rows:
    """Of windows; ``starts`` and ``counts`` int64, shape ``(n,)``."""
    number = len(starts)
    return Rows(
        WINDOW,
        groups,
        [None if text is None else ("tag",) for text in groups],
        {
            "ts": starts,
            "span": np.full(number, length_ms),
            "granularity": np.full(number, length_ms),
            "cnt": counts,
            "records": counts,
            "flags": np.zeros(number, np.uint8),
            "error": np.ma.masked_array(np.zeros(number), True),
            "groups": np.ma.masked_array(np.zeros(number, np.int64), True),
        },
        measures,
        [],
    )


@contextmanager
def made(name: str, fill: Callable[[Store], None]) -> Iterator[Path]:
    """The directory of a store, made if it is not there."""
    directory = HOME / name
    if not (directory / "made").exists():
        began = time.perf_counter()
        store = Store(directory)
        fill(store)
        store.connection.execute("CHECKPOINT")
        store.close()
        (directory / "made").touch()
        print(f"made the store {name} in {time.perf_counter() - began:.0f} s", flush=True)
    yield directory


def behind(store: Store) -> int:
    """Where a filling that was ended goes on."""
    extent = store.extents.get(WINDOW)
    return START_MS if extent is None else extent.end_ms


def fill_series(store: Store) -> None:
    """Twelve minutes at once, in order of time, with the skew of the measurement store."""
    often = 1 - np.exp(-50 * 0.99 ** np.arange(TAGS))
    level = np.full((TAGS, len(MEASURES)), 100.0)
    texts = [f'["tag-{tag}"]'.encode() for tag in range(TAGS)]
    windows = 720_000 // HALF_SECOND_MS
    for begin_ms in range(behind(store), START_MS + DAY_MS, 720_000):
        random = np.random.default_rng(begin_ms)
        tags, starts, values = [], [], []
        for tag in np.flatnonzero(often > 1e-6).tolist():
            hit = np.flatnonzero(random.random(windows) < often[tag])
            steps = random.integers(-3, 4, size=(len(hit), len(MEASURES))) * 0.01
            found = level[tag] + np.cumsum(steps, axis=0)
            if len(hit):
                level[tag] = found[-1].round(2)
            tags.append(np.full(len(hit), tag))
            starts.append(begin_ms + hit * HALF_SECOND_MS)
            values.append(found.round(2))
        start = np.concatenate(starts)
        order = np.argsort(start, kind="stable")
        columns = np.ascontiguousarray(np.concatenate(values)[order].T)
        groups: list[bytes | None] = [texts[number] for number in np.concatenate(tags)[order].tolist()]
        measures = dict(zip(MEASURES, columns, strict=True))
        every = np.arange(begin_ms, begin_ms + 720_000, HALF_SECOND_MS)
        # Of all tags together, too: without these a window would not be there.
        of_all = {name: np.full(len(every), 100.0) for name in MEASURES}
        store.append(
            Batch(
                [
                    rows(every, [None] * len(every), HALF_SECOND_MS, np.full(len(every), 5_000), of_all),
                    rows(start[order], groups, HALF_SECOND_MS, np.ones(len(start), np.int64), measures),
                ]
            )
        )
        while store.sort():
            pass


def fill_users(store: Store) -> None:
    """Half of the users of a minute are those of the one before."""
    users = np.random.default_rng(2).integers(0, 2**64, USERS, dtype=np.uint64)
    minutes = DAYS * DAY_MS // 60_000
    for begin in range((behind(store) - START_MS) // 60_000, minutes, 1_440):
        random = np.random.default_rng(begin)
        starts = START_MS + 60_000 * np.arange(begin, begin + 1_440)
        sketches = []
        for start in starts.tolist():
            users[random.integers(0, USERS, USERS // 2)] = random.integers(
                0, 2**64, USERS // 2, dtype=np.uint64
            )
            sketches.append(SketchRow(WINDOW, start, None, compact_theta(distinct(users))))
        counts = np.full(1_440, USERS)
        store.append(Batch([rows(starts, [None] * 1_440, 60_000, counts, {})], sketches))
    while unite(store):
        pass


def distinct(users: Any) -> Any:
    """Ascending."""
    ordered = np.sort(users)
    return ordered[np.append(True, ordered[1:] != ordered[:-1])]


def fill_groups(store: Store) -> None:
    """All groups in all minutes."""
    texts: list[bytes | None] = [None, *(f'["group-{number}"]'.encode() for number in range(GROUPS))]
    for begin in range((behind(store) - START_MS) // 60_000, DAYS * 1_440, 720):
        random = np.random.default_rng(begin)
        starts = START_MS + 60_000 * np.repeat(np.arange(begin, begin + 720), GROUPS + 1)
        counts = random.integers(1, 5_000, len(starts))
        measures = {"bytes": random.integers(0, 10**6, len(starts)).astype(float)}
        store.append(Batch([rows(starts, texts * 720, 60_000, counts, measures)]))
        while store.sort():
            pass


class Served:
    """``streamagg serve`` on a store, following an output directory in which nothing is published yet."""

    def __init__(self, store: Path) -> None:
        self.directory = HOME / "published"
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True)
        self._size = self._commit = 0
        self.publish(b"")
        log = (HOME / "serve.log").open("wb")
        command = [sys.executable, "-m", "streamagg", "serve", "--from", f"dir:{self.directory}"]
        command += ["--store", str(store), "--listen", "127.0.0.1:18182", "--log-format", "json"]
        self.process = subprocess.Popen(command, stderr=log)
        while self.get("/readyz")[0] != 200:
            assert self.process.poll() is None, (HOME / "serve.log").read_text()
            time.sleep(0.1)

    def get(self, target: str) -> tuple[int, bytes]:
        """Status and body."""
        connection = http.client.HTTPConnection("127.0.0.1", 18182, timeout=60)
        try:
            connection.request("GET", target)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except ConnectionRefusedError:
            return 0, b""
        finally:
            connection.close()

    def publish(self, line: bytes) -> None:
        """One more record."""
        path = self.directory / "jsonl.jsonl"
        with path.open("ab") as file:
            file.write(line + b"\n" if line else b"")
        self._size = path.stat().st_size
        self._commit += 1
        files = [{"path": "jsonl.jsonl", "bytes": self._size, "records": self._commit, "publications": 1}]
        manifest = {"v": 1, "commit": self._commit, "days": {"2026-09-01": {"jsonl": files}}}
        new = self.directory / "new"
        new.write_text(json.dumps(manifest))
        new.rename(self.directory / "manifest.json")

    @property
    def cpu_s(self) -> float:
        """Seconds of all its threads."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100

    @property
    def rss_mb(self) -> float:
        """Resident memory."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(text.split("VmRSS:")[1].split()[0]) / 1_024


@contextmanager
def served(store: Path) -> Iterator[Served]:
    """While the context lasts."""
    found = Served(store)
    try:
        yield found
    finally:
        found.process.terminate()
        found.process.wait(60)


def asked(server: Served, name: str, targets: Sequence[str], rate: float = RATE) -> None:
    """Ask, one after the other at that rate, over one connection; print how long answers took."""
    connection = http.client.HTTPConnection("127.0.0.1", 18182, timeout=60)
    took, size = [], 0
    cpu_s = server.cpu_s
    for target in targets:
        began = time.perf_counter()
        connection.request("GET", target)
        answer = connection.getresponse()
        body = answer.read()
        took.append((time.perf_counter() - began) * 1e3)
        assert answer.status == 200, body
        size = max(size, len(body))
        time.sleep(max(0.0, 1 / rate - (time.perf_counter() - began)))
    connection.close()
    kept = took[len(took) // 10 :]
    middle, high = np.percentile(kept, [50, 99])
    cpu_ms = (server.cpu_s - cpu_s) / len(targets) * 1e3
    print(
        f"{name:48s} p50 {middle:6.1f}  p99 {high:6.1f}  most {max(kept):6.1f} ms, CPU {cpu_ms:.0f} ms,"
        f" {size:,} bytes, RSS {server.rss_mb:.0f} MB",
        flush=True,
    )


def ask_series() -> None:
    """The top 100 tags, any interval, 1,000 samples of 10 measures."""
    random = np.random.default_rng(7)
    with made("series", fill_series) as store, served(store) as server:
        for least_s, most_s, name in ((600, 86_400, "any of 10 min to 24 h"), (86_400, 86_400, "24 h")):
            targets = []
            for _ in range(QUESTIONS if least_s < most_s else QUESTIONS // 3):
                length = int(random.integers(least_s, most_s + 1))
                begin = START_MS // 1_000 + int(random.integers(0, 86_400 - length + 1))
                query = {
                    "from": begin,
                    "to": begin + length,
                    "points": 1_000,
                    "measure": ",".join(MEASURES),
                    "group.tag": f"tag-{random.integers(0, 100)}",
                }
                targets.append(f"/v1/series?{urlencode(query)}")
            asked(server, f"series of 77 million rows, {name}", targets)


def ask_users() -> None:
    """30 days of minutes, ends anywhere; and a day of windows."""
    random = np.random.default_rng(8)
    with made("users", fill_users) as store, served(store) as server:
        first_s, all_s = START_MS // 1_000, DAYS * 86_400
        many = [random.integers(60, 43_000, 2).tolist() for _ in range(100)]
        cut = [f"from={first_s + begin}&to={first_s + all_s - end}" for begin, end in many]
        asked(
            server, "users of 30 days less some hours at both ends", [f"/v1/users?{query}" for query in cut]
        )
        new = [f"{query}&not={first_s}/{first_s + 7 * 86_400}" for query in cut]
        asked(server, "the same, but not in the first week", [f"/v1/users?{query}" for query in new])
        days = [first_s + 86_400 * int(random.integers(0, DAYS)) for _ in range(100)]
        asked(
            server,
            "windows of a day",
            [f"/v1/windows?from={day}&to={day + 86_400}&limit=2000" for day in days],
        )


def ask_groups() -> None:
    """200 groups."""
    random = np.random.default_rng(9)
    with made("groups", fill_groups) as store, served(store) as server:
        size = sum(file.stat().st_size for file in store.glob("history*")) / 1e6
        print(f"30 days of minutes with 200 groups: {size:.0f} MB on disk, RSS {server.rss_mb:.0f} MB")
        first_s, all_s = START_MS // 1_000, DAYS * 86_400
        whole = f"from={first_s}&to={first_s + all_s}"
        groups = [f"group-{random.integers(0, GROUPS)}" for _ in range(100)]
        asked(
            server,
            "series of a group over 30 days",
            [f"/v1/series?{whole}&group.tag={name}" for name in groups],
        )
        asked(
            server,
            "top 20 of 200 groups over 30 days, by records",
            [f"/v1/top?{whole}&by=tag&order=records"] * 30,
        )
        asked(
            server,
            "windows of a day of a group",
            [
                f"/v1/windows?from={first_s}&to={first_s + 86_400}&limit=2000&group.tag={name}"
                for name in groups
            ],
        )


def ask_live() -> None:
    """1,000 clients, and a window each second."""
    with made("users", fill_users) as store, served(store) as server:
        idle = server.cpu_s
        time.sleep(10)
        idle = (server.cpu_s - idle) / 10
        told, cpu, latest = asyncio.run(_listen(server))
        print(
            f"{CLIENTS} live clients, a window each second: {told:,} events told, {cpu:.3f} cores"
            f" (idle {idle:.3f}), the last client had each {latest * 1e3:.0f} ms after it was published, at"
            f" the most; RSS {server.rss_mb:.0f} MB"
        )


async def _listen(server: Served) -> tuple[int, float, float]:
    told = 0
    published: dict[int, float] = {}
    latest = 0.0
    ready = asyncio.Event()
    connected = 0

    async def client() -> None:
        nonlocal told, latest, connected
        reader, writer = await asyncio.open_connection("127.0.0.1", 18182)
        writer.write(b"GET /v1/live HTTP/1.1\r\nHost: x\r\n\r\n")
        try:
            async for line in reader:
                if line.startswith(b"HTTP/1.1 200"):
                    connected += 1
                    if connected == CLIENTS:
                        ready.set()
                if line.startswith(b"data: ") and (at := json.loads(line[6:])["records"]) in published:
                    told += 1
                    latest = max(latest, time.perf_counter() - published[at])
        finally:
            writer.close()

    tasks = [asyncio.ensure_future(client()) for _ in range(CLIENTS)]
    await ready.wait()
    cpu_s, began = server.cpu_s, time.perf_counter()
    for number in range(1, LIVE_S + 1):
        start = START_MS // 1_000 + DAYS * 86_400 + 60 * number
        record = {"ts": start, "cnt": 5, "granularity": 60, "records": number, "partial": False, "v": 1}
        published[number] = time.perf_counter()
        server.publish(json.dumps(record).encode())
        await asyncio.sleep(1)
    cpu = (server.cpu_s - cpu_s) / (time.perf_counter() - began)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return told, cpu, latest


PARTS: Final[dict[str, Callable[[], None]]] = {
    "series": ask_series,
    "users": ask_users,
    "groups": ask_groups,
    "live": ask_live,
}


def main(names: Sequence[str]) -> int:
    """Measure what is named, or all; returns the exit code."""
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        print(f"There is no part {unknown[0]}; there are: {', '.join(PARTS)}.", file=sys.stderr)
        return 2
    HOME.mkdir(parents=True, exist_ok=True)
    for name in names or PARTS:
        PARTS[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
