"""The metrics of a run, made from a snapshot when somebody asks: records cost nothing more.

The coordinator replaces the snapshot about once a second; the thread that answers a scrape only reads
it, so neither waits for the other. No label holds anything of a record.
"""

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from time import monotonic, time
from typing import Final

import confluent_kafka
from prometheus_client import CollectorRegistry, Histogram, Info
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from streamagg import __version__
from streamagg.records import REASONS

PUBLISH_BUCKETS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
STUCK_S: Final = 60.0
"""A main loop that has not moved for so long is not alive."""


@dataclass(frozen=True, slots=True)
class PartitionSample:
    """One partition; counts since the process began."""

    records: int
    counted: int
    late: int
    closed_early: int
    published_before: int
    read_again: int
    rejected: Mapping[str, int]
    set_aside: int
    waiting: int
    lag: int | None = None
    """Records behind the end of the log; None while nothing is read."""
    clock_ms: int | None = None
    idle: bool = False


@dataclass(frozen=True, slots=True)
class WorkerSample:
    """One process."""

    cpu_s: float
    rss_bytes: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the coordinator knows."""

    leader: bool = False
    ready: bool = False
    """Leads, or stands by as a member of the group."""
    partitions: Mapping[int, PartitionSample] = field(default_factory=dict)
    workers: Mapping[str, WorkerSample] = field(default_factory=dict)
    windows_published: int = 0
    open_windows: int = 0
    watermark_ms: int | None = None
    restarts: Mapping[str, int] = field(default_factory=dict)
    """By what began again: ``worker`` or ``session``."""


Sample = tuple[tuple[str, ...], float]
"""Values of the labels, and the value."""


@dataclass(frozen=True, slots=True)
class Row:
    """One metric; ``read`` takes its samples from a snapshot."""

    name: str
    kind: type[CounterMetricFamily] | type[GaugeMetricFamily]
    help: str
    labels: tuple[str, ...]
    read: Callable[[Snapshot], Iterable[Sample]]


def _by_partition(value: Callable[[PartitionSample], float | None]) -> Callable[[Snapshot], Iterator[Sample]]:
    def read(snapshot: Snapshot) -> Iterator[Sample]:
        for number, sample in snapshot.partitions.items():
            if (found := value(sample)) is not None:
                yield (str(number),), found

    return read


def _rejected(snapshot: Snapshot) -> Iterator[Sample]:
    for number, sample in snapshot.partitions.items():
        for reason in REASONS:
            yield (str(number), reason), sample.rejected.get(reason, 0)


def _watermark(value: Callable[[float], float]) -> Callable[[Snapshot], Iterator[Sample]]:
    """Samples from a watermark in seconds, none while there is no watermark."""

    def read(snapshot: Snapshot) -> Iterator[Sample]:
        if snapshot.watermark_ms is not None:
            yield (), value(snapshot.watermark_ms / 1_000)

    return read


_PARTITION: Final = ("partition",)
ROWS: Final = (
    Row(
        "streamagg_records",
        CounterMetricFamily,
        "Records read.",
        _PARTITION,
        _by_partition(lambda p: p.records),
    ),
    Row(
        "streamagg_records_counted",
        CounterMetricFamily,
        "Records counted in a window.",
        _PARTITION,
        _by_partition(lambda p: p.counted),
    ),
    Row(
        "streamagg_records_late",
        CounterMetricFamily,
        "Records whose window was closed already.",
        _PARTITION,
        _by_partition(lambda p: p.late),
    ),
    Row(
        "streamagg_records_closed_early",
        CounterMetricFamily,
        "Of the late ones: the window was closed while the partition was idle.",
        _PARTITION,
        _by_partition(lambda p: p.closed_early),
    ),
    Row(
        "streamagg_records_rejected",
        CounterMetricFamily,
        "Records that cannot be counted, by reason.",
        ("partition", "reason"),
        _rejected,
    ),
    Row(
        "streamagg_records_published_before",
        CounterMetricFamily,
        "Records read again after a start, whose window had been published.",
        _PARTITION,
        _by_partition(lambda p: p.published_before),
    ),
    Row(
        "streamagg_records_read_again",
        CounterMetricFamily,
        "Records that were undecided when reading began again at the checkpoint.",
        _PARTITION,
        _by_partition(lambda p: p.read_again),
    ),
    Row(
        "streamagg_records_set_aside",
        GaugeMetricFamily,
        "Records too far ahead of their partition's clock, not decided yet.",
        _PARTITION,
        _by_partition(lambda p: p.set_aside),
    ),
    Row(
        "streamagg_records_waiting",
        GaugeMetricFamily,
        "Accepted records that wait for a free slot of the ring.",
        _PARTITION,
        _by_partition(lambda p: p.waiting),
    ),
    Row(
        "streamagg_partition_lag_records",
        GaugeMetricFamily,
        "Offsets between what is applied and the end of the partition.",
        _PARTITION,
        _by_partition(lambda p: p.lag),
    ),
    Row(
        "streamagg_partition_clock_timestamp_seconds",
        GaugeMetricFamily,
        "Partition clock: the greatest accepted event time, as Unix time.",
        _PARTITION,
        _by_partition(lambda p: None if p.clock_ms is None else p.clock_ms / 1_000),
    ),
    Row(
        "streamagg_partition_idle",
        GaugeMetricFamily,
        "1 while the partition is silent and does not hold the watermark.",
        _PARTITION,
        _by_partition(lambda p: p.idle),
    ),
    Row(
        "streamagg_watermark_timestamp_seconds",
        GaugeMetricFamily,
        "Watermark, as Unix time.",
        (),
        _watermark(lambda watermark_s: watermark_s),
    ),
    Row(
        "streamagg_watermark_lag_seconds",
        GaugeMetricFamily,
        "How far the watermark is behind the wall clock.",
        (),
        _watermark(lambda watermark_s: time() - watermark_s),
    ),
    Row(
        "streamagg_open_windows",
        GaugeMetricFamily,
        "Windows that hold records and are not closed.",
        (),
        lambda s: [((), s.open_windows)],
    ),
    Row(
        "streamagg_windows_published",
        CounterMetricFamily,
        "Windows published.",
        (),
        lambda s: [((), s.windows_published)],
    ),
    Row(
        "streamagg_leader",
        GaugeMetricFamily,
        "1 on the instance that reads and publishes, 0 on a standby.",
        (),
        lambda s: [((), s.leader)],
    ),
    Row(
        "streamagg_restarts",
        CounterMetricFamily,
        "Restarts: of one worker, or of a session from its checkpoint.",
        ("kind",),
        lambda s: [((kind,), number) for kind, number in s.restarts.items()],
    ),
    Row(
        "streamagg_worker_cpu_seconds",
        CounterMetricFamily,
        "CPU time used, by process.",
        ("worker",),
        lambda s: [((name,), worker.cpu_s) for name, worker in s.workers.items()],
    ),
    Row(
        "streamagg_worker_resident_memory_bytes",
        GaugeMetricFamily,
        "Resident memory, by process.",
        ("worker",),
        lambda s: [((name,), worker.rss_bytes) for name, worker in s.workers.items()],
    ),
)


class Metrics(Collector):
    """One registry and the snapshot that it is filled from."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.snapshot = Snapshot()
        self._shown = monotonic()
        self._publish_seconds = Histogram(
            "streamagg_publish_seconds",
            "Time from handing windows to the publisher until they are committed.",
            buckets=PUBLISH_BUCKETS_S,
            registry=self.registry,
        )
        Info("streamagg_build", "Versions.", registry=self.registry).info(
            {
                "version": __version__,
                "python": platform.python_version(),
                "librdkafka": confluent_kafka.libversion()[0],
            }
        )
        self.registry.register(self)

    def show(self, snapshot: Snapshot) -> None:
        """What scrapes see from here on."""
        self.snapshot = snapshot
        self._shown = monotonic()

    def published(self, seconds: float) -> None:
        """A publication took so long."""
        self._publish_seconds.observe(seconds)

    @property
    def alive(self) -> bool:
        """The main loop moves."""
        return monotonic() - self._shown < STUCK_S

    def collect(self) -> Iterator[Metric]:
        """All of ``ROWS``; called by the registry in the thread of a scrape."""
        snapshot = self.snapshot
        for row in ROWS:
            family = row.kind(row.name, row.help, labels=row.labels)
            for labels, value in row.read(snapshot):
                family.add_metric(labels, value)
            yield family
