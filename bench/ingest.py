"""How much ``streamagg ingest`` takes with Kafka beside it, and what it does when more comes.

1. Bodies of 100 measurements, as fast as ``wrk`` can send them on 32 connections, two workers.
2. Bodies of one measurement, as fast as can be on 256 connections, one worker.
3. 5,000 requests a second of one measurement each, sent when they are due whether or not others were
   answered; the time of each is from when it was due. Two workers.
4. The traffic of a measurement store in bodies of 100: two minutes of 10,000 measurements a second, one of
   50,000, a second of 200,000. What is in the topic is counted.
5. More than there is room for: bodies of 1,000 by ``wrk`` while the queue has room for a few. Memory, what
   was told, and what is in the topic.

Beside 2 a bare uvicorn (httptools, uvloop) takes the same requests and answers at once.

Needs ``wrk`` (Debian package of that name). Writes ``bench/results/ingest.json``; ``--quick`` takes two
minutes, prints, and writes nothing. ``overload`` is 5 alone, for five minutes, and ``store`` is 4 with ten
minutes of 10,000 a second; ``--seconds`` is another length of these.
"""

import argparse
import asyncio
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self, cast

import httptools
import uvloop
from rich.console import Console

from bench.latency import spread
from bench.machine import machine_time
from bench.measure import REPOSITORY, usual_environment
from bench.processes import sample
from bench.scratch import DIRECTORY, RunFailed, Site, is_quiet, save, site, verb
from bench.topics import Told
from streamagg.kafka.admin import log_ends
from streamagg.tools.measurements import MeasurementSettings, measurements

PARTITIONS: Final = 4
BODY_RECORDS: Final = 100
GOALS: Final = {"records_per_second": 300_000, "requests_per_second_a_worker": 15_000, "p99_ms": 50}
START_S: Final = 30.0
PATH: Final = "/v1/records"
KIND: Final = "application/x-ndjson"


@dataclass
class Server:
    """A running ``ingest``."""

    process: "subprocess.Popen[str]"
    url: str

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def pids(self) -> list[int]:
        """Its processes."""
        own = self.process.pid
        children = Path(f"/proc/{own}/task/{own}/children").read_text("ascii").split()
        return [own, *map(int, children)]

    def cpu_seconds(self) -> float:
        return sum(map(_cpu_seconds, self.pids()))

    def memory_bytes(self) -> int:
        pages = [int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]) for pid in self.pids()]
        return sum(pages) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def serving(place: Site, topic: str, *flags: str) -> Iterator[Server]:
    """``ingest`` into a topic, as soon as all workers serve."""
    command = verb("ingest", "--listen", "127.0.0.1:0", "--output", topic, *flags)
    command += ["--bootstrap-servers", place.bootstrap, "--log-format", "human", "--access-log", "0s"]
    command += ["--http", "off"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=usual_environment()) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        found = re.search(r"(http://[\d.:]+)/v1/records", line)
        try:
            if found is None:
                raise RunFailed(line)
            yield Server(process, found[1])
        finally:
            process.terminate()
            process.wait(START_S)


@contextmanager
def bare() -> Iterator[Server]:
    """A uvicorn that takes what comes, and answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    command = [sys.executable, "-m", "uvicorn", "bench.bare_uvicorn:answer", "--port", port]
    command += [
        "--http",
        "httptools",
        "--loop",
        "uvloop",
        "--no-access-log",
        "--lifespan",
        "off",
        "--ws",
        "none",
    ]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env=usual_environment(), cwd=REPOSITORY
    ) as process:
        assert process.stderr is not None
        try:
            for line in process.stderr:
                if "running on" in line:
                    break
            yield Server(process, f"http://127.0.0.1:{port}")
        finally:
            process.terminate()
            process.wait(START_S)


def _cpu_seconds(pid: int | None) -> float:
    found = None if pid is None else sample(pid)
    return 0.0 if found is None else found.cpu_seconds


class Busy:
    """How many cores of the machine are in use since then, by whatever: where all are, figures are low."""

    def __init__(self) -> None:
        self._before, self._began = machine_time(), time.monotonic()

    def cores(self) -> float:
        seconds = machine_time().busy_seconds - self._before.busy_seconds
        return round(seconds / (time.monotonic() - self._began), 2)


def bodies(records: int, count: int) -> list[bytes]:
    """JSON lines of measurements."""
    made = [one for chunk in measurements(MeasurementSettings(records * count)) for one in chunk]
    return [b"\n".join(made[n : n + records]) + b"\n" for n in range(0, len(made), records)]


def in_topic(place: Site, topic: str) -> int:
    """How many records it holds."""
    return sum(log_ends(place.kafka, topic, range(PARTITIONS)).values())


def wrk(place: Site, server: Server, body: bytes, *, connections: int, seconds: int) -> dict[str, Any]:
    """What ``wrk`` finds with one body again and again."""
    script, data = place.directory / "ingest.lua", place.directory / "ingest.body"
    data.write_bytes(body)
    script.write_text(
        f"""
