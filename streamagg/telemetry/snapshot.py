"""What the coordinator knows about a run at one moment; counts are those since the process began."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from streamagg.model.counters import Counters
from streamagg.model.measured import ClientKind, ClientNumbers, Distribution, RoundTrip, StageTimes

DELAY_BOUNDS_S: Final = (1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 120.0, 300.0, 900.0, 3_600.0, 21_600.0, 86_400.0)
"""From a second, which is on time, to a day, after which it does not matter how late."""

WorkerKind = Literal["unmarshaller", "aggregator"]
RestartCause = Literal["signal", "exit", "stuck"]
SessionCause = Literal["aggregator", "publication", "broker"]
WindowKind = Literal["final", "empty", "approximate"]


@dataclass(frozen=True, slots=True)
class UncountedSample:
    """Records of a partition in about a minute, and those of them that are in no count."""

    records: int
    late: int
    """Including ``closed_early``."""
    closed_early: int
    rejected: Mapping[str, int]
    since_ms: int
    """When the first of the uncounted ones had not come yet, by a clock that is never set."""

    @property
    def share(self) -> float:
        """The uncounted ones among all."""
        return (self.late + sum(self.rejected.values())) / self.records


@dataclass(frozen=True, slots=True)
class PartitionSample:
    """One partition."""

    counts: Counters
    lag: int | None = None
    """Records behind the end of the log; None while nothing is read."""
    clock_ms: int | None = None
    idle: bool = False
    pending: int = 0
    """Blocks that are not applied yet."""
    uncounted: UncountedSample | None = None
    """Of the last minute; None where too few records came."""


@dataclass(frozen=True, slots=True)
class ProcessSample:
    """One process."""

    cpu_s: float
    """Of all processes that have had its name."""
    rss_bytes: int | None = None
    """None before its first heartbeat."""


@dataclass(frozen=True, slots=True)
class WorkersSample:
    """All workers."""

    configured: Mapping[WorkerKind, int] = field(default_factory=dict)
    alive: Mapping[WorkerKind, int] = field(default_factory=dict)
    restarts: Mapping[tuple[WorkerKind, RestartCause], int] = field(default_factory=dict)
    processes: Mapping[str, ProcessSample] = field(default_factory=dict)
    """By the name of the worker, as ``backlog_bytes``."""
    backlog_bytes: Mapping[str, int] = field(default_factory=dict)
    """What was sent to a worker and is not taken by it yet."""
    times: StageTimes = field(default_factory=StageTimes)
    readers: ClientNumbers = field(default_factory=ClientNumbers)
    users: Mapping[int, int] = field(default_factory=dict)
    """By open window, all shards together."""
    groups: Mapping[int, int] = field(default_factory=dict)
    """The same; a group that several shards have counts in each."""
    held_bytes: int = 0
    """Memory of all that open windows and periods hold."""


@dataclass(frozen=True, slots=True)
class GroupSample:
    """A group of a window that was published."""

    text: bytes
    """See ``model.groups``."""
    unique: int | None
    """None: users are not counted."""
    records: int


@dataclass(frozen=True, slots=True)
class WindowSample:
    """A window that was published."""

    start_ms: int
    unique: int | None
    """None: users are not counted."""
    records: int
    partial: bool = False
    error: float | None = None
    """Of an approximate count, relative."""
    groups: int | None = None
    """Also those that are left out; None: records have none, or there were too many."""
    groups_dropped: bool = False
    top: tuple[GroupSample, ...] = ()
    """The first of those that are published."""


@dataclass(frozen=True, slots=True)
class OpenWindow:
    """A window that still fills; how many users it has is known when it closes."""

    start_ms: int
    records: int


@dataclass(frozen=True, slots=True)
class PublisherSample:
    """What was published."""

    windows: Mapping[WindowKind, int] = field(default_factory=dict)
    delay: Distribution = field(default_factory=lambda: Distribution.over(DELAY_BOUNDS_S))
    """Seconds from the end of each window to its publication."""
    recent: tuple[WindowSample, ...] = ()
    """The last ones, in the order of their publication."""
    groups_dropped: int = 0
    """Windows without their groups, because there were too many."""
    last_commit_s: float | None = None
    """Unix time."""
    committed: int = 0
    """Transactions, as ``aborted``."""
    aborted: int = 0
    state_bytes: int | None = None
    """As ``restore_s``: of ``model.measured.PublisherNumbers``."""
    restore_s: float | None = None

    @property
    def last(self) -> WindowSample | None:
        """The last window that was published."""
        return self.recent[-1] if self.recent else None


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What does not change during a run."""

    start_s: float
    """Unix time."""
    granularity_ms: int
    max_lag_ms: int
    max_users: int | None
    max_groups: int | None
    """None: records have no groups."""
    measures: tuple[str, ...]
    """Their names."""
    memory_limit_bytes: int | None
    settings: Mapping[str, str]
    """For ``streamagg_configuration_info``."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the coordinator knows."""

    at_s: float = 0.0
    """When, on a clock that is never set."""
    leader: bool = False
    member: bool = False
    """The group knows this instance."""
    dealt: bool = False
    """It is known who leads."""
    rebalances: int = 0
    partitions: Mapping[int, PartitionSample] = field(default_factory=dict)
    workers: WorkersSample = field(default_factory=WorkersSample)
    coordinator: ProcessSample | None = None
    open: tuple[OpenWindow, ...] = ()
    """In order; windows that hold records and are not closed."""
    periods: Mapping[str, int] = field(default_factory=dict)
    """How many are not published yet, by calendar."""
    watermark_ms: int | None = None
    session_restarts: Mapping[SessionCause, int] = field(default_factory=dict)
    publisher: PublisherSample = field(default_factory=PublisherSample)
    times: StageTimes = field(default_factory=StageTimes)
    """Of all processes together."""
    errors: Mapping[ClientKind, Mapping[str, int]] = field(default_factory=dict)
    """Of Kafka's clients, by the name of the code."""
    round_trips: Mapping[ClientKind, Mapping[str, RoundTrip]] = field(default_factory=dict)
    """By the number of the broker."""
    skipped_files: Mapping[str, int] = field(default_factory=dict)
    """Of a directory, by the reason."""
    facts: RunFacts | None = None
