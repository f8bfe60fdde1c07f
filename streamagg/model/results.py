"""What a closed window holds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WindowCount:
    """A closed window and its unique users over all shards."""

    window: int
    unique: int
    records: int
    partial: bool
    error: float | None = None
    """Greatest relative error of ``unique`` if that is an estimate; None: exact."""
