"""What becomes of bodies, and every metric of ``ingest``: name, type, labels, help, where its values are."""

from bisect import bisect_left
from collections.abc import Callable, Hashable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from streamagg.http.meter import SECONDS_BOUNDS, Meter
from streamagg.http.numbers import SharedNumbers
from streamagg.model.measured import Distribution
from streamagg.telemetry.row import Row, Sample, family

COMMIT_BOUNDS_S: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""From an answer of a broker nearby, or an fsync, to a broker that is away."""
_COUNTS: Final = ("records", "record_bytes", "rejected", "repeats", "failed_commits", "restarts", "waiting")
BEAT: Final = "beat"
"""When a process was last seen to move, in seconds of the monotonic clock."""
KEYS: Final[tuple[Hashable, ...]] = (
    *_COUNTS,
    BEAT,
    "commit_seconds",
    *(("commit", bucket) for bucket in range(len(COMMIT_BOUNDS_S) + 1)),
)
"""Of the numbers that ``Figures`` needs."""


class Figures:
    """Adds to the numbers, and reads them."""

    def __init__(self, numbers: SharedNumbers) -> None:
        self._numbers = numbers

    def acknowledged(self, records: list[bytes]) -> None:
        """They are there for good."""
        self._numbers.add("records", len(records))
        self._numbers.add("record_bytes", sum(map(len, records)))

    def rejected(self, lines: int) -> None:
        """They are no records."""
        if lines:
            self._numbers.add("rejected", lines)

    def repeated(self) -> None:
        """A body had been written before."""
        self._numbers.add("repeats")

    def waiting(self, size: int) -> None:
        """So many bytes wait in this process."""
        self._numbers.set("waiting", size)

    def committed(self, seconds: float, failed: bool) -> None:
        """A group of bodies was written, or was not."""
        self._numbers.add(("commit", bisect_left(COMMIT_BOUNDS_S, seconds)))
        self._numbers.add("commit_seconds", seconds)
        if failed:
            self._numbers.add("failed_commits")

    def restarted(self) -> None:
        """A worker was replaced."""
        self._numbers.add("restarts")

    def total(self, name: str) -> float:
        """Of all processes."""
        return self._numbers.total(name)

    def commits(self) -> Distribution:
        """Seconds of all groups."""
        buckets = range(len(COMMIT_BOUNDS_S) + 1)
        counts = [int(self._numbers.total(("commit", bucket))) for bucket in buckets]
        return Distribution(counts, self._numbers.total("commit_seconds"))


class Seen(Collector):
    """What samples are taken from; a collector of ``ROWS``."""

    def __init__(self, figures: Figures, meter: Meter, room_bytes: int) -> None:
        """``room_bytes``: what may wait in all processes."""
        self.figures = figures
        self.meter = meter
        self.room_bytes = room_bytes
        self.registry = CollectorRegistry()
        self.registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """All of ``ROWS``."""
        return (family(row, self) for row in ROWS)


def _requests(seen: Seen) -> Iterator[Sample]:
    return (((route, kind), seconds) for route, kind, seconds in seen.meter.seconds())


def _ended(seen: Seen) -> Iterator[Sample]:
    return (((reason,), count) for reason, count in seen.meter.refusals())


def _one(value: Callable[[Seen], float | Distribution]) -> Callable[[Seen], list[Sample]]:
    """A metric without labels."""
    return lambda seen: [((), value(seen))]


def _total(name: str) -> Callable[[Seen], list[Sample]]:
    return _one(lambda seen: seen.figures.total(name))


ROWS: Final[tuple[Row[Seen], ...]] = (
    Row(
        "streamagg_ingest_request_seconds",
        "histogram",
        "From the head of a request to its answer.",
        ("route", "status"),
        _requests,
        SECONDS_BOUNDS,
    ),
    Row(
        "streamagg_ingest_body_bytes_total",
        "counter",
        "Bytes of bodies as they came.",
        (),
        _one(lambda seen: seen.meter.body_bytes),
    ),
    Row(
        "streamagg_ingest_connections",
        "gauge",
        "Open connections.",
        (),
        _one(lambda seen: seen.meter.connections),
    ),
    Row(
        "streamagg_ingest_connections_ended_total",
        "counter",
        "Connections that were ended for what their clients did.",
        ("reason",),
        _ended,
    ),
    Row(
        "streamagg_ingest_records_total",
        "counter",
        "Acknowledged records.",
        (),
        _total("records"),
    ),
    Row(
        "streamagg_ingest_record_bytes_total",
        "counter",
        "Bytes of acknowledged records.",
        (),
        _total("record_bytes"),
    ),
    Row(
        "streamagg_ingest_rejected_lines_total",
        "counter",
        "Lines and elements of arrays that are no records.",
        (),
        _total("rejected"),
    ),
    Row(
        "streamagg_ingest_repeats_total",
        "counter",
        "Bodies that were not written again, because their Idempotency-Key was known.",
        (),
        _total("repeats"),
    ),
    Row(
        "streamagg_ingest_waiting_bytes",
        "gauge",
        "What waits in memory to be written.",
        (),
        _total("waiting"),
    ),
    Row(
        "streamagg_ingest_waiting_limit_bytes",
        "gauge",
        "The most that may wait (--queue of each worker).",
        (),
        _one(lambda seen: seen.room_bytes),
    ),
    Row(
        "streamagg_ingest_commit_seconds",
        "histogram",
        "Until bodies that were written together were there for good, or given up.",
        (),
        _one(lambda seen: seen.figures.commits()),
        COMMIT_BOUNDS_S,
    ),
    Row(
        "streamagg_ingest_failed_commits_total",
        "counter",
        "Groups of bodies that were given up.",
        (),
        _total("failed_commits"),
    ),
    Row(
        "streamagg_ingest_worker_restarts_total",
        "counter",
        "Workers that died and were replaced.",
        (),
        _total("restarts"),
    ),
)
"""All metrics, in the order in which they are exposed."""
