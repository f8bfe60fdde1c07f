"""How late windows are while records keep coming, and what waiting costs: ``python -m bench.latency``.

1. A producer writes 10,000 records a second whose event times are those of the wall clock; streamagg
   counts windows of one second. A window may close when the clocks of all partitions have reached its
   end plus max lag. When that was is computed from the log of the input topic, whose timestamps are those
   of the append; when the window was there is what a ``read_committed`` consumer sees that always polls.
2. CPU of all processes of streamagg: without any records, with a tenth of the records it can take, and
   at full speed over the same records.

Writes ``bench/results/latency.json``. With ``--quick`` it takes a minute, prints and writes nothing.
"""

import argparse
import json
import math
import multiprocessing
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson
from confluent_kafka import Consumer, Message, Producer, TopicPartition
from rich.console import Console

from bench.measure import MARK, REPOSITORY, usual_environment
from bench.processes import Family
from bench.scratch import RunFailed, Site, is_quiet, run_of_streamagg, save, site
from streamagg.kafka.admin import end_offsets
from streamagg.tools.generate import GenerateSettings, records
from streamagg.tools.shapes import FIRST_TIME_S

PARTITIONS: Final = 4
GRANULARITY_S: Final = 1
MAX_LAG_S: Final = 1
TARGET_P99_MS: Final = 250
DIFFERENT_RECORDS: Final = 20_000
RECORD_BYTES: Final = 2_200
EVERY_NTH_LATE: Final = 10
SLICE_S: Final = 0.005
SETTLING_S: Final = 2.0
ANSWER_S: Final = 10.0
START_S: Final = 60.0
STOP_S: Final = 15.0
FULL_RUNS: Final = 3
WINDOW_FLAGS: Final = ("--granularity", f"{GRANULARITY_S}s", "--max-lag", f"{MAX_LAG_S}s")
APPEND_TIMES: Final = {"message.timestamp.type": "LogAppendTime"}


@dataclass(slots=True)
class Clock:
    """When the clock of a partition, the greatest event time so far, reached which second."""

    _seconds: list[int] = field(default_factory=list)
    _appended_ms: list[int] = field(default_factory=list)

    def add(self, event_time_s: int, appended_ms: int) -> None:
        """The next record of the log."""
        if not self._seconds or event_time_s > self._seconds[-1]:
            self._seconds.append(event_time_s)
            self._appended_ms.append(appended_ms)

    def reached_ms(self, time_s: int) -> int | None:
        """When the record was appended that brought the clock there; None if none has."""
        place = bisect_left(self._seconds, time_s)
        return self._appended_ms[place] if place < len(self._seconds) else None


@dataclass(slots=True)
class Log:
    """What the input topic holds: the users of every window, and when it could close."""

    clocks: list[Clock]
    users: dict[int, set[str]] = field(default_factory=dict)
    """By start of the window in seconds."""
    records: int = 0

    def add(self, partition: int, event_time_s: int, user: str, appended_ms: int) -> None:
        """The next record of a partition."""
        self.records += 1
        self.clocks[partition].add(event_time_s, appended_ms)
        start = event_time_s // GRANULARITY_S * GRANULARITY_S
        self.users.setdefault(start, set()).add(user)

    def closable_ms(self, start_s: int) -> int | None:
        """When the record was appended that lets a window close; None if it has to stay open."""
        reached = [clock.reached_ms(start_s + GRANULARITY_S + MAX_LAG_S) for clock in self.clocks]
        known = [time_ms for time_ms in reached if time_ms is not None]
        return max(known) if len(known) == len(reached) else None


@dataclass(frozen=True, slots=True)
class Published:
    """A window as the reader of the output got it."""

    start_s: int
    users: int
    received_ms: float
    appended_ms: int


def quantile(values: Sequence[float], fraction: float) -> float:
    """The smallest value that so large a part of all values does not exceed (nearest rank)."""
    return sorted(values)[max(0, math.ceil(fraction * len(values)) - 1)]


def spread(values: Sequence[float]) -> dict[str, float]:
    """p50, p90, p99 and the greatest, in milliseconds; empty if there is no value."""
    if not values:
        return {}
    named = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
    return {name: round(quantile(values, fraction), 1) for name, fraction in named.items()}


