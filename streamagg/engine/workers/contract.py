"""What the engine asks of its workers, wherever they run: ``Workers``.

How to implement it: run each ``Unmarshaller`` and each ``Aggregator`` where you like, and carry messages
between them and the engine, in both directions in the order in which they were sent.

- What the engine posts to a port arrives, or its worker dies. ``post`` does not wait; ``backlog_bytes`` tells
  the engine when to stop posting.
- ``poll`` hands out, once, what unmarshallers send (``ColumnBlock``, ``Trying``) and, with its shard, what
  aggregators answer. It waits for that no longer than asked.
- A worker may die at any message. Of what it sent before, any beginning may come, and nothing more once the
  engine has heard of its death. Another worker has its number then: an unmarshaller without leases
  (``UnmarshallerReplaced``), an aggregator without users (``AggregatorLost``).
- If workers die again and again, ``poll`` gives up with WorkersKeepDying.
- ``sample`` and ``rss_bytes`` do not wait. What a sample counts never falls.

tests/contracts/test_workers.py holds every implementation to this; add yours there.
"""

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

    @property
    def survive_errors(self) -> bool:
        """A worker that has reported a StreamaggError goes on with its other leases; else it has ended."""

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
