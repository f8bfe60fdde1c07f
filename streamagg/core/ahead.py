"""Which records of a partition are ahead of those around them: clocks that are fast.

A record is ahead if most of the 32 before it *and* most of the 32 behind it are older by more than a reach.
So neither a gap (what follows is as new), nor old records in between (what came before is as new) make others
look fast, and it does not matter how a clock would judge them::

    a fast clock    ·  ·  ·  ·  ·  ▲  ·  ·  ·  ·     ahead of both sides
    a gap           ·  ·  ·  ·           ▪  ·  ·     ahead of what came before only
    old records     ·  ·  ·  ▪  .  .  .  .  ·  ·     ahead of what follows only

Bursts of more than 16 fast records hide each other. So the same is asked of every 8th and of every 64th
record as well; the answer is that of the finest of the three which finds about as many as the others.
A few records between two bursts of old ones are taken for fast.
"""

from typing import Final

import numpy as np

from streamagg.model.columns import BoolColumn, Int64Column

SIDE: Final = 32
"""Records looked at on either side, a power of 2: half of them, 16, is the longest burst of fast records that
one stride finds."""
STRIDES: Final = (1, 8, 64)
"""Bursts of up to 16, 128 and 1,024 records: each stride reaches eight times as far as the one before."""
_AROUND: Final = np.array([k for k in range(-SIDE, SIDE + 1) if k], np.int64)
_NO_RECORD: Final = 1 << 62
"""Before the first record and behind the last: newer than any, so that it speaks against everybody."""
_PARTS: Final = 64
"""Classes of how far ahead, for each doubling: neighbours differ by 1.1 %."""
_CLASSES: Final = 63 * _PARTS
"""Milliseconds are positive and fit into 63 bits."""


class Ahead:
    """Of one partition; the memory does not grow."""

    def __init__(self, reach_ms: int) -> None:
        self._seen = 0
        self._scales = [_Scale(stride, reach_ms) for stride in STRIDES]

    def add(self, event_time_ms: Int64Column) -> None:
        """Take records in the order of their offsets, shape ``(n,)``."""
        for scale in self._scales:
            scale.look(event_time_ms[-self._seen % scale.stride :: scale.stride])
        self._seen += len(event_time_ms)

    def end(self) -> None:
        """None follow."""
        for scale in self._scales:
            scale.look(np.full(SIDE, _NO_RECORD, np.int64))

    @property
    def share(self) -> float:
        """Of all records, those that are ahead."""
        return min(1.0, self.records / self._seen) if self._seen else 0.0

    @property
    def records(self) -> int:
        """How many are ahead: where few of them come in a row exactly."""
        return self._best.found * self._best.stride

    def quantile_ms(self, part: float) -> int:
        """A quantile of how far ahead they are, in milliseconds; ``part`` is between 0 and 1."""
        return self._best.quantile_ms(part)

    @property
    def _best(self) -> "_Scale":
        most = max(scale.found * scale.stride for scale in self._scales)
        return next(scale for scale in self._scales if 3 * scale.found * scale.stride >= 2 * most)


class _Scale:
    """Every so many records."""

    def __init__(self, stride: int, reach_ms: int) -> None:
        self.stride = stride
        self.found = 0
        self._reach_ms = reach_ms
        self._times = np.full(SIDE, _NO_RECORD, np.int64)
        """Of the records that are not decided yet, and of those just before them."""
        self._counts = np.zeros(_CLASSES, np.int64)
        """By how far ahead."""
        self._sums = np.zeros(_CLASSES)

    def look(self, further: Int64Column) -> None:
        """Decide about those whose neighbours are all known now."""
        times = np.concatenate([self._times, further])
        self._times = times[-2 * SIDE :]
        if len(times) <= 2 * SIDE:
            return
        rows = SIDE + np.flatnonzero(_maybe_ahead(times, self._reach_ms))
        near = times[rows[:, np.newaxis] + _AROUND]
        older = near < (times[rows] - self._reach_ms)[:, np.newaxis]
        most = (older[:, :SIDE].sum(axis=1) > SIDE // 2) & (older[:, SIDE:].sum(axis=1) > SIDE // 2)
        if not most.any():
            return
        # More than half of both sides together are older, and so is the one in the middle.
        ahead_ms = times[rows[most]] - np.partition(near[most], SIDE, axis=1)[:, SIDE]
        self.found += len(ahead_ms)
        classes = (np.log2(ahead_ms.astype(np.float64)) * _PARTS).astype(np.int64)
        self._counts += np.bincount(classes, minlength=_CLASSES)
        self._sums += np.bincount(classes, ahead_ms, minlength=_CLASSES)

    def quantile_ms(self, part: float) -> int:
        """The mean of the class in which such a part of what was found is reached."""
        if not self.found:
            return 0
        at = int(np.searchsorted(np.cumsum(self._counts), part * self.found))
        return round(float(self._sums[at]) / int(self._counts[at]))


def _maybe_ahead(times: Int64Column, reach_ms: int) -> BoolColumn:
    """Which of ``times[SIDE:-SIDE]`` have two neighbours on each side that are older; others cannot be ahead.

    Where most of 32 are older, two that follow each other are.
    """
    least = np.maximum(times[:-1], times[1:])
    width = 1
    while width < SIDE:
        # The least of twice as many pairs from each on.
        least = np.minimum(least[:-width], least[width:])
        width *= 2
    # One pair on either side holds the record itself, which is no older than itself.
    before, behind = least[:-SIDE], least[SIDE:]
    return times[SIDE:-SIDE] - reach_ms > np.maximum(before, behind)
