"""What metrics cost, part by part, beside all that a run uses: ``python -m bench.metering``.

Runs differ by more than that from one to the next, so it is no difference of two runs: each part is timed
alone, and multiplied by how often a run that reads as fast as it can does it. Writes
``bench/results/metering.json``; with ``--quick`` each part is repeated less often and nothing is written.
"""

import argparse
import logging
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from types import SimpleNamespace
from typing import Any, Final

import msgspec
import numpy as np
from confluent_kafka import Consumer, TopicPartition
from prometheus_client import generate_latest
from rich.console import Console

from bench.goals import LARGE, OURS
from bench.results import MILLION, read_results
from bench.scratch import RESULTS, is_quiet, save
from streamagg.core.checkpoint import Checkpoint
from streamagg.core.partition_clock import PartitionState
from streamagg.engine.reporting.metering import Meter
from streamagg.engine.reporting.stats import Tally
from streamagg.engine.session.leases import LeaseBook
from streamagg.engine.session.plan import Opening, Plan
from streamagg.engine.session.session import Session
from streamagg.engine.workers.heartbeat_totals import HeartbeatTotals
from streamagg.kafka.client_metrics import note_statistics
from streamagg.model.measured import STAGES, ClientNumbers, RoundTrip, StageTimes
from streamagg.model.messages import AnyMessage, Heartbeat
from streamagg.model.settings import RunSettings
from streamagg.telemetry.metrics import Metrics

PARTITIONS: Final = 4
WORKERS: Final = 3
BATCH_RECORDS: Final = 1_000
"""Far fewer than the 16,000 of a full batch, of which there would be fewer."""
STAGES_OF_A_BATCH: Final = 4
"""Fetch, decode, sequence, add; publications are rare."""
STATISTICS_EVERY_S: Final = 10.0
STATISTICS_S: Final = 2.0
"""How long a client tells them as often as it can."""


@dataclass(frozen=True, slots=True)
class Part:
    """What is done, how long it takes, and how often a second."""

    what: str
    microseconds: float
    times_a_second: float

    @property
    def microseconds_a_second(self) -> float:
        """CPU time that it takes of each second."""
        return self.microseconds * self.times_a_second


class _Nowhere:
    """A port whose worker never answers, and a publisher that is never busy."""

    backlog_bytes = 0
    busy = False

    def post(self, message: AnyMessage) -> None:
        """Forget it."""

    def submit(self, publication: object) -> None:
        """Forget it."""

    def finished(self) -> None:
        """Never."""


def parts(rate: float, repeat: int) -> list[Part]:
    """Everything that metrics add to a run of so many records a second."""
    batches = rate / BATCH_RECORDS
    metrics, meter = _meter()
    return [
        Part("time a stage of a batch", microseconds(_stage(), repeat), batches * STAGES_OF_A_BATCH),
        Part("add up the sizes of a batch", microseconds(_sizes(), repeat), batches),
        Part("send and take a heartbeat", microseconds(_heartbeat(), repeat), WORKERS),
        Part("take a snapshot", microseconds(lambda: meter.measure(Tally()), repeat), 1.0),
        Part("answer a scrape", microseconds(lambda: generate_latest(metrics.registry), repeat), 1.0),
        Part("librdkafka's statistics", _statistics(), WORKERS / STATISTICS_EVERY_S),
    ]


def share(found: list[Part], cpu_seconds_a_second: float) -> float:
    """The part of a run's CPU time that all of them take, 0 to 1."""
    return sum(part.microseconds_a_second for part in found) / MILLION / cpu_seconds_a_second


def microseconds(work: Callable[[], object], repeat: int) -> float:
    """CPU time of one call."""
    began = time.process_time()
    for _ in range(repeat):
        work()
    return (time.process_time() - began) / repeat * MILLION


def _stage() -> Callable[[], object]:
    times = StageTimes()

    def work() -> None:
        began = time.perf_counter()
        times.took("decode", time.perf_counter() - began)

    return work


def _sizes() -> Callable[[], object]:
    packed = np.arange(2 * BATCH_RECORDS, dtype=np.int64).tobytes()
    return lambda: int(np.frombuffer(packed, np.int64)[1::2].sum())


