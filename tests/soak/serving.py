"""``serve`` for long: windows keep coming while clients ask and listen; neither memory nor answers grow slow.

``python -m tests.soak.serving --minutes 30 --clients 50``. Exits with 1 when memory, open files or the p99 of
answers grow over the second half, when a question goes wrong, or when a window is missing in the end. Runs of
half an hour and more write ``bench/results/soak-serve.json``, shorter ones print only.
"""

import argparse
import http.client
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

import numpy as np
import orjson
from confluent_kafka import Producer
from rich.console import Console

from bench.scratch import save
from streamagg.core.measures.theta import compact_theta
from streamagg.kafka.embedded import embedded_broker
from tests.soak.__main__ import LONG_MINUTES
from tests.soak.growth import FEWEST, trend
from tests.soak.samples import Usage, of_process
from tests.soak.verdict import QUANTITIES, Line, table
from tests.support.serving import Serving, serving, wait_for

OUTPUT: Final = "visitors"
SKETCHES: Final = "visitors-sketches"
BEGIN_S: Final = 1_788_220_800
"""2026-09-01T00:00:00Z: event time is not the time of the wall."""
MINUTE_S: Final = 60
HISTORY: Final = 720
"""Minutes that are there before anybody asks."""
GROUPS: Final = 20
USERS: Final = 200
"""Of a window."""
PERIOD_S: Final = 1.0
"""Between two windows."""
LISTENING: Final = 5
"""Of so many clients one listens."""
PAUSE_S: Final = 4.0
"""Most between two questions of a client."""
CLIENT_TIMEOUT_S: Final = 60.0
QUESTIONS: Final = (
    "/v1/windows?from=-1h",
    "/v1/windows?from=-3h&groups=all&limit=1000",
    "/v1/series?from=-12h&points=600",
    "/v1/series?from=-6h&points=1000&group.country=C3&how=mean",
    "/v1/users?from=-6h",
    "/v1/users?from=-1h&and=-2h/-1h",
    "/v1/top?from=-3h&by=country",
    "/v1/top?from=-3h&by=country&order=bytes&how=max",
    "/v1/retention?from=-1d&cohort=day",
    "/v1/status",
)


@dataclass(frozen=True, slots=True)
class Sample:
    """One moment, and the answers since the one before."""

    minute: float
    usage: Usage
    answers: int
    p50_ms: float
    p99_ms: float


@dataclass(slots=True)
class Seen:
    """What clients have seen; lists are appended to by many threads."""

    seconds: list[float] = field(default_factory=list)
    """Of answers, since they were last taken."""
    refused: int = 0
    told: int = 0
    """Events of those that listen."""
    problems: list[str] = field(default_factory=list)

    def taken(self) -> list[float]:
        """The answers since the last call."""
        found, self.seconds = self.seconds, []
        return found


class Publisher(threading.Thread):
    """A window a second, as a run would publish it; ``windows`` are out."""

    def __init__(self, bootstrap: str) -> None:
        super().__init__(name="publisher")
        self._producer = Producer({"bootstrap.servers": bootstrap, "log_level": 0, "linger.ms": 5})
        self._random = np.random.default_rng(1)
        self._over = threading.Event()
        self.windows = 0
        while self.windows < HISTORY:
            self._publish()
        assert self._producer.flush(60) == 0

    def run(self) -> None:
        """Until it is stopped."""
        while not self._over.wait(PERIOD_S):
            self._publish()
            assert self._producer.flush(60) == 0

    def stop(self) -> None:
        """All that was published is out."""
        self._over.set()
        if self.is_alive():
            self.join()

    def _publish(self) -> None:
        start = BEGIN_S + MINUTE_S * self.windows
        users = np.unique(self._random.integers(0, 1 << 64, USERS, dtype=np.uint64))
        self._send(SKETCHES, f"{start}", compact_theta(users))
        for number in range(GROUPS):
            more = {"group": {"country": f"C{number}"}}
            self._send(OUTPUT, f'{start} ["C{number}"]', record(start, 10 + number) | more)
        self._send(OUTPUT, f"{start}", record(start, len(users)) | {"groups": GROUPS})
        self.windows += 1

    def _send(self, topic: str, key: str, value: dict[str, Any] | bytes) -> None:
        self._producer.produce(
            topic, value if isinstance(value, bytes) else orjson.dumps(value), key, partition=0
        )
        self._producer.poll(0)


def record(start: int, users: int) -> dict[str, Any]:
    """Of a window."""
    numbers = {"cnt": users, "records": 3 * users, "bytes": 611 * users}
    return {"ts": start, "granularity": MINUTE_S, "partial": False, "v": 1, **numbers}


