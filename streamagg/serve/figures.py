"""Every metric of ``serve``: name, type, labels, help, where its values are."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from streamagg.http.meter import SECONDS_BOUNDS, Meter
from streamagg.serve.api.desk import Desk
from streamagg.serve.api.live import Live
from streamagg.serve.records import WINDOW
from streamagg.serve.standing import Standings
from streamagg.serve.store.store import Store
from streamagg.telemetry.row import Row, Sample, family


@dataclass(frozen=True, slots=True)
class Seen:
    """What samples are taken from."""

    store: Store
    standings: Standings
    desk: Desk
    live: Live
    meter: Meter


class _Figures(Collector):
    def __init__(self, seen: Seen) -> None:
        self._seen = seen

    def collect(self) -> Iterator[Metric]:
        """All of ``ROWS``."""
        return (family(row, self._seen) for row in ROWS)


def registry(seen: Seen) -> CollectorRegistry:
    """That shows them."""
    made = CollectorRegistry()
    made.register(_Figures(seen))
    return made


def _one(value: Callable[[Seen], float | None]) -> Callable[[Seen], list[Sample]]:
    """A metric without labels; none while its value is unknown."""

    def read(seen: Seen) -> list[Sample]:
        found = value(seen)
        return [] if found is None else [((), found)]

    return read


def _freshest(seen: Seen) -> float | None:
    extent = seen.store.extents.get(WINDOW)
    return None if extent is None else extent.end_ms / 1_000


ROWS: Final[tuple[Row[Seen], ...]] = (
    Row(
        "streamagg_serve_following",
        "gauge",
        "1 while what is published is read and stored, else 0.",
        (),
        _one(lambda seen: float(seen.standings.now.trouble is None)),
    ),
    Row(
        "streamagg_serve_behind_records",
        "gauge",
        "Records that wait to be read; absent while that is not known.",
        (),
        _one(lambda seen: seen.standings.now.behind),
    ),
    Row(
        "streamagg_serve_freshest_window_timestamp_seconds",
        "gauge",
        "End of the freshest window that is stored.",
        (),
        _one(_freshest),
    ),
    Row(
        "streamagg_serve_records_total",
        "counter",
        "Records and sketches that were stored.",
        (),
        _one(lambda seen: seen.standings.now.records),
    ),
    Row(
        "streamagg_serve_unreadable_records_total",
        "counter",
        "Records of other forms, which were left out.",
        (),
        _one(lambda seen: seen.standings.now.unreadable),
    ),
    Row(
        "streamagg_serve_store_bytes",
        "gauge",
        "Of the files of the store.",
        (),
        _one(lambda seen: seen.store.size_bytes),
    ),
    Row(
        "streamagg_serve_request_seconds",
        "histogram",
        "From the head of a request to its answer; of live to its begin.",
        ("route", "status"),
        lambda seen: (((route, kind), seconds) for route, kind, seconds in seen.meter.seconds()),
        SECONDS_BOUNDS,
    ),
    Row(
        "streamagg_serve_connections",
        "gauge",
        "Open connections.",
        (),
        _one(lambda seen: seen.meter.connections),
    ),
    Row(
        "streamagg_serve_connections_ended_total",
        "counter",
        "Connections that were ended for what their clients did.",
        ("reason",),
        lambda seen: (((reason,), count) for reason, count in seen.meter.refusals()),
    ),
    Row(
        "streamagg_serve_questions",
        "gauge",
        "Questions that are worked on or wait.",
        (),
        _one(lambda seen: seen.desk.open),
    ),
    Row(
        "streamagg_serve_questions_refused_total",
        "counter",
        "Questions that were one too many (--max-questions).",
        (),
        _one(lambda seen: seen.desk.refused),
    ),
    Row(
        "streamagg_serve_questions_cancelled_total",
        "counter",
        "Questions that took too long, or whose client left.",
        (),
        _one(lambda seen: seen.desk.cancelled),
    ),
    Row(
        "streamagg_serve_live_clients",
        "gauge",
        "Clients that listen to what is published.",
        (),
        _one(lambda seen: seen.live.clients),
    ),
    Row(
        "streamagg_serve_live_dropped_total",
        "counter",
        "Such clients that were dropped for reading too slowly.",
        (),
        _one(lambda seen: seen.live.dropped),
    ),
)
"""All metrics, in the order in which they are exposed."""
