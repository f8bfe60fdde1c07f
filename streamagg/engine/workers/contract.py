"""What the engine asks of its workers, wherever they run."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from streamagg.engine.workers.port import Port
from streamagg.model.messages import ColumnBlock, ShardCount, Trying
from streamagg.telemetry.snapshot import WorkersSample


@dataclass(frozen=True, slots=True)
class ShardAnswer:
    """A count, and which shard sent it."""

    shard: int
    count: ShardCount


@dataclass(frozen=True, slots=True)
class UnmarshallerReplaced:
    """An unmarshaller died; another process has its place."""

    worker: int


Event = ColumnBlock | Trying | ShardAnswer | UnmarshallerReplaced


class AggregatorLost(Exception):
    """An aggregator died and its sets with it; another process has its place, and is empty."""


class Workers(Protocol):
    """Unmarshallers and aggregators."""

    @property
    def unmarshallers(self) -> Sequence[Port]:
        """Ports by number."""

    @property
    def aggregators(self) -> Sequence[Port]:
        """Ports by shard."""

    def poll(self, timeout_ms: int) -> list[Event]:
        """What came within the time-out.

        Raises AggregatorLost, and the StreamaggError that a worker reports.
        """

    def watch(self, fileno: int) -> None:
        """Let ``poll`` return early when this descriptor is readable."""

    def unwatch(self, fileno: int) -> None:
        """Undo ``watch``."""

    def rss_bytes(self) -> int:
        """Resident memory of all worker processes together, as last heard."""

    def sample(self) -> WorkersSample:
        """What the workers have done, hold and use, as last heard."""

    @property
    def starting(self) -> bool:
        """Some have not begun yet."""

    def silent(self) -> list[str]:
        """Names of the workers that have not begun yet, or from which nothing came for a while."""

    def excuse(self, deaths: int) -> None:
        """So many of the last deaths are the fault of records, not of the workers."""

    def close(self) -> None:
        """End the workers."""
