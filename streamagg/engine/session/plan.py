"""What a session is to do, and where it begins."""

from dataclasses import dataclass
from typing import Final

from streamagg.core.checkpoint import Checkpoint
from streamagg.core.late_references import MOST_LATE
from streamagg.core.windows import Windows
from streamagg.model.settings import (
    NO_CEILING,
    PLAIN,
    CeilingSettings,
    DecodeSettings,
    RunSettings,
    WindowSettings,
)

_MOST_WINDOWS: Final = 10_000
"""In one publication: about a megabyte of records in one transaction. The empty windows of a year took 3.5 GB
in one, and 214 MB in parts of so many."""


@dataclass(frozen=True, slots=True)
class Opening:
    """Where reading of a partition begins and, in a bounded run, ends."""

    checkpoint: Checkpoint
    end: int
    """End offset when the session began."""
    stop: int | None = None
    committed: bool = True
    """The checkpoint is the committed one; one made anew is committed before anything else."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a session does, beside reading."""

    window: WindowSettings
    slots: int
    idle_timeout_ms: int
    bounded: bool = False
    live: bool = False
    """Partitions fall silent also where the run is bounded: it ends when its input does."""
    keep_open: bool = False
    """A bounded run leaves windows open for the next one."""
    whole: bool = False
    """Nothing follows the end of a bounded run, so that periods are over with it, too; else they go on."""
    ceiling: CeilingSettings = NO_CEILING
    decode: DecodeSettings = PLAIN
    most_late: int = 0
    """Late records that may wait to be reported with a publication; 0: they are only counted."""
    most_future: int = 0
    """Records rejected as future that may wait for it; 0: any number."""
    sketches: bool = False
    """They are published with what is counted."""
    running: bool = False
    """What open periods come to so far is told, too."""
    most_windows: int = _MOST_WINDOWS
    """More are published one part after the other, each with the checkpoint that belongs to it."""

    @property
    def windows(self) -> Windows:
        """By the settings."""
        return Windows(self.window)


def plan_of_run(settings: RunSettings, most_future: int) -> Plan:
    """What a session of ``run`` does; ``most_future``: as the sink has it."""
    return Plan(
        settings.window,
        settings.pipeline.slots,
        settings.pipeline.idle_timeout_ms,
        bounded=settings.until_end,
        live=settings.live,
        whole=settings.source.place.kind == "stream",
        keep_open=settings.keep_open,
        ceiling=settings.ceiling,
        decode=settings.decode,
        most_late=MOST_LATE if settings.late_topic else 0,
        most_future=most_future,
        sketches=settings.sketches is not None,
        running=settings.running is not None,
    )
