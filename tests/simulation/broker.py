"""The simulated broker: logs, committed offsets, transactions and the group."""

import random
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import orjson

from streamagg.sinks.contract import State
from tests.simulation.scenario import Content


class Fenced(Exception):
    """A newer producer has the transactional id."""


class StaleGeneration(Exception):
    """The group has moved on; the transaction can be aborted."""


class Difference(Exception):
    """Something is not as it must be."""


class Record(NamedTuple):
    """A record of a log."""

    offset: int
    content: Content


@dataclass(slots=True)
class Log:
    """One partition; offsets have gaps, and there may be one before the end."""

    begin: int
    end: int
    records: list[Record] = field(default_factory=list)
    appended_ms: int = 0
    hidden_from: int | None = None
    """Where another producer's open transaction begins."""

    @property
    def committed_end(self) -> int:
        """Where a committed reader finds the end."""
        return self.end if self.hidden_from is None else self.hidden_from

    def append(self, content: Content, chance: random.Random, now_ms: int) -> None:
        """One record, maybe behind a gap and before one."""
        offset = self.end + (chance.randrange(1, 5) if chance.random() < 0.08 else 0)
        self.records.append(Record(offset, content))
        self.end = offset + 1 + (chance.randrange(1, 4) if chance.random() < 0.08 else 0)
        self.appended_ms = now_ms

    def index(self, offset: int) -> int:
        """Of the first record at or behind an offset."""
        return bisect_left(self.records, offset, key=lambda record: record.offset)


class Ended(NamedTuple):
    """A record of a period, as committed readers see it."""

    calendar: str
    start_ms: int
    end_ms: int
    key: bytes
    value: bytes
    behind: int
    """How many records of windows come before it."""
    transaction: int
    """How many transactions come before its own."""


@dataclass(slots=True)
class Transaction:
    """What a producer has sent and not committed."""

    epoch: int
    windows: list[tuple[bytes, bytes]] = field(default_factory=list)
    late: list[tuple[int, int]] = field(default_factory=list)
    offsets: dict[int, tuple[int, str]] = field(default_factory=dict)
    state: State = ()


class Broker:
    """What lasts."""

    def __init__(self) -> None:
        self.input_id = "simulated"
        self.logs: dict[int, Log] = {}
        self.committed: dict[int, tuple[int, str]] = {}
        self.commits = 0
        """How often they have moved."""
        self.output: list[tuple[int, bytes, bytes]] = []
        """Start of the window, key and value, as committed readers see them."""
        self.periods: list[Ended] = []
        self.transactions: list[int] = []
        """How many records of windows there were after each."""
        self.published: set[int] = set()
        self.letters: set[tuple[int, int]] = set()
        """Partition and offset of records in the dead-letter topic."""
        self.late: list[tuple[int, int]] = []
        """The same of those in the late topic."""
        self.state: dict[bytes, bytes] = {}
        """What the state topic holds."""
        self.leader: int | None = None
        self.generation = 0
        self.in_flight: list[Transaction] = []
        """Commits whose sender has given up or died, and that may still arrive."""
        self._epoch = 0
        self.most_metadata = 0
        self.recalls = 0
        """How often a partition began with reading again what names the groups of records set aside."""
        self.broken_recalls = 0
        """How often a reader died meanwhile."""

    def elect(self, leader: int | None) -> None:
        """Begin a new generation."""
        self.generation += 1
        self.leader = leader

    def start_producer(self) -> int:
        """Fence every producer before; returns the epoch of the new one."""
        self._epoch += 1
        return self._epoch

    def check_epoch(self, epoch: int) -> None:
        """Raises Fenced."""
        if epoch != self._epoch:
            raise Fenced

    def check_generation(self, generation: int) -> None:
        """Raises StaleGeneration."""
        if generation != self.generation:
            raise StaleGeneration

    def commit(self, transaction: Transaction) -> None:
        """All of a transaction at once; raises Fenced."""
        self.check_epoch(transaction.epoch)
        for key, value in transaction.windows:
            self.append_output(key, value)
        self.transactions.append(len(self.output))
        self.late += transaction.late
        for partition, (offset, _) in transaction.offsets.items():
            before = self.committed.get(partition)
            if before is not None and offset < before[0]:
                raise Difference(f"partition {partition} is committed at {offset} behind {before[0]}")
        self.append_state(transaction.state)
        self.commit_offsets(transaction.offsets)

    def append_output(self, key: bytes, value: bytes) -> None:
        """A record of the output topic."""
        told = orjson.loads(value)
        start_ms = round(told["ts"] * 1000)
        if "calendar" in told:
            end_ms = round(told["end"] * 1000)
            before = len(self.output), len(self.transactions)
            self.periods.append(Ended(told["calendar"], start_ms, end_ms, key, value, *before))
            return
        self.output.append((start_ms, key, value))
        self.published.add(start_ms)

    def append_state(self, state: State) -> None:
        """Records of the state topic, compacted at once."""
        for key, value in state:
            self.state.pop(key, None)
            if value is not None:
                self.state[key] = value

    def stored(self, partitions: Iterable[int]) -> dict[int, tuple[int, str]]:
        """What is committed for these."""
        return {n: self.committed[n] for n in partitions if n in self.committed}

    def commit_offsets(self, offsets: Mapping[int, tuple[int, str]]) -> None:
        """Offsets with their metadata."""
        self.commits += any(self.committed.get(partition) != place for partition, place in offsets.items())
        self.committed.update(offsets)
        for _, metadata in offsets.values():
            self.most_metadata = max(self.most_metadata, len(metadata))

    def ends(self) -> dict[int, int]:
        """End offset by partition."""
        return {partition: log.end for partition, log in self.logs.items()}
