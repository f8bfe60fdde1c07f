"""What there is to see of a run at one moment."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from streamagg.telemetry.snapshot import OpenWindow, WindowSample

State = Literal["waiting", "leader", "standby", "stopping", "ended", "failed"]


@dataclass(frozen=True, slots=True)
class Facts:
    """What does not change during a run."""

    input: str
    output: str
    group: str
    bootstrap: str | None
    """Where Kafka is asked for; None: nothing of the run is there."""
    granularity_ms: int
    max_lag_ms: int
    users: bool = True
    """They are counted."""


@dataclass(frozen=True, slots=True)
class Line:
    """One of the log."""

    at: str
    """Time of day."""
    level: str
    text: str


@dataclass(frozen=True, slots=True)
class Figures:
    """Of an instance that leads or has led."""

    rate: float
    """Records a second, of the last few seconds."""
    rates: tuple[float, ...]
    """Second by second, the oldest first."""
    lag: int
    """Records behind the end of the log."""
    lag_falls: float | None
    """By so many records a second; negative where it grows, None where that is not known."""
    watermark_ms: int | None
    records: int
    counted: int
    late: int
    """Including ``closed_early``."""
    closed_early: int
    rejected: Mapping[str, int]
    published: tuple[WindowSample, ...]
    open: tuple[OpenWindow, ...]


@dataclass(frozen=True, slots=True)
class Model:
    """All of it."""

    facts: Facts
    state: State
    elapsed_s: float
    now_ms: int
    """Of the wall clock."""
    figures: Figures | None = None
    unready: tuple[str, ...] = ()
    """Why the run is not ready though it reads."""
    warnings: tuple[Line, ...] = ()
    """The last ones, the oldest first."""
    said: Line | None = None
    """The last line that is not a warning."""
    url: str | None = None
    """Where metrics and health are served."""
