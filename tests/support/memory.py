"""A topic and its output in memory: a reader and a publisher for sessions without Kafka."""

import random
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from streamagg.core import checkpoint
from streamagg.core.checkpoint import Checkpoint
from streamagg.core.partition_clock import PartitionState
from streamagg.model.batch import Batch
from streamagg.model.messages import Lease
from streamagg.model.results import WindowTable
from streamagg.model.settings import DecodeSettings, WindowSettings
from streamagg.sinks.contract import Publication, PublishFailed


class Message(NamedTuple):
    """One record of a topic; offsets may have gaps between records."""

    offset: int
    payload: bytes | None
    timestamp_ms: int = -1


@dataclass
class MemoryTopic:
    """Partitions as lists of messages, and where each ends (there may be a gap before the end)."""

    partitions: dict[int, list[Message]]
    ends: dict[int, int]


class MemoryReader:
    """Hands out leases in batches of random length, with the gaps a Kafka reader would see."""

    def __init__(self, topic: MemoryTopic, chance: random.Random, most: int = 40) -> None:
        self._topic = topic
        self._chance = chance
        self._most = most
        self._leases: dict[int, deque[tuple[Lease, int]]] = {}

    @property
    def busy(self) -> bool:
        return bool(self._leases)

    def add(self, lease: Lease) -> None:
        self._leases.setdefault(lease.partition, deque()).append((lease, lease.start))

    def revoke(self, partition: int | None) -> None:
        for number in [p for p in self._leases if partition is None or p == partition]:
            del self._leases[number]

    def poll(self, timeout_ms: int) -> list[Batch]:
        return [self._batch(number) for number in list(self._leases) if self._chance.random() < 0.7]

    def close(self) -> None:
        self._leases.clear()

    def _batch(self, partition: int) -> Batch:
        lease, at = self._leases[partition].popleft()
        end = self._topic.ends[partition]
        here = [m for m in self._topic.partitions[partition] if at <= m.offset < lease.stop]
        some = here[: self._chance.randrange(1, self._most)]
        reached = here[len(some)].offset if len(some) < len(here) else min(lease.stop, max(at, end))
        if reached < lease.stop:
            self._leases[partition].appendleft((lease, reached))
        if not self._leases[partition]:
            del self._leases[partition]
        timestamps = np.array([m.timestamp_ms for m in some], np.int64) if lease.timestamps else None
        return Batch(
            lease.id,
            partition,
            at,
            reached,
            end,
            reached == end,
            [m.payload for m in some],
            np.array([m.offset for m in some], np.int64),
            timestamps,
            timestamps,
        )


@dataclass
class MemoryOutput:
    """What readers of the output see, and the committed offsets with their metadata."""

    windows: list[WindowTable] = field(default_factory=list)
    committed: dict[int, tuple[int, str]] = field(default_factory=dict)

    def checkpoints(self, partitions: Sequence[int], window: WindowSettings) -> Mapping[int, Checkpoint]:
        """Where to continue."""
        return {
            p: checkpoint.decode(*self.committed[p], _signature(window), window, DecodeSettings())
            if p in self.committed
            else Checkpoint(PartitionState(0), None, 0)
            for p in partitions
        }


class MemoryPublisher:
    """All of a publication or nothing of it, after a while; sometimes nobody knows which."""

    def __init__(
        self, output: MemoryOutput, window: WindowSettings, chance: random.Random, failures: float = 0
    ) -> None:
        self.output = output
        self._window = window
        self._chance = chance
        self._failures = failures
        self._pending: Publication | None = None

    @property
    def busy(self) -> bool:
        return self._pending is not None

    def submit(self, publication: Publication) -> None:
        assert self._pending is None
        self._pending = publication

    def finished(self) -> Publication | None:
        publication = self._pending
        if publication is None or self._chance.random() < 0.5:
            return None
        self._pending = None
        luck = self._chance.random()
        if luck < self._failures / 2:
            raise PublishFailed("nothing of it is out")
        self.output.windows += publication.windows
        for partition, at in publication.checkpoints.items():
            text = checkpoint.encode(at, _signature(self._window), self._window)
            self.output.committed[partition] = (at.state.offset, text)
        if luck < self._failures:
            raise PublishFailed("nobody knows that it is out")
        return publication


def _signature(window: WindowSettings) -> str:
    return checkpoint.fingerprint(window, DecodeSettings())