class Client(threading.Thread):
    """Asks one question after the other, with pauses."""

    def __init__(self, port: int, seen: Seen, number: int, ending: threading.Event) -> None:
        super().__init__(name=f"client-{number}")
        self._port = port
        self._seen = seen
        self._chance = Random(number)
        self._ending = ending

    def run(self) -> None:
        """Until the end."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=CLIENT_TIMEOUT_S)
        try:
            while not self._ending.wait(self._chance.uniform(0, PAUSE_S)):
                self._ask(connection, self._chance.choice(QUESTIONS))
        except (OSError, http.client.HTTPException) as error:
            self._seen.problems.append(f"{self.name}: {type(error).__name__}: {error}")
        finally:
            connection.close()

    def _ask(self, connection: http.client.HTTPConnection, target: str) -> None:
        began = time.perf_counter()
        connection.request("GET", target)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status == http.HTTPStatus.OK:
            self._seen.seconds.append(time.perf_counter() - began)
        elif answer.status == http.HTTPStatus.SERVICE_UNAVAILABLE:
            self._seen.refused += 1
        else:
            self._seen.problems.append(f"{target}: {answer.status} {body[:200]!r}")


class Listener(threading.Thread):
    """Takes what is told."""

    def __init__(self, port: int, seen: Seen, number: int, ending: threading.Event) -> None:
        super().__init__(name=f"listener-{number}")
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=CLIENT_TIMEOUT_S)
        self._seen = seen
        self._ending = ending

    def run(self) -> None:
        """Until the end."""
        try:
            self._connection.request("GET", "/v1/live")
            for line in self._connection.getresponse():
                self._seen.told += line.startswith(b"data: ")
                if line.startswith(b"event: dropped"):
                    self._seen.problems.append(f"{self.name} was dropped")
                if self._ending.is_set():
                    return
        except (OSError, http.client.HTTPException) as error:
            self._seen.problems.append(f"{self.name}: {type(error).__name__}: {error}")
        finally:
            self._connection.close()


@contextmanager
def clients(port: int, seen: Seen, count: int) -> Iterator[None]:
    """While the context lasts."""
    ending = threading.Event()
    kinds = [Listener if number % LISTENING == 0 else Client for number in range(count)]
    threads = [kind(port, seen, number, ending) for number, kind in enumerate(kinds)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ending.set()
        for thread in threads:
            thread.join()


def take(serve: Serving, seen: Seen, minute: float) -> Sample:
    """One sample."""
    usage = of_process(serve.process.pid)
    assert usage is not None, "serve has ended"
    answers = seen.taken()
    p50, p99 = np.percentile(answers or [0.0], [50, 99]) * 1_000
    return Sample(minute, usage, len(answers), float(p50), float(p99))


def lines_of(samples: Sequence[Sample]) -> tuple[list[Line], list[str]]:
    """Trends over the second half, and why there are none."""
    half = samples[len(samples) // 2 :]
    if len(half) < FEWEST:
        return [], [f"{len(half)} samples are too few to judge"]
    lines = [
        Line("serve", quantity, trend([(one.minute, of(one.usage)) for one in half]))
        for quantity, of in QUANTITIES.items()
    ]
    lines.append(Line("serve", "p99 of answers, ms", trend([(one.minute, one.p99_ms) for one in half])))
    return lines, []


def missing(serve: Serving, windows: int) -> list[str]:
    """What is not answered in the end as it was published."""
    wait_for(lambda: serve.get("/v1/status")["behind"] == 0)
    last = min(windows, 1_000)
    found = serve.get(f"/v1/windows?from=-{last}m&limit={last}")["windows"]
    starts = [BEGIN_S + MINUTE_S * number for number in range(windows - last, windows)]
    return [] if [one["ts"] for one in found] == starts else [f"{len(found)} of {last} windows are there"]


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak.serving", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--sample-every", type=float, default=30, metavar="S")
    return parser.parse_args()


def run(options: argparse.Namespace, console: Console) -> tuple[list[Sample], Seen, int]:
    """Samples, what clients have seen, and how many windows there were."""
    samples: list[Sample] = []
    seen = Seen()
    with ExitStack() as stack:
        bootstrap = stack.enter_context(embedded_broker([OUTPUT, SKETCHES]))
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-serve-")))
        publisher = Publisher(bootstrap)
        flags = ("--sketches", SKETCHES, "--max-questions", "200")
        serve = stack.enter_context(serving(bootstrap, OUTPUT, directory / "store", *flags))
        serve.wait_until(lambda status: status["behind"] == 0 and "window" in status["calendars"])
        stack.callback(publisher.stop)
        publisher.start()
        with clients(int(serve.url.rpartition(":")[2]), seen, options.clients):
            began = time.monotonic()
            for number in range(1, int(60 * options.minutes / options.sample_every) + 1):
                time.sleep(max(0.0, began + number * options.sample_every - time.monotonic()))
                one = take(serve, seen, (time.monotonic() - began) / 60)
                samples.append(one)
                console.print(
                    f"{one.minute:6.1f} min  {one.usage.resident_bytes / 1e6:.0f} MB,"
                    f" {one.answers} answers, p50 {one.p50_ms:.0f} ms, p99 {one.p99_ms:.0f} ms,"
                    f" {seen.told} told, {seen.refused} refused",
                    highlight=False,
                )
        publisher.stop()
        seen.problems += missing(serve, publisher.windows)
        return samples, seen, publisher.windows


def main() -> int:
    """Run, print, save; returns the exit code."""
    options = parse()
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    console = Console(stderr=True)
    samples, seen, windows = run(options, console)
    lines, unjudged = lines_of(samples)
    problems = [*dict.fromkeys(seen.problems), *unjudged]
    good = not problems and not any(line.trend.grows for line in lines)
    Console(width=None if sys.stdout.isatty() else 120).print(table(lines))
    answers = sum(one.answers for one in samples)
    print(f"{windows} windows, {answers} answers, {seen.refused} refused; {'good' if good else 'BAD'}")
    for problem in problems[:20]:
        print(f"  {problem}")
    if options.minutes >= LONG_MINUTES:
        shape = {"minutes": options.minutes, "clients": options.clients, "windows": windows}
        found = {
            "answers": answers,
            "refused": seen.refused,
            "told": seen.told,
            "problems": problems,
            "samples": [asdict(one) for one in samples],
            "lines": [
                {"role": line.role, "quantity": line.quantity, "judged": True}
                | asdict(line.trend)
                | {"grows": line.trend.grows}
                for line in lines
            ],
        }
        save("soak-serve", shape | found, module="tests.soak.serving")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
