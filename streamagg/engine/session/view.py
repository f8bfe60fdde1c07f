"""What metrics, events, warnings and statistics may see of a session: this, and nothing behind it."""

from collections.abc import Mapping
from dataclasses import dataclass

from streamagg.core.partition import Partition
from streamagg.model.counters import Counters


@dataclass(frozen=True, slots=True)
class PartitionView:
    """A partition at one moment."""

    counts: Counters
    lag: int
    """Offsets between what is applied and its end, as last heard."""
    clock_ms: int | None
    floor_ms: int | None
    """Event time below which no more rows can come; None before the first record."""
    idle: bool
    holds: bool
    """The watermark cannot pass its floor."""
    pending: int
    """Blocks that are not applied yet."""
    jumps: int
    """How often the clock went further than max jump at once."""
    last_jump: tuple[int, int] | None
    """The times before and after."""


@dataclass(frozen=True, slots=True)
class SessionView:
    """A session at one moment; to be taken about once a second."""

    partitions: Mapping[int, PartitionView]
    watermark_ms: int | None
    open_records: Mapping[int, int]
    """Records counted so far, by open window."""
    open_periods: Mapping[str, int]
    """How many are not published yet, by calendar."""


def partition_view(part: Partition, lag: int) -> PartitionView:
    """A partition as it is now."""
    return PartitionView(
        counts=part.counts + Counters(),
        lag=lag,
        clock_ms=part.clock.state.clock_ms,
        floor_ms=part.floor_ms,
        idle=part.idle,
        holds=part.holds,
        pending=len(part.parked),
        jumps=part.jumps,
        last_jump=part.last_jump,
    )