def compare(log: Log, published: Sequence[Published]) -> dict[str, Any]:
    """How late the windows were, and whether all that could close were published once and right."""
    closable = {start: log.closable_ms(start) for start in log.users}
    first: dict[int, Published] = {}
    for window in published:
        first.setdefault(window.start_s, window)
    due = {start: time_ms for start, time_ms in closable.items() if time_ms is not None}
    there = {start: first[start] for start in sorted(due.keys() & first.keys())}
    to_reader = [window.received_ms - due[start] for start, window in there.items()]
    to_output = [window.appended_ms - due[start] for start, window in there.items()]
    return {
        "windows": len(due),
        "right": sum(window.users == len(log.users[start]) for start, window in there.items()),
        "missing": len(due) - len(there),
        "published_twice": len(published) - len(first),
        "to_reader_ms": spread(to_reader),
        "to_output_ms": spread(to_output),
        "each_to_reader_ms": [round(value, 1) for value in to_reader],
    }


def templates(count: int) -> list[tuple[bytes, bytes]]:
    """Records of the benchmark, each in two pieces: its event time belongs between them."""
    # At such a rate all of them have the same time, which stands in no other place.
    made = records(GenerateSettings(count, rate=1e12, size_bytes=RECORD_BYTES))
    pieces = [record.split(b'"ts":%d' % FIRST_TIME_S) for chunk in made for record in chunk]
    return [(head + b'"ts":', tail) for head, tail in pieces]


def feed(bootstrap: str, topic: str, rate: int, seconds: float) -> None:
    """Write records at a steady rate, one in ten of them late by max lag; ends when all are appended."""
    pieces = templates(DIFFERENT_RECORDS)
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 5, "enable.idempotence": True})
    began, sent, total = time.monotonic(), 0, int(rate * seconds)
    while sent < total:
        due = min(total, int((time.monotonic() - began) * rate))
        now_s = int(time.time())
        times = (b"%d" % now_s, b"%d" % (now_s - MAX_LAG_S))
        for number in range(sent, due):
            head, tail = pieces[number % DIFFERENT_RECORDS]
            late = number % EVERY_NTH_LATE == 0
            producer.produce(topic, head + times[late] + tail, partition=number % PARTITIONS)
        sent = due
        producer.poll(SLICE_S)
    producer.flush()


@contextmanager
def feeding(bootstrap: str, topic: str, rate: int, seconds: float) -> Iterator[None]:
    """A producer in a process of its own; leaving waits until it has written everything."""
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=feed, args=(bootstrap, topic, rate, seconds), daemon=True)
    process.start()
    yield
    process.join()
    if process.exitcode:
        raise RunFailed(f"the producer ended with exit code {process.exitcode}")


