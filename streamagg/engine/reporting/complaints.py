"""Warns of partitions with many records in no count: which, how many, since when, the likely cause."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from streamagg.engine.reporting.likely_cause import likely_cause
from streamagg.engine.reporting.minute_summary import utc
from streamagg.engine.reporting.uncounted import MUCH, NONE, Worst
from streamagg.events import Log
from streamagg.model.settings import WindowSettings
from streamagg.telemetry.snapshot import PartitionSample, UncountedSample

AGAIN_MS: Final = 600_000
"""A partition is warned of once in so long."""
_FEWEST_IN_ALL: Final = 3
"""Of a whole run: fewer are no share, however few records there were."""

_TOTAL: Final = (
    "{late:,} of {records:,} records were late and {rejected:,} rejected, and are in no count; most in"
    " partition {partition}, {share:.1%}"
)
_CAUSE: Final = ". {cause}"
_WITHOUT_PEAK: Final = _TOTAL + _CAUSE
_WITH_PEAK: Final = _TOTAL + ", and up to {peak:.1%} of a partition in a minute, at {peak_at}" + _CAUSE

log = Log(__name__)


@dataclass(slots=True)
class _Told:
    """What was said of a partition."""

    since: str | None = None
    """When it began; None while all is well."""
    told_ms: int | None = None
    """When it was warned of last, if ever."""
    uncounted: int = 0
    """Records in no count when it was looked at last."""
    open: bool = False
    """The last word was a warning."""


@dataclass(slots=True)
class CountWarnings:
    """Of one run; to be asked about once a second."""

    window: WindowSettings
    wall_s: Callable[[], float] = time.time
    """Unix time in seconds."""
    _told: dict[int, _Told] = field(default_factory=dict)

    def look(self, samples: Mapping[int, PartitionSample], now_ms: int) -> None:
        """Report what has begun, lasts or is over; ``now_ms`` by the clock of
        ``UncountedSample.since_ms``."""
        for number, sample in samples.items():
            told = self._told.setdefault(number, _Told())
            found, grown = sample.uncounted, sample.counts.uncounted > told.uncounted
            told.uncounted = sample.counts.uncounted
            if found is None or found.share <= MUCH:
                _tell_over(number, found, told)
                continue
            told.since = told.since or self._moment(found.since_ms, now_ms)
            due = told.told_ms is None or now_ms - told.told_ms >= AGAIN_MS
            # Where nothing more comes, there is nothing more to report.
            if due and grown:
                told.told_ms, told.open = now_ms, True
                self._warn(number, samples, found, told.since)

    def sum_up(self, samples: Mapping[int, PartitionSample], worst: Mapping[int, Worst], now_ms: int) -> None:
        """The run ends: report what it lost if a partition has lost much, in all or in a minute."""
        found = {number: _in_all(sample) for number, sample in samples.items() if _matters(sample)}
        peak = max(worst.values(), key=lambda each: each.share, default=NONE)
        most = max((each.share for each in found.values()), default=0.0)
        if max(most, peak.share) <= MUCH or not found:
            return
        partition = next(number for number, each in found.items() if each.share == most)
        text = _WITH_PEAK if peak.share > MUCH else _WITHOUT_PEAK
        log.warning(
            "uncounted_total",
            text,
            records=sum(sample.counts.consumed for sample in samples.values()),
            late=sum(sample.counts.late for sample in samples.values()),
            rejected=sum(sum(sample.counts.rejected.values()) for sample in samples.values()),
            partition=partition,
            share=round(most, 4),
            peak=round(peak.share, 4),
            peak_at=self._moment(peak.at_ms, now_ms) if peak.share else None,
            cause=likely_cause(partition, samples, found[partition], self.window, self._wall_ms()),
        )

    def _warn(
        self, number: int, samples: Mapping[int, PartitionSample], found: UncountedSample, since: str
    ) -> None:
        log.warning(
            "partition_uncounted",
            "partition {partition}: {share:.1%} of the last {records:,} records are in no count ({late} late,"
            " {rejected} rejected), since {since}. {cause}",
            partition=number,
            share=round(found.share, 4),
            records=found.records,
            late=found.late,
            rejected=sum(found.rejected.values()),
            since=since,
            cause=likely_cause(number, samples, found, self.window, self._wall_ms()),
        )

    def _wall_ms(self) -> int:
        return int(self.wall_s() * 1_000)

    def _moment(self, at_ms: int, now_ms: int) -> str:
        return utc(self._wall_ms() - (now_ms - at_ms))


def _tell_over(number: int, found: UncountedSample | None, told: _Told) -> None:
    if told.open:
        log.info(
            "partition_counted_again",
            "partition {partition}: no more than {most:.0%} of its records are in no count any more",
            partition=number,
            most=MUCH,
        )
    told.since, told.open = None, False


def _matters(sample: PartitionSample) -> bool:
    return sample.counts.uncounted >= _FEWEST_IN_ALL


def _in_all(sample: PartitionSample) -> UncountedSample:
    """Of a whole run."""
    counts = sample.counts
    return UncountedSample(counts.consumed, counts.late, counts.closed_early, counts.rejected, 0)
