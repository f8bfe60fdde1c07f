"""Logs what changes in the partitions of a session: silence, jumps of time, one that holds up the others."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from streamagg.core.windows import Windows
from streamagg.engine.reporting.minute_summary import utc
from streamagg.engine.session.session import Session
from streamagg.engine.session.view import PartitionView
from streamagg.events import Log

SLOW_AFTER_S: Final = 30.0
"""A partition is slow if it holds up the others for so long at a stretch."""
_FAR_WINDOWS: Final = 5
"""It holds them up if its clock is so many windows, and max lag, behind that of another."""
_NO_WATERMARK: Final = -1
"""Instead of the clock of a partition without one: it lets nothing close."""

log = Log(__name__)


@dataclass(slots=True)
class _Seen:
    """A partition as it was when it was looked at last."""

    idle: bool = False
    jumps: int = 0
    future: int = 0


@dataclass(slots=True)
class PartitionEvents:
    """Of one session; to be asked about once a second."""

    session: Session
    _seen: dict[int, _Seen] = field(default_factory=dict)
    _holder: int | None = None
    _holds_since_s: float = 0.0
    _told_slow: bool = False

    def look(self, now_s: float) -> None:
        """Log what has changed since the last time; ``now_s`` is of a clock that is never set."""
        plan, partitions = self.session.plan, self.session.view().partitions
        for number, part in partitions.items():
            seen = self._seen.setdefault(number, _Seen())
            if not plan.bounded:
                _tell_silence(number, part, seen)
            _tell_jumps(number, part, seen)
        self._look_for_slow(partitions, plan.windows, now_s)

    def _look_for_slow(self, partitions: Mapping[int, PartitionView], windows: Windows, now_s: float) -> None:
        holder = holding_up(partitions, windows)
        if holder != self._holder:
            if self._told_slow:
                log.info(
                    "partition_not_slow",
                    "partition {partition} does not hold up the others any more",
                    partition=self._holder,
                )
            self._holder, self._holds_since_s, self._told_slow = holder, now_s, False
        elif holder is not None and not self._told_slow and now_s - self._holds_since_s >= SLOW_AFTER_S:
            self._told_slow = True
            clock_ms = partitions[holder].floor_ms
            log.warning(
                "partition_slow",
                "partition {partition} holds up the others: its clock is at {clock}",
                partition=holder,
                clock=None if clock_ms is None else utc(clock_ms),
            )


def holding_up(partitions: Mapping[int, PartitionView], windows: Windows) -> int | None:
    """The partition that holds the watermark far behind the clock of another; None if there is none."""
    clocks = {
        number: _NO_WATERMARK if (floor := part.floor_ms) is None else floor
        for number, part in partitions.items()
        if part.holds
    }
    if not clocks:
        return None
    last = min(clocks, key=lambda number: clocks[number])
    first_ms = max(part.clock_ms or 0 for part in partitions.values())
    far_ms = _FAR_WINDOWS * windows.granularity_ms + windows.max_lag_ms
    return last if first_ms - clocks[last] > far_ms else None


def _tell_silence(number: int, part: PartitionView, seen: _Seen) -> None:
    if part.idle and not seen.idle:
        log.info("partition_idle", "partition {partition} is idle: time goes on without it", partition=number)
    if seen.idle and not part.idle:
        log.info("partition_busy", "partition {partition} is busy again", partition=number)
    seen.idle = part.idle


def _tell_jumps(number: int, part: PartitionView, seen: _Seen) -> None:
    if part.jumps > seen.jumps and part.last_jump is not None:
        log.info(
            "jump_confirmed",
            "partition {partition}: time has jumped ahead from {before} to {after}",
            partition=number,
            before=utc(part.last_jump[0]),
            after=utc(part.last_jump[1]),
            jumps=part.jumps - seen.jumps,
        )
    future = part.counts.rejected.get("future", 0)
    if future > seen.future:
        log.warning(
            "jump_refuted",
            "partition {partition}: {records} record(s) too far in the future are rejected",
            partition=number,
            records=future - seen.future,
        )
    seen.jumps, seen.future = part.jumps, future
