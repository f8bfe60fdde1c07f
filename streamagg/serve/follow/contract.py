"""What a place that is followed does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from streamagg.serve.store.store import Position, SketchRow


@dataclass(frozen=True, slots=True)
class Delivery:
    """What has come, and where reading goes on behind it."""

    values: Sequence[bytes] = ()
    """Published records of windows and periods."""
    sketches: Sequence[SketchRow] = ()
    running: Sequence[tuple[bytes, bytes | None]] = ()
    """Keys and values of periods so far; None removes what has that key."""
    whole: bool = True
    """There was no more, when it was asked for."""
    unreadable: int = 0
    """Sketches that are none."""
    positions: Mapping[Position, str] = field(default_factory=dict)


class Followed(Protocol):
    """One place; used by one thread."""

    def poll(self, timeout_ms: int) -> Delivery:
        """What has come within that time. Raises StreamaggError; then it is closed and opened again."""

    @property
    def behind(self) -> int | None:
        """Records that are there and have not been delivered; None while that is not known."""

    def close(self) -> None:
        """Let it go."""
