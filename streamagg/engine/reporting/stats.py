"""The counters of a run."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from streamagg.engine.reporting.symptoms import FitWatch, Symptoms
from streamagg.engine.session.session import Session
from streamagg.engine.session.view import SessionView
from streamagg.errors import StreamaggError
from streamagg.model.counters import Counters
from streamagg.model.measured import StageTimes
from streamagg.telemetry.process import rss_bytes


@dataclass(slots=True)
class RunStats:
    """What ``--stats-json`` writes; its sums are those of ``Counters``."""

    records: int
    counted: int
    late: int
    rejected: dict[str, int]
    values_ignored: dict[str, int]
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
    partitions: dict[str, Counters]
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
        self._partitions: dict[int, Counters] = {}
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
        counts = {number: part.counts for number, part in session.view().partitions.items()}
        ended = not session.finished
        self.add_counts(counts, session.windows_published, session.busy_ms, ended=ended)

    def add_counts(self, counts: Mapping[int, Counters], windows: int, busy_ms: int, *, ended: bool) -> None:
        """Take over counters by partition; one that has ``ended`` is read again from its checkpoint."""
        self._windows += windows
        self._ms += busy_ms
        for number, those in counts.items():
            self._partitions[number] = self._of(number) + (those.abandoned() if ended else those)

    def note_memory(self, workers_bytes: int) -> None:
        """Look at what all processes hold together, now."""
        self.peak_rss_bytes = max(self.peak_rss_bytes, rss_bytes() + workers_bytes)

    def partitions(self, running: SessionView | None = None) -> dict[int, Counters]:
        """The counters by partition, in order, with those of a session that has not ended."""
        own = {} if running is None else running.partitions
        together = {number: self._of(number) + part.counts for number, part in own.items()}
        return dict(sorted((self._partitions | together).items()))

    def judged(self) -> RunStats:
        """The counters of a run that has come to its end."""
        stats = self.stats()
        stats.nothing_counted = self.fit.end(self.symptoms, stats.counted, stats.rejected)
        return stats

    def stats(self) -> RunStats:
        """The counters as they are now."""
        total = sum(self._partitions.values(), Counters())
        return RunStats(
            records=total.consumed,
            counted=total.counted,
            late=total.late,
            rejected=total.rejected,
            values_ignored=total.values_ignored,
            windows=self._windows,
            seconds=self._ms / 1000,
            records_per_second=round(total.consumed / (self._ms / 1000)) if self._ms else 0.0,
            set_aside=total.set_aside,
            published_before=total.published_before,
            waiting=total.waiting,
            read_again=total.read_again,
            restarts=self.restarts,
            peak_rss_bytes=self.peak_rss_bytes,
            partitions={str(number): part for number, part in self.partitions().items()},
        )

    def _of(self, number: int) -> Counters:
        return self._partitions.get(number, Counters())
