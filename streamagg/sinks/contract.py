"""What is published, and the contract of publishers."""

from dataclasses import dataclass
from typing import Protocol

from streamagg.core.checkpoint import Checkpoint
from streamagg.core.late_references import LateReferences
from streamagg.model.results import WindowTable


@dataclass(frozen=True, slots=True)
class Publication:
    """Windows and the checkpoint that goes with them, in one transaction where there are transactions."""

    windows: tuple[WindowTable, ...]
    checkpoints: dict[int, Checkpoint]
    """By partition; written for every partition."""
    future: tuple[tuple[int, int], ...] = ()
    """Partition and offset of records rejected as future since the last publication."""
    late: tuple[LateReferences, ...] = ()
    """Late records since the last publication, if they are wanted."""

    @property
    def through(self) -> int | None:
        """The greatest window published with it or before it."""
        return next(iter(self.checkpoints.values())).closed_through if self.checkpoints else None


class PublishFailed(Exception):
    """The publication is not known to be out: continue from the committed checkpoint."""


class OutputAway(PublishFailed):
    """The same, because whoever takes publications is not there for a while: no fault of this run."""


class Publisher(Protocol):
    """Takes one publication at a time."""

    @property
    def busy(self) -> bool:
        """A publication is under way."""

    def submit(self, publication: Publication) -> None:
        """Begin to publish; only while not busy."""

    def finished(self) -> Publication | None:
        """The publication that is out since the last call; raises PublishFailed."""
