"""What is published, and the contract of publishers."""

from dataclasses import dataclass
from typing import Final, Protocol

import orjson

from streamagg.core.checkpoint import Checkpoint
from streamagg.core.windows import Windows
from streamagg.records import WindowCount

FORMAT_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Publication:
    """Windows and the checkpoint that goes with them, in one transaction where there are transactions."""

    windows: tuple[WindowCount, ...]
    checkpoints: dict[int, Checkpoint]
    """By partition; written for every partition."""
    future: tuple[tuple[int, int], ...] = ()
    """Partition and offset of records rejected as future since the last publication."""

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


def render(windows: Windows, count: WindowCount) -> tuple[bytes, bytes]:
    """Key and value of an output record; times in seconds."""
    start = _seconds(windows.start_ms(count.window))
    value = {
        "ts": start,
        "cnt": count.unique,
        "granularity": _seconds(windows.granularity_ms),
        "records": count.records,
        "partial": count.partial,
        "v": FORMAT_VERSION,
    }
    if count.error is not None:
        value |= {"approximate": True, "error": count.error}
    return str(start).encode(), orjson.dumps(value)


def _seconds(time_ms: int) -> int | float:
    """Whole seconds as an integer, as in the classic records."""
    return time_ms // 1000 if time_ms % 1000 == 0 else time_ms / 1000
