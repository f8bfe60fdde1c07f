"""The counters of a run."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from streamagg.core.partition import Counts
from streamagg.engine.reporting.symptoms import FitWatch, Symptoms
from streamagg.engine.session.session import Session
from streamagg.errors import StreamaggError
from streamagg.model.measured import StageTimes
from streamagg.telemetry.process import rss_bytes


@dataclass(slots=True)
class PartitionStats:
    """Where the records of one partition went; the fields add up to ``records``."""

    records: int = 0
    payload_bytes: int = 0
    """Size of their payloads; 0 for files."""
    counted: int = 0
    late: int = 0
    """Including ``closed_early``."""
    closed_early: int = 0
    published_before: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    set_aside: int = 0
    waiting: int = 0
    read_again: int = 0
    """Set aside or waiting when the workers were started again; read and counted once more."""

    def add(self, counts: Counts, *, ended: bool) -> None:
        """Add the counters of a session; an ``ended`` one will be read again from its checkpoint."""
        self.records += counts.consumed
        self.payload_bytes += counts.payload_bytes
        self.counted += counts.counted
        self.late += counts.late + counts.closed_early
        self.closed_early += counts.closed_early
        self.published_before += counts.published_before
        for reason, records in counts.rejected.items():
            self.rejected[reason] = self.rejected.get(reason, 0) + records
        if ended:
            self.read_again += counts.set_aside + counts.waiting
        else:
            self.set_aside += counts.set_aside
            self.waiting += counts.waiting


@dataclass(slots=True)
class RunStats:
    """What ``--stats-json`` writes.

    ``records = counted + late + rejected + set_aside + published_before + waiting + read_again``.
    """

    records: int
    counted: int
    late: int
    rejected: dict[str, int]
    windows: int
    seconds: float
    """From the first fetch to the last record, or to the last window published if that is later."""
    records_per_second: float
    set_aside: int
    published_before: int
    waiting: int
    read_again: int
    restarts: int
    peak_rss_bytes: int
    """Highest resident memory seen, all processes together."""
    partitions: dict[str, PartitionStats]
    nothing_counted: str | None = None
    """Why a run to an end is no success: no record was counted, or all at times in another unit."""

    def write(self, path: str) -> None:
        """Write as one JSON object; raises StreamaggError."""
        try:
            Path(path).write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n")
        except OSError as error:
            raise StreamaggError(
                f"The counters cannot be written to {path}: {error.strerror}. Choose another --stats-json."
            ) from error


class Tally:
    """Adds up the sessions of a run."""

    def __init__(self) -> None:
        self.peak_rss_bytes = 0
        self.restarts = 0
        self._partitions: dict[int, PartitionStats] = {}
        self._windows = 0
        self._ms = 0
        self.times = StageTimes()
        """Of the sessions that have ended, as ``symptoms``."""
        self.symptoms = Symptoms()
        self.fit = FitWatch()

    def add(self, session: Session) -> None:
        """Take over the counters of a session that has ended."""
        self.times.add(session.times)
        self.symptoms.add(session.symptoms)
        counts = {number: part.counts for number, part in session.sequencer.partitions.items()}
        ended = not session.finished
        self.add_counts(counts, session.windows_published, session.busy_ms, ended=ended)

    def add_counts(self, counts: Mapping[int, Counts], windows: int, busy_ms: int, *, ended: bool) -> None:
        """Take over counters by partition; see ``PartitionStats.add``."""
        self._windows += windows
        self._ms += busy_ms
        for number, those in counts.items():
            self._partitions.setdefault(number, PartitionStats()).add(those, ended=ended)

    def note_memory(self, workers_bytes: int) -> None:
        """Look at what all processes hold together, now."""
        self.peak_rss_bytes = max(self.peak_rss_bytes, rss_bytes() + workers_bytes)

    def partitions(self) -> dict[int, PartitionStats]:
        """A copy of the counters by partition."""
        return {
            number: replace(part, rejected=dict(part.rejected)) for number, part in self._partitions.items()
        }

    def judged(self) -> RunStats:
        """The counters of a run that has come to its end."""
        stats = self.stats()
        stats.nothing_counted = self.fit.end(self.symptoms, stats.counted, stats.rejected)
        return stats

    def stats(self) -> RunStats:
        """The counters as they are now."""
        parts = self._partitions
        rejected: dict[str, int] = {}
        for part in parts.values():
            for reason, records in part.rejected.items():
                rejected[reason] = rejected.get(reason, 0) + records
        records = sum(part.records for part in parts.values())
        return RunStats(
            records=records,
            counted=sum(part.counted for part in parts.values()),
            late=sum(part.late for part in parts.values()),
            rejected=rejected,
            windows=self._windows,
            seconds=self._ms / 1000,
            records_per_second=round(records / (self._ms / 1000)) if self._ms else 0.0,
            set_aside=sum(part.set_aside for part in parts.values()),
            published_before=sum(part.published_before for part in parts.values()),
            waiting=sum(part.waiting for part in parts.values()),
            read_again=sum(part.read_again for part in parts.values()),
            restarts=self.restarts,
            peak_rss_bytes=self.peak_rss_bytes,
            partitions={str(number): part for number, part in sorted(parts.items())},
        )
