"""What share of a partition's records is in no count, because they are late or rejected.

Looked at is the last minute, to within five seconds. A minute with few records says nothing, so where it
holds fewer than a hundred it reaches further back, for a quarter of an hour at most::

    100 records a second   ····················[============]     a minute
    a record in 8 s        ·  ·  [  =  =  =  =  =  =  =  =  ]     13 minutes, 100 records
    a record in 10 s       ·    ·    ·    ·    ·    ·    ·        not known
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from streamagg.model.counters import Counters
from streamagg.telemetry.snapshot import UncountedSample

MUCH: Final = 0.02
"""A larger share is reported: well above the ordinary late and broken records, and low enough for one fast
device among fifty."""
FEWEST: Final = 100
"""Of fewer records no share is taken."""
_STRETCH_MS: Final = 60_000
"""A minute is looked at; more where it has fewer than ``FEWEST`` records."""
_LONGEST_MS: Final = 900_000
"""But no more than a quarter of an hour: an older share says nothing about now."""
_SLICE_MS: Final = 5_000
"""Between two marks, so that a minute is known to within a twelfth."""
_SLICE_RECORDS: Final = 5
"""Of fewer records there is no mark, so that a partition has 12 marks, or 20 where little comes."""


class Worst(NamedTuple):
    """The greatest share that was seen, and when."""

    share: float = 0.0
    at_ms: int = 0


NONE: Final = Worst()


class _Mark(NamedTuple):
    at_ms: int
    counts: Counters


@dataclass(slots=True)
class _Partition:
    """One partition: marks, the oldest first, of which the share is counted from the first one on."""

    marks: deque[_Mark]
    worst: Worst = NONE

    def look(self, counts: Counters, now_ms: int) -> UncountedSample | None:
        marks = self.marks
        while marks and self._may_go(counts, now_ms):
            marks.popleft()
        if not marks or (
            now_ms - marks[-1].at_ms >= _SLICE_MS and _records(marks[-1].counts, counts) >= _SLICE_RECORDS
        ):
            marks.append(_Mark(now_ms, counts))
        found = self._since_first(counts)
        if found is not None and found.share > self.worst.share:
            self.worst = Worst(found.share, now_ms)
        return found

    def _may_go(self, counts: Counters, now_ms: int) -> bool:
        """The first mark is too old, or the second one reaches back far enough."""
        if now_ms - self.marks[0].at_ms > _LONGEST_MS:
            return True
        second = self.marks[1] if len(self.marks) > 1 else None
        return (
            second is not None
            and now_ms - second.at_ms >= _STRETCH_MS
            and _records(second.counts, counts) >= FEWEST
        )

    def _since_first(self, counts: Counters) -> UncountedSample | None:
        first = self.marks[0].counts
        records = _records(first, counts)
        if records < FEWEST:
            return None
        since = (mark.at_ms for mark in reversed(self.marks) if mark.counts.uncounted == first.uncounted)
        fresh = counts - first
        return UncountedSample(records, fresh.late, fresh.closed_early, fresh.rejected, since_ms=next(since))


class UncountedShares:
    """Of all partitions; to be asked about once a second."""

    def __init__(self) -> None:
        self._partitions: dict[int, _Partition] = {}

    def look(self, partitions: Mapping[int, Counters], now_ms: int) -> dict[int, UncountedSample | None]:
        """The present share of each partition, None where it is not known; ``now_ms`` never goes back."""
        for number in partitions.keys() - self._partitions.keys():
            self._partitions[number] = _Partition(deque([_Mark(now_ms, Counters())]))
        return {
            number: self._partitions[number].look(counts, now_ms) for number, counts in partitions.items()
        }

    def worst(self) -> dict[int, Worst]:
        """The greatest share that each partition has had."""
        return {number: partition.worst for number, partition in self._partitions.items()}


def _records(before: Counters, after: Counters) -> int:
    """Records that were read, or decided about: some wait in between for a slot of the ring."""
    decided = after.counted + after.uncounted - before.counted - before.uncounted
    return max(after.consumed - before.consumed, decided)
