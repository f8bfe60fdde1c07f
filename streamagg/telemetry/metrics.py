"""The registry of a run, filled from a snapshot when somebody asks.

The coordinator replaces the snapshot about once a second; the thread that answers a scrape only reads
it, so neither waits for the other. No label holds anything of a record.
"""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from streamagg.telemetry.row import family
from streamagg.telemetry.snapshot import Snapshot
from streamagg.telemetry.table import ROWS


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
            yield family(row, snapshot)
