"""Why records of a partition are in no count, as far as its numbers show."""

from collections.abc import Mapping
from statistics import median

from streamagg.model.settings import WindowSettings
from streamagg.telemetry.snapshot import PartitionSample, UncountedSample


def likely_cause(
    number: int,
    samples: Mapping[int, PartitionSample],
    found: UncountedSample,
    window: WindowSettings,
    wall_ms: int,
) -> str:
    """A sentence or two about the greater part of what was ``found`` in a partition of ``samples``."""
    if sum(found.rejected.values()) > found.late:
        return _of_rejected(found.rejected, window)
    if 2 * found.closed_early > found.late:
        return "Their windows were closed while the partition was silent: a longer --idle-timeout waits."
    return _clock_ahead(number, samples, found, window, wall_ms) or (
        f"They come later than --max-lag {window.max_lag_ms / 1_000:g}s allows, or a clock among the"
        " producers is fast: streamagg advise tells which, and what --max-lag is enough."
    )


def _of_rejected(rejected: Mapping[str, int], window: WindowSettings) -> str:
    reason = max(rejected, key=lambda reason: rejected[reason])
    if reason == "bad_group":
        return (
            "Most are rejected as bad_group: a field of --group-by holds an object, an array or a text of"
            " more than 256 bytes (docs/decoding.md)."
        )
    if reason != "future":
        return f"Most are rejected as {reason} (docs/decoding.md)."
    return (
        f"Most are rejected as future: more than --max-jump {window.max_jump_ms / 1_000:g}s ahead of the"
        " records around them. A clock among the producers is fast: streamagg advise tells by how much."
    )


def _clock_ahead(
    number: int,
    samples: Mapping[int, PartitionSample],
    found: UncountedSample,
    window: WindowSettings,
    wall_ms: int,
) -> str | None:
    """The sentence if fast clocks have dragged the partition's clock along; None if nothing points to
    that."""
    sample, reach_ms = samples[number], max(window.max_lag_ms, window.max_jump_ms)
    if sample.clock_ms is None:
        return None
    ahead_ms, of = sample.clock_ms - wall_ms, "this machine's"
    if ahead_ms <= reach_ms:
        others = [
            other.clock_ms
            for partition, other in samples.items()
            if partition != number and other.clock_ms is not None and _live(other, found)
        ]
        if not others or not _live(sample, found):
            return None
        ahead_ms, of = sample.clock_ms - int(median(others)), "that of the other partitions"
    if ahead_ms <= reach_ms:
        return None
    return (
        f"The partition's clock is {ahead_ms // 1_000:,} s ahead of {of}: a clock among the producers is fast"
        " and makes the others late. streamagg advise tells what another --max-jump brings."
    )


def _live(sample: PartitionSample, found: UncountedSample) -> bool:
    """Near its end and not silent; in a backlog clocks are as far apart as the blocks that are read."""
    return not sample.idle and sample.lag is not None and sample.lag <= found.records
