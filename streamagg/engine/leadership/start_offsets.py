"""Where a session begins to read its source: at the committed checkpoints, or anew."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from streamagg.core import checkpoint
from streamagg.core.checkpoint import Checkpoint
from streamagg.core.partition import recall_from
from streamagg.core.partition_clock import PartitionState
from streamagg.engine.session.plan import Opening
from streamagg.errors import CheckpointError
from streamagg.model.columns import schema_of
from streamagg.model.settings import DecodeSettings, RunSettings, StartAt, WindowSettings
from streamagg.sinks.contract import Sink
from streamagg.sources.contract import Source

EARLIEST: Final = StartAt("earliest")


@dataclass(frozen=True, slots=True)
class Ends:
    """Where a bounded run ends."""

    source_id: str
    offsets: Mapping[int, int]
    """By partition."""


def find_ends(source: Source) -> Ends:
    """Those of the source now; raises a StreamaggError."""
    # In this order: ends are those of the source with this id, or that one is gone.
    found = source.identity()
    return Ends(found.id, source.log_ends(range(found.partitions)))


@dataclass(frozen=True, slots=True)
class LogBounds:
    """What there is of the input, by partition."""

    begins: Mapping[int, int]
    ends: Mapping[int, int]

    def within(self, stops: Mapping[int, int] | None) -> "LogBounds":
        """What a bounded run reads: a partition that the input got later is left to the next run."""
        if stops is None:
            return self
        return LogBounds(
            {p: begin for p, begin in self.begins.items() if p in stops},
            {p: end for p, end in self.ends.items() if p in stops},
        )


def openings(
    settings: RunSettings,
    source: Source,
    signature: str,
    partitions: list[int],
    committed: Mapping[int, tuple[int, str]],
    start: StartAt,
    stops: Mapping[int, int] | None,
) -> dict[int, Opening]:
    """Openings by partition; ``signature``: of the checkpoints, ``stops``: the ends of a bounded run.

    Raises CheckpointError when a checkpoint cannot be continued, and whatever the source raises.
    """
    bounds = LogBounds(source.offsets(partitions, "earliest"), source.offsets(partitions, "latest")).within(
        stops
    )
    if start.kind == "committed":
        return continued(bounds, committed, signature, stops, settings.window, settings.decode)
    offsets = _starts(source, partitions, bounds, start)
    return _openings(
        bounds, {p: _anew(offsets[p], begin, {}) for p, begin in bounds.begins.items()}, set(), stops
    )


def refuse_published(settings: RunSettings, sink: Sink[Any]) -> None:
    """For a group without any checkpoint: windows that are published already must not come out once more.

    Checkpoints vanish with the input topic, and a week after the last instance has left the group. Raises
    CheckpointError, and whatever the sink raises.
    """
    if sink.holds_results():
        raise CheckpointError(
            f"the group {settings.kafka.group} has no checkpoint, but {settings.output} holds counts "
            "already: the checkpoint has expired, or the input was deleted and made anew. Use another "
            "--output, or start anew with --from earliest, which publishes windows again"
        )


def continued(
    bounds: LogBounds,
    committed: Mapping[int, tuple[int, str]],
    signature: str,
    stops: Mapping[int, int] | None,
    window: WindowSettings,
    decode: DecodeSettings,
) -> dict[int, Opening]:
    """Openings at the committed checkpoints, and at the beginning of partitions that have none.

    Raises CheckpointError when a checkpoint cannot be continued.
    """
    known = {
        p: checkpoint.decode(*committed[p], signature, window, decode)
        for p in bounds.begins
        if p in committed
    }
    for partition, at in known.items():
        needed = recall_from(schema_of(decode), at.state)
        _check_history(
            partition,
            at.state.offset if needed is None else needed,
            bounds.begins[partition],
            bounds.ends[partition],
        )
    anew = {p: _anew(begin, begin, known) for p, begin in bounds.begins.items() if p not in known}
    # One that bears another signature, which is allowed, is committed anew at once.
    current = {p for p in known if checkpoint.signed(committed[p][1], signature)}
    return _openings(bounds, known | anew, current, stops)


def _openings(
    bounds: LogBounds,
    checkpoints: Mapping[int, Checkpoint],
    committed: Collection[int],
    stops: Mapping[int, int] | None,
) -> dict[int, Opening]:
    return {
        p: Opening(checkpoints[p], end, None if stops is None else stops[p], committed=p in committed)
        for p, end in bounds.ends.items()
    }


def _starts(source: Source, partitions: list[int], bounds: LogBounds, start: StartAt) -> Mapping[int, int]:
    if start.time_ms is not None:
        return source.offsets(partitions, start.time_ms)
    return bounds.ends if start.kind == "latest" else bounds.begins


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
            f"partition {partition} was committed at offset {offset}, but ends at {end}: the input was made "
            "anew. Start anew with --from earliest"
        )
