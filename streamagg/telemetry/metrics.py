"""The registry of a run, filled from a snapshot when somebody asks.

The coordinator replaces the snapshot about once a second; the thread that answers a scrape only reads
it, so neither waits for the other. No label holds anything of a record.
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from streamagg.model.measured import Distribution
from streamagg.telemetry.snapshot import Snapshot
from streamagg.telemetry.table import ROWS, Row

_SUFFIX: Final = {"counter": "_total", "info": "_info"}
"""What the name of a family lacks that its samples have."""


class Metrics(Collector):
    """One registry and the snapshot that it is filled from."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.snapshot = Snapshot()
        self.registry.register(self)

    def show(self, snapshot: Snapshot) -> None:
        """What scrapes see from here on."""
        self.snapshot = snapshot

    def collect(self) -> Iterator[Metric]:
        """All of ``ROWS``; called by the registry in the thread of a scrape."""
        snapshot = self.snapshot
        for row in ROWS:
            yield _family(row, snapshot)


def _family(row: Row, snapshot: Snapshot) -> Metric:
    family = Metric(row.name.removesuffix(_SUFFIX.get(row.kind, "")), row.help, row.kind)
    for values, value in row.read(snapshot):
        labels = dict(zip(row.labels, values, strict=True))
        if isinstance(value, Distribution):
            _add_buckets(family, labels, value, row.bounds)
        else:
            family.add_sample(row.name, labels, value)
    return family


def _add_buckets(
    family: Metric, labels: dict[str, str], value: Distribution, bounds: Sequence[float]
) -> None:
    below = list(accumulate(value.counts))
    for bound, count in zip((*map(str, bounds), "+Inf"), below, strict=True):
        family.add_sample(f"{family.name}_bucket", {**labels, "le": bound}, count)
    family.add_sample(f"{family.name}_count", labels, below[-1])
    family.add_sample(f"{family.name}_sum", labels, value.sum)
