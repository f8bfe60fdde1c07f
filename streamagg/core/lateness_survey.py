"""How late the records of a log come, for every max lag at once.

A record is late if its window had ended by max lag or more when it came, by the clock of its partition. That
clock is the greatest event time accepted, which a late record never moves, so it does not depend on max lag:
one pass over the log says what each max lag would lose.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from streamagg.core.partition_clock import Run
from streamagg.core.windows import Windows
from streamagg.model.columns import Int64Column
from streamagg.model.settings import WindowSettings

LISTED_MS: Final = tuple(
    seconds * 1_000 for seconds in (0, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600, 21_600, 86_400)
)
"""Max lags that are counted exactly, and the bounds of the classes of records behind their clock."""
_NEVER_LATE_MS: Final = 300_000_000_000_000
"""More than lies between any two event times: the year 10000 is 253,402,300,800,000 ms after 1970."""
_EXACT_BITS: Final = 16
"""Below 65,536 ms the histogram is exact; above, it errs upwards by less than 1 in 32,768."""
_HALF: Final = 1 << (_EXACT_BITS - 1)
"""Classes for each doubling from there on."""
_BUCKETS: Final = 2 * _HALF + 33 * _HALF
"""The exact ones, and 33 doublings more: 2 to the power of 49 ms is more than ``_NEVER_LATE_MS``."""


def never_late(settings: WindowSettings) -> Windows:
    """The windows of these settings, except that no record is ever late for them."""
    return Windows(replace(settings, max_lag_ms=_NEVER_LATE_MS))


class Histogram:
    """How many values of milliseconds there are of each size; the memory does not grow."""

    def __init__(self) -> None:
        self._counts = np.zeros(_BUCKETS, np.int64)

    def add(self, values_ms: Int64Column) -> None:
        """Count values, shape ``(n,)``, none of them negative."""
        shift = np.maximum(np.frexp(values_ms.astype(np.float64))[1] - _EXACT_BITS, 0)
        found, counts = np.unique(shift * _HALF + (values_ms >> shift), return_counts=True)
        self._counts[found] += counts

    def above_all_but(self, most: int) -> int:
        """The least duration that at most so many values reach, in milliseconds; rounded up above 65 s."""
        reaching = np.cumsum(self._counts[::-1])
        tail = int(np.searchsorted(reaching, most, side="right"))
        if tail == _BUCKETS:
            return 0
        return _end_ms(_BUCKETS - tail - 1)


def _end_ms(bucket: int) -> int:
    """The least duration above a bucket."""
    shift = max(0, bucket // _HALF - 1)
    return (bucket - shift * _HALF + 1) << shift


class Lateness:
    """Gathers the accepted records of all partitions."""

    def __init__(self, settings: WindowSettings) -> None:
        self._windows = never_late(settings)
        self.max_lags_ms = tuple(sorted({*LISTED_MS, settings.max_lag_ms}))
        """Those that are counted exactly: the listed ones, and that of the settings."""
        self.accepted = 0
        self.most_ms = 0
        """The least max lag that loses nothing."""
        self._lost = np.zeros(len(self.max_lags_ms) + 1, np.int64)
        self._behind = np.zeros(len(LISTED_MS) + 1, np.int64)
        self._histogram = Histogram()

    def add(self, run: Run) -> None:
        """Take records that a clock with ``never_late`` windows has accepted."""
        self.accepted += len(run.event_time_ms)
        clocks = run.clocks_before()
        behind = clocks - run.event_time_ms
        if not (behind > 0).any():
            self._behind[0] += len(behind)
            return
        # Class 0 is not behind at all, class i from the bound before it to just below bound i.
        classes = np.searchsorted(LISTED_MS, behind, side="right") * (behind > 0)
        self._behind += np.bincount(classes, minlength=len(self._behind))
        numbers = self._windows.number(run.event_time_ms)
        ends = (numbers + 1) * self._windows.granularity_ms + self._windows.offset_ms
        late = (clocks - ends)[clocks >= ends]
        if len(late):
            lost = np.searchsorted(self.max_lags_ms, late, side="right")
            self._lost += np.bincount(lost, minlength=len(self._lost))
            self._histogram.add(late)
            self.most_ms = max(self.most_ms, int(late.max()) + 1)

    def lost(self) -> Mapping[int, int]:
        """By max lag: how many records come too late for it."""
        # A record in place i comes too late for the first i of them.
        reaching = np.cumsum(self._lost[::-1])[::-1][1:]
        return dict(zip(self.max_lags_ms, reaching.tolist(), strict=True))

    def behind(self) -> Sequence[int]:
        """Records not behind their clock at all, then those of each class between the listed durations."""
        return [int(count) for count in self._behind]

    def smallest_max_lag_ms(self, one_in: int | None) -> int:
        """The least max lag that loses no more than one accepted record in so many, or with None nothing.

        Exact below 65 s; above, too long by less than 1 in 32,768. For nothing it is exact.
        """
        if one_in is None:
            return self.most_ms
        return min(self.most_ms, self._histogram.above_all_but(self.accepted // one_in))