local file = io.open("{data}", "rb")
wrk.method, wrk.path, wrk.body = "POST", "{PATH}", file:read("*a")
wrk.headers["Content-Type"] = "{KIND}"
function done(summary, latency, requests)
  local failed = summary.errors
  local form = '"requests":%d,"seconds":%.3f,"not_2xx":%d,"broken":%d,"late":%d,"p50_ms":%.2f,"p99_ms":%.2f'
  io.write(string.format('\\n{{' .. form .. '}}\\n',
    summary.requests, summary.duration / 1e6, failed.status,
    failed.connect + failed.read + failed.write, failed.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
""",
        "utf-8",
    )
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s", str(script)]
    command.append(server.url)
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def at_full_speed(place: Site, records: int, connections: int, workers: int, seconds: int) -> dict[str, Any]:
    """Bodies of so many records, as fast as can be."""
    body = bodies(records, 1)[0]
    flags = ("--workers", str(workers))
    with place.topics(PARTITIONS) as (topic,), serving(place, topic, *flags) as server:
        wrk(place, server, body, connections=connections, seconds=2)
        before = in_topic(place, topic)
        cpu, broker, busy = server.cpu_seconds(), _cpu_seconds(place.broker_pid), Busy()
        found = wrk(place, server, body, connections=connections, seconds=seconds)
        spent = server.cpu_seconds() - cpu
        sent = (found["requests"] - found["not_2xx"]) * records
        return {
            **found,
            "records": records,
            "workers": workers,
            "connections": connections,
            "body_bytes": len(body),
            "requests_per_second": round(found["requests"] / found["seconds"]),
            "records_per_second": round(sent / found["seconds"]),
            "cpu_us_a_request": round(spent / found["requests"] * 1e6, 1),
            "cpu_us_a_record": round(spent / sent * 1e6, 2),
            "cores": round(spent / found["seconds"], 2),
            "machine_cores": busy.cores(),
            "broker_cores": round((_cpu_seconds(place.broker_pid) - broker) / found["seconds"], 2),
            # What was under way when the time was over is there, too, and not in wrk's figure.
            "missing_in_topic": max(0, sent - (in_topic(place, topic) - before)),
        }


def beside_bare(place: Site, seconds: int) -> dict[str, Any]:
    """Single records at a bare uvicorn."""
    body = bodies(1, 1)[0]
    with bare() as server:
        wrk(place, server, body, connections=256, seconds=2)
        cpu, busy = server.cpu_seconds(), Busy()
        found = wrk(place, server, body, connections=256, seconds=seconds)
        spent = server.cpu_seconds() - cpu
        return {
            **found,
            "requests_per_second": round(found["requests"] / found["seconds"]),
            "cpu_us_a_request": round(spent / found["requests"] * 1e6, 1),
            "cores": round(spent / found["seconds"], 2),
            "machine_cores": busy.cores(),
        }


@dataclass
class Outcome:
    """What became of the requests of a sender."""

    statuses: dict[int, int] = field(default_factory=dict)
    milliseconds: list[float] = field(default_factory=list)
    """From when each was due to its answer."""

    def count(self, status: int, milliseconds: float) -> None:
        self.statuses[status] = self.statuses.get(status, 0) + 1
        self.milliseconds.append(milliseconds)


class _Client(asyncio.Protocol):
    """A connection with one request at a time."""

    def __init__(self, free: "asyncio.Queue[_Client]", outcome: Outcome) -> None:
        self._free = free
        self._outcome = outcome
        self._due_s = 0.0
        self._parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._free.put_nowait(self)

    def send(self, request: bytes, due_s: float) -> None:
        self._due_s = due_s
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        status, self._parser = self._parser.get_status_code(), httptools.HttpResponseParser(self)
        self._outcome.count(status, (time.perf_counter() - self._due_s) * 1e3)
        self._free.put_nowait(self)


async def _send(port: int, requests: list[bytes], rate: float, seconds: float, connections: int) -> Outcome:
    """Requests when they are due; one that finds no connection free is late, and its time says so."""
    outcome, free = Outcome(), asyncio.Queue[_Client]()
    loop = asyncio.get_running_loop()
    for _ in range(connections):
        await loop.create_connection(lambda: _Client(free, outcome), "127.0.0.1", port)
    began = time.perf_counter()
    for number in range(int(rate * seconds)):
        due = began + number / rate
        ahead = due - time.perf_counter()
        if ahead > 0:
            await asyncio.sleep(ahead)
        client = free.get_nowait() if not free.empty() else await free.get()
        client.send(requests[number % len(requests)], due)
    for _ in range(connections):
        await free.get()
    return outcome


def sent(
    port: int, made: list[bytes], *, rate: float, seconds: float, connections: int = 64
) -> tuple[Outcome, float]:
    """What became of so many bodies a second, and how long it took."""
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: {KIND}\r\nContent-Length: "
    requests = [f"{head}{len(body)}\r\n\r\n".encode() + body for body in made]
    began = time.perf_counter()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        outcome = runner.run(_send(port, requests, rate, seconds, connections))
    return outcome, time.perf_counter() - began


def when_due(place: Site, rate: float, seconds: float) -> dict[str, Any]:
    """So many single records a second."""
    with place.topics(PARTITIONS) as (topic,), serving(place, topic, "--workers", "2") as server:
        made = bodies(1, 10_000)
        sent(server.port, made, rate=rate, seconds=2)
        cpu, before, busy = server.cpu_seconds(), in_topic(place, topic), Busy()
        outcome, took = sent(server.port, made, rate=rate, seconds=seconds)
        machine = busy.cores()
        spent = server.cpu_seconds() - cpu
        found = in_topic(place, topic) - before
    return {
        "rate": rate,
        "seconds": seconds,
        "statuses": outcome.statuses,
        "ms": spread(outcome.milliseconds),
        "cores": round(spent / took, 2),
        "machine_cores": machine,
        "missing_in_topic": outcome.statuses.get(200, 0) - found,
    }


def of_a_store(place: Site, phases: Sequence[tuple[int, int]], told: Told) -> list[dict[str, Any]]:
    """The traffic of a measurement store, so many a second for so long, into one topic."""
    found = []
    made = bodies(BODY_RECORDS, 1_000)
    with place.topics(PARTITIONS) as (topic,), serving(place, topic, "--workers", "2") as server:
        sent(server.port, made, rate=20, seconds=2)
        for rate, seconds in phases:
            told(f"{rate} measurements a second for {seconds} s")
            cpu, before, busy = server.cpu_seconds(), in_topic(place, topic), Busy()
            outcome, took = sent(server.port, made, rate=rate / BODY_RECORDS, seconds=seconds)
            machine = busy.cores()
            there = in_topic(place, topic) - before
            found.append(
                {
                    "measurements_per_second": rate,
                    "seconds": seconds,
                    "took_seconds": round(took, 2),
                    "sent": int(rate * seconds),
                    "in_topic": there,
                    "lost": outcome.statuses.get(200, 0) * BODY_RECORDS - there,
                    "refused": sum(n for status, n in outcome.statuses.items() if status != 200),
                    "ms": spread(outcome.milliseconds),
                    "cores": round((server.cpu_seconds() - cpu) / took, 2),
                    "machine_cores": machine,
                    "memory_mb": round(server.memory_bytes() / 1e6),
                }
            )
    return found


class Memory:
    """Looks each second how much a server has."""

    def __init__(self, server: Server) -> None:
        self.bytes = [server.memory_bytes()]
        self._server = server
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def most_mb(self, part: slice) -> int:
        """In a part of the time."""
        return round(max(self.bytes[part]) / 1e6)

    def _look(self) -> None:
        while not self._ended.wait(1):
            self.bytes.append(self._server.memory_bytes())


def overloaded(place: Site, seconds: int) -> dict[str, Any]:
    """Bodies of 1,000 on 200 connections, with room for a few of them."""
    body = bodies(1_000, 1)[0]
    flags = ("--workers", "2", "--queue", "1MiB", "--max-body", "1MiB")
    # How many there were can be told without keeping them.
    kept = {"retention.bytes": str(256 << 20), "segment.bytes": str(64 << 20)}
    with place.topics(PARTITIONS, config=kept) as (topic,), serving(place, topic, *flags) as server:
        wrk(place, server, body, connections=200, seconds=3)
        before, busy = in_topic(place, topic), Busy()
        with Memory(server) as memory:
            found = wrk(place, server, body, connections=200, seconds=seconds)
        machine, there = busy.cores(), in_topic(place, topic) - before
    taken = found["requests"] - found["not_2xx"]
    acknowledged = taken * 1_000
    quarter = max(1, len(memory.bytes) // 4)
    return {
        **found,
        "times_what_was_taken": round(found["requests"] / max(1, taken), 1),
        "acknowledged": acknowledged,
        "records_per_second": round(acknowledged / found["seconds"]),
        "refused": found["not_2xx"],
        "in_topic": there,
        "lost": max(0, acknowledged - there),
        "machine_cores": machine,
        "memory_mb": {
            "at_first": round(memory.bytes[0] / 1e6),
            "most_of_first_quarter": memory.most_mb(slice(0, quarter)),
            "most_of_last_quarter": memory.most_mb(slice(-quarter, None)),
        },
    }


def measure(place: Site, quick: bool, told: Told) -> Mapping[str, Any]:
    """All of it."""
    seconds = 5 if quick else 10
    told("bodies of 100 measurements at full speed")
    many = at_full_speed(place, BODY_RECORDS, 32, 2, seconds)
    told(f"{many}\nsingle measurements at full speed, one worker")
    single = at_full_speed(place, 1, 256, 1, seconds)
    told(f"{single}\nthe same at a bare uvicorn")
    uvicorn = beside_bare(place, seconds)
    told(f"{uvicorn}\n5,000 single measurements a second")
    due = when_due(place, 5_000, seconds)
    told(f"{due}\nthe traffic of a measurement store")
    phases = [(10_000, 10 if quick else 120), (50_000, 5 if quick else 60), (200_000, 1)]
    store = of_a_store(place, phases, told)
    told(f"{store}\nmore than there is room for")
    over = overloaded(place, seconds)
    return {
        "goals": GOALS,
        "bodies_of_100": many,
        "single_one_worker": single,
        "single_bare_uvicorn": uvicorn,
        "single_5000_a_second": due,
        "measurement_store": store,
        "overload": over,
    }


def main() -> int:
    """Measure beside the benchmark's broker, print, write."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.ingest",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("part", nargs="?", choices=("all", "overload", "store"), default="all")
    parser.add_argument("--seconds", type=int)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is needed: apt-get install wrk")
    console = Console(stderr=True, soft_wrap=True)
    if not given.quick and not is_quiet(console.print):
        return 1
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    with site(None, DIRECTORY) as place:
        match given.part:
            case "overload":
                found: Mapping[str, Any] = overloaded(place, given.seconds or 300)
            case "store":
                phases = [(10_000, given.seconds or 600), (50_000, 60), (200_000, 1)]
                found = {"measurement_store": of_a_store(place, phases, console.print)}
            case _:
                found = measure(place, given.quick, console.print)
    console.print_json(json.dumps(found))
    if not given.quick:
        save("ingest" if given.part == "all" else f"ingest-{given.part}", found, module="bench.ingest")
    return 0


if __name__ == "__main__":
    sys.exit(main())
