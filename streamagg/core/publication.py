"""What is published, and the contract of publishers."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

import orjson

from streamagg.core.checkpoint import Checkpoint
from streamagg.core.late import LateReferences
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


def render_late(topic: str, windows: Windows, references: LateReferences) -> Iterator[tuple[bytes, bytes]]:
    """Key and value of the records of the late topic; ``topic`` is the input.

    ``time`` and ``window`` are in seconds, like the start of a window where it is published.
    """
    partition = references.partition
    numbers = windows.number(references.event_time_ms)
    columns = (references.offset, references.event_time_ms, references.clock_ms, numbers)
    for offset, time_ms, clock_ms, window in zip(*(column.tolist() for column in columns), strict=True):
        value = {
            "topic": topic,
            "partition": partition,
            "offset": offset,
            "time": _seconds(time_ms),
            "window": _seconds(windows.start_ms(window)),
            "late_ms": clock_ms - windows.start_ms(window + 1),
            "closed_early": references.closed_early,
            "v": FORMAT_VERSION,
        }
        yield f"{partition}:{offset}".encode(), orjson.dumps(value)


def _seconds(time_ms: int) -> int | float:
    """Whole seconds as an integer, as in the classic records."""
    return time_ms // 1000 if time_ms % 1000 == 0 else time_ms / 1000
