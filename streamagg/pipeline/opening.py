"""Where a session begins to read a topic: at the committed checkpoints, or anew."""

from collections.abc import Mapping
from typing import Final, Literal

from streamagg.core import checkpoint
from streamagg.core.checkpoint import Checkpoint
from streamagg.core.clock import PartitionState
from streamagg.errors import CheckpointError
from streamagg.kafka.admin import end_offsets
from streamagg.pipeline.session import Opening
from streamagg.settings import RunSettings, StartAt

EARLIEST: Final = StartAt("earliest")


def openings(
    settings: RunSettings,
    partitions: list[int],
    committed: Mapping[int, tuple[int, str]],
    start: StartAt,
    stops: Mapping[int, int] | None,
) -> dict[int, Opening]:
    """Openings by partition; ``stops`` are the ends of a bounded run.

    Raises CheckpointError when a checkpoint cannot be continued, and what the broker has against it.
    """
    begins = end_offsets(settings.kafka, settings.input, partitions, at="earliest")
    ends = end_offsets(settings.kafka, settings.input, partitions, at="latest")
    print_ = checkpoint.fingerprint(settings.window, settings.decode)
    if start.kind == "committed":
        known = {p: checkpoint.decode(offset, text, print_) for p, (offset, text) in committed.items()}
        for partition, at in known.items():
            _check_history(partition, at.state.offset, begins[partition], ends[partition])
        known |= {p: _anew(begins[p], begins[p], known) for p in partitions if p not in known}
    else:
        offsets = _start_offsets(settings, partitions, start)
        known = {p: _anew(offsets[p], begins[p], {}) for p in partitions}
    anew = set(partitions) if start.kind != "committed" else set(partitions) - committed.keys()
    return {
        p: Opening(known[p], ends[p], None if stops is None else stops[p], committed=p not in anew)
        for p in partitions
    }


def _start_offsets(settings: RunSettings, partitions: list[int], start: StartAt) -> dict[int, int]:
    if start.time_ms is not None:
        return end_offsets(settings.kafka, settings.input, partitions, at=start.time_ms)
    at: Literal["earliest", "latest"] = "latest" if start.kind == "latest" else "earliest"
    return end_offsets(settings.kafka, settings.input, partitions, at=at)


def _anew(offset: int, begin: int, others: Mapping[int, Checkpoint]) -> Checkpoint:
    """A start without history; what came before is unknown if reading begins inside the log."""
    began_inside = offset > 0 or begin > 0
    closed = max((c.closed_through for c in others.values() if c.closed_through is not None), default=None)
    return Checkpoint(PartitionState(offset, began_inside=began_inside), closed, offset)


def _check_history(partition: int, offset: int, begin: int, end: int) -> None:
    if offset < begin:
        raise CheckpointError(
            f"partition {partition} was committed at offset {offset}, but retention has removed everything "
            f"before {begin}: records are lost. Start anew with --from earliest"
        )
    if offset > end:
        raise CheckpointError(
            f"partition {partition} was committed at offset {offset}, but ends at {end}: the topic was made "
            "anew. Start anew with --from earliest"
        )