class Observer(threading.Thread):
    """A reader of the output topic that always polls."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        super().__init__(daemon=True)
        self.published: list[Published] = []
        self._consumer = _consumer(bootstrap)
        self._consumer.assign([TopicPartition(topic, 0, 0)])
        self._ending = threading.Event()

    def run(self) -> None:
        while not self._ending.is_set():
            message = self._consumer.poll(0.1)
            if message is None or message.error() is not None:
                continue
            received_ms = time.time() * 1_000
            row = orjson.loads(message.value() or b"")
            self.published.append(Published(row["ts"], row["cnt"], received_ms, message.timestamp()[1]))
        self._consumer.close()

    def end(self) -> list[Published]:
        """What it has seen."""
        self._ending.set()
        self.join()
        return self.published


def _consumer(bootstrap: str) -> Consumer:
    return Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "unused",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
        }
    )


class Daemon:
    """A ``streamagg run`` that goes on until it is stopped, and the CPU of all its processes."""

    def __init__(self, command: list[str], log: Path) -> None:
        mark = uuid.uuid4().hex
        self._family = Family(f"{MARK}={mark}")
        self._log = log
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                command,
                cwd=REPOSITORY,
                env={**usual_environment(), MARK: mark},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def __enter__(self) -> "Daemon":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._family.end()

    def wait_until_leading(self) -> None:
        """Raises RunFailed when it does not get there."""
        deadline = time.monotonic() + START_S
        while "leading:" not in self._log.read_text():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RunFailed(self._log.read_text()[-1000:])
            time.sleep(0.05)

    def cores(self, seconds: float) -> float:
        """CPU seconds a second, over so many seconds from now."""
        self._family.look()
        began, before = time.monotonic(), self._family.cpu_seconds
        time.sleep(seconds)
        self._family.look()
        return (self._family.cpu_seconds - before) / (time.monotonic() - began)


def read_log(here: Site, topic: str) -> Log:
    """Read an input topic to its end."""
    ends = end_offsets(here.kafka, topic, range(PARTITIONS), at="latest")
    log, consumer = Log([Clock() for _ in ends]), _consumer(here.bootstrap)
    consumer.assign([TopicPartition(topic, partition, 0) for partition in ends])
    while log.records < sum(ends.values()):
        messages = consumer.consume(10_000, ANSWER_S)
        if not messages:
            raise RunFailed(f"the broker gives no more than {log.records} records of {topic}")
        for message in messages:
            _add(log, message)
    consumer.close()
    return log


def _add(log: Log, message: Message) -> None:
    row = orjson.loads(message.value() or b"")
    log.add(message.partition() or 0, row["ts"], row["uid"], message.timestamp()[1])


def measure_latency(here: Site, rate: int, windows: int) -> dict[str, Any]:
    """Feed for as many windows, and compare what was published with the log."""
    with here.topics(PARTITIONS, config=APPEND_TIMES) as (topic,), here.topics(1) as (output,):
        command = run_of_streamagg(here.bootstrap, topic, output, "--group", topic, *WINDOW_FLAGS)
        observer = Observer(here.bootstrap, output)
        observer.start()
        with Daemon(command, here.directory / "latency.log") as daemon:
            daemon.wait_until_leading()
            seconds = windows * GRANULARITY_S + GRANULARITY_S + MAX_LAG_S
            with feeding(here.bootstrap, topic, rate, seconds):
                pass
            time.sleep(SETTLING_S)
        published = observer.end()
        log = read_log(here, topic)
    return {"rate": rate, "records": log.records, "target_p99_ms": TARGET_P99_MS} | compare(log, published)


def measure_cpu(here: Site, rate: int, seconds: float) -> dict[str, Any]:
    """Cores in use when idle and at a rate, beside those at full speed over the same records."""
    starting = here.starting_cpu_seconds(PARTITIONS, *WINDOW_FLAGS)
    with here.topics(PARTITIONS, 1) as (topic, output):
        command = run_of_streamagg(here.bootstrap, topic, output, "--group", topic, *WINDOW_FLAGS)
        with Daemon(command, here.directory / "cpu.log") as daemon:
            daemon.wait_until_leading()
            time.sleep(SETTLING_S)
            idle = daemon.cores(seconds / 2)
            with feeding(here.bootstrap, topic, rate, seconds + 3 * SETTLING_S):
                _wait_for_records(here, topic)
                time.sleep(SETTLING_S)
                live = daemon.cores(seconds)
        runs = [_full_speed(here, topic, starting) for _ in range(FULL_RUNS)]
    full = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    return {
        "idle_cores": idle,
        "live": {"records_per_second": rate, "cores": live, "cpu_us_a_record": live / rate * 1e6},
        "full": full,
        "part_of_the_rate": rate / full["records_per_second"],
        "part_of_the_cpu": live / full["cores"],
    }


def _full_speed(here: Site, topic: str, starting_cpu_seconds: float) -> dict[str, float]:
    """One run over everything that was fed, to its end."""
    with here.topics(1) as (output,):
        cost, path = here.until_end(topic, output, *WINDOW_FLAGS)
    stats = json.loads(path.read_bytes())
    cpu = cost.cpu_seconds - starting_cpu_seconds
    return {
        "records_per_second": stats["records_per_second"],
        "cores": cpu / stats["seconds"],
        "cpu_us_a_record": cpu / stats["records"] * 1e6,
    }


def _wait_for_records(here: Site, topic: str) -> None:
    deadline = time.monotonic() + START_S
    while not any(end_offsets(here.kafka, topic, range(PARTITIONS), at="latest").values()):
        if time.monotonic() > deadline:
            raise RunFailed("the producer writes nothing")
        time.sleep(0.1)


def main() -> int:
    """Parse the command line and measure; returns 1 when a window is missing, wrong or there twice."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bootstrap-servers", help="a broker that runs; otherwise the benchmark's own")
    parser.add_argument("--windows", type=int, default=240)
    parser.add_argument("--rate", type=int, default=10_000, help="records a second")
    parser.add_argument("--tenth", type=int, default=25_000, help="a tenth of the records a second at most")
    parser.add_argument("--cpu-seconds", type=float, default=20.0)
    parser.add_argument("--quick", action="store_true", help="20 windows, 5 s of CPU; writes nothing")
    given = parser.parse_args()
    windows, cpu_seconds = (20, 5.0) if given.quick else (given.windows, given.cpu_seconds)
    console = Console()
    if not given.quick and not is_quiet(console.print):
        return 1
    with tempfile.TemporaryDirectory() as name, site(given.bootstrap_servers, Path(name)) as here:
        latency = measure_latency(here, given.rate, windows)
        console.print({key: value for key, value in latency.items() if not key.startswith("each")})
        cpu = measure_cpu(here, given.tenth, cpu_seconds)
        console.print(cpu)
    if not given.quick:
        save("latency", {"latency": latency, "cpu": cpu})
    return 0 if latency["right"] == latency["windows"] and not latency["published_twice"] else 1


if __name__ == "__main__":
    sys.exit(main())
