"""Fills the metrics of a run from what the coordinator holds, about once a second."""

import time
from collections.abc import Sized
from typing import Final

from streamagg.core.publication import Publication, Publisher
from streamagg.kafka.membership import Membership
from streamagg.pipeline.session import Session
from streamagg.pipeline.stats import PartitionStats, Tally
from streamagg.pipeline.workers import Workers
from streamagg.telemetry.metrics import Metrics, PartitionSample, Snapshot, WorkerSample
from streamagg.telemetry.process import rss_bytes

_EVERY_S: Final = 1.0


class TimedPublisher:
    """Tells the metrics how long each publication takes."""

    def __init__(self, publisher: Publisher, metrics: Metrics) -> None:
        self._publisher = publisher
        self._metrics = metrics
        self._began_s = 0.0

    @property
    def busy(self) -> bool:
        """A publication is under way."""
        return self._publisher.busy

    def submit(self, publication: Publication) -> None:
        """Begin to publish; only while not busy."""
        self._began_s = time.monotonic()
        self._publisher.submit(publication)

    def finished(self) -> Publication | None:
        """The publication that is out since the last call; raises PublishFailed."""
        publication = self._publisher.finished()
        if publication is not None:
            self._metrics.published(time.monotonic() - self._began_s)
        return publication


class Meter:
    """Takes the snapshots; ``session`` is the one that runs, None on a standby."""

    def __init__(self, metrics: Metrics, workers: Workers, membership: Membership, broken: Sized) -> None:
        self.session: Session | None = None
        self._metrics = metrics
        self._workers = workers
        self._membership = membership
        self._broken = broken
        self._next_s = 0.0

    def timed(self, publisher: Publisher) -> Publisher:
        """The publisher, with its publications timed."""
        return TimedPublisher(publisher, self._metrics)

    def look(self, tally: Tally) -> None:
        """Take a snapshot if it is time; ``tally`` holds the sessions before this one."""
        now_s = time.monotonic()
        if now_s < self._next_s:
            return
        self._next_s = now_s + _EVERY_S
        self._metrics.show(self._snapshot(tally))

    def _snapshot(self, tally: Tally) -> Snapshot:
        session = self.session
        leader = self._membership.leader
        workers = {"coordinator": WorkerSample(time.process_time(), rss_bytes())}
        return Snapshot(
            leader=leader,
            ready=session is not None if leader else self._membership.joined,
            partitions=_partitions(tally, session),
            workers=workers | self._workers.usage(),
            windows_published=tally.windows + (session.windows_published if session else 0),
            open_windows=session.sequencer.open_windows if session else 0,
            watermark_ms=session.sequencer.watermark_ms if session else None,
            restarts={"worker": self._workers.restarts, "session": len(self._broken)},
        )


def _partitions(tally: Tally, session: Session | None) -> dict[int, PartitionSample]:
    total = tally.partitions()
    if session is not None:
        for number, part in session.sequencer.partitions.items():
            total.setdefault(number, PartitionStats()).add(part.counts, ended=False)
    return {number: _sample(number, stats, session) for number, stats in sorted(total.items())}


def _sample(number: int, stats: PartitionStats, session: Session | None) -> PartitionSample:
    part = session.sequencer.partitions.get(number) if session else None
    return PartitionSample(
        records=stats.records,
        counted=stats.counted,
        late=stats.late,
        closed_early=stats.closed_early,
        published_before=stats.published_before,
        read_again=stats.read_again,
        rejected=stats.rejected,
        set_aside=stats.set_aside,
        waiting=stats.waiting,
        lag=session.lag(number) if session and part else None,
        clock_ms=part.clock.state.clock_ms if part else None,
        idle=part.idle if part else False,
    )