def _full_heartbeat() -> Heartbeat:
    times = StageTimes()
    for stage in STAGES:
        times.took(stage, 0.001)
    client = ClientNumbers({"_TRANSPORT": 1}, {"1": RoundTrip(0.001, 0.002)})
    users = dict.fromkeys(range(64), 1000000)
    return Heartbeat(1.0, 1 << 20, times, client, users=users, held_bytes=1 << 20)


def _heartbeat() -> Callable[[], object]:
    heartbeat, ledger = _full_heartbeat(), HeartbeatTotals()
    ledger.begin("aggregator-0", "aggregator")
    encoder, decoder = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(AnyMessage)

    def work() -> None:
        message = decoder.decode(encoder.encode(heartbeat))
        assert isinstance(message, Heartbeat)
        ledger.heard("aggregator-0", message)

    return work


def _meter() -> tuple[Metrics, Meter]:
    metrics, ledger, nowhere = Metrics(), HeartbeatTotals(), _Nowhere()
    for number in range(WORKERS):
        ledger.begin(f"aggregator-{number}", "aggregator")
        ledger.heard(f"aggregator-{number}", _full_heartbeat())
    workers: Any = SimpleNamespace(sample=lambda: ledger.sample({}, []))
    membership: Any = SimpleNamespace(
        leader=True, joined=True, assignment_known=True, rebalances=1, numbers=ClientNumbers()
    )
    settings = RunSettings("in", "out")
    meter = Meter(settings, metrics, workers, membership)
    opening = Opening(Checkpoint(PartitionState(0, clock_ms=0), None, 0), end=100)
    meter.session = Session(
        Plan(settings.window, 64, 10_000),
        dict.fromkeys(range(PARTITIONS), opening),
        LeaseBook(1, count()),
        [nowhere],
        [nowhere],
        nowhere,
        epoch=1,
        now_ms=0,
    )
    meter.measure(Tally())
    return metrics, meter


def _statistics() -> float:
    """CPU time of making and reading them once, with all that the client does beside it."""
    numbers, told = ClientNumbers(), count()

    def note(text: str) -> None:
        note_statistics(numbers, text)
        next(told)

    config = {
        "test.mock.num.brokers": 1,
        "group.id": "bench",
        "logger": logging.getLogger("bench.mock"),
        "stats_cb": note,
        "statistics.interval.ms": 1,
    }
    consumer = Consumer(config)
    try:
        consumer.assign([TopicPartition("topic", number, 0) for number in range(PARTITIONS)])
        end, began = time.monotonic() + STATISTICS_S, time.process_time()
        while time.monotonic() < end:
            consumer.poll(0.01)
        used = time.process_time() - began
    finally:
        consumer.close()
    return used / max(1, next(told)) * MILLION


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m bench.metering", description=__doc__)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    console = Console(stderr=True, soft_wrap=True)
    if not given.quick and not is_quiet(console.print):
        return 1
    row = read_results(RESULTS / f"{LARGE}.json").row(OURS)
    if row is None or row.rate is None:
        console.print(f"There is no run to compare with: first measure {OURS} by python -m bench.")
        return 1
    cpu_seconds_a_second = row.cpu_per_million * row.rate / MILLION
    found = parts(row.rate, 200 if given.quick else 20_000)
    for part in found:
        console.print(
            f"{part.what:30} {part.microseconds:8.1f} µs, {part.times_a_second:7.1f} times a second:"
            f" {part.microseconds_a_second:7.0f} µs"
        )
    console.print(f"{share(found, cpu_seconds_a_second):.2%} of the CPU time of a run")
    if not given.quick:
        save(
            "metering",
            {
                "rate": row.rate,
                "cpu_seconds_a_second": cpu_seconds_a_second,
                "batch_records": BATCH_RECORDS,
                "parts": [
                    {
                        "what": part.what,
                        "microseconds": part.microseconds,
                        "times_a_second": part.times_a_second,
                    }
                    for part in found
                ],
                "share": share(found, cpu_seconds_a_second),
            },
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
