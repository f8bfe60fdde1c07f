"""Every metric of a run: name, type, labels, help, and where its values are in a snapshot."""

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, TypeVar, get_args

import confluent_kafka

from streamagg import __version__
from streamagg.model.measured import STAGE_BOUNDS_S, STAGES, Distribution
from streamagg.model.rejections import REASONS
from streamagg.telemetry.row import Row, Sample
from streamagg.telemetry.snapshot import (
    DELAY_BOUNDS_S,
    PartitionSample,
    ProcessSample,
    RestartCause,
    RunFacts,
    SessionCause,
    Snapshot,
    WindowKind,
    WindowSample,
    WorkerKind,
)

Read = Callable[[Snapshot], Iterable[Sample]]
_Rows = tuple[Row[Snapshot], ...]
_Name = TypeVar("_Name", bound=str)


def _one(value: Callable[[Snapshot], float | None]) -> Read:
    """A metric without labels; none while its value is unknown."""

    def read(snapshot: Snapshot) -> Iterator[Sample]:
        if (found := value(snapshot)) is not None:
            yield (), found

    return read


def _by_partition(value: Callable[[PartitionSample], float | None]) -> Read:
    def read(snapshot: Snapshot) -> Iterator[Sample]:
        for number, sample in snapshot.partitions.items():
            if (found := value(sample)) is not None:
                yield (str(number),), found

    return read


def _by_name(values: Callable[[Snapshot], Mapping[str, float]]) -> Read:
    return lambda s: (((name,), value) for name, value in values(s).items())


def _of_each(names: Iterable[_Name], values: Callable[[Snapshot], Mapping[_Name, float]]) -> Read:
    """One label whose values are known beforehand: 0 before the first."""
    known = tuple(names)
    return lambda s: (((name,), values(s).get(name, 0)) for name in known)


def _fact(value: Callable[[RunFacts], float | None]) -> Read:
    return _one(lambda s: None if s.facts is None else value(s.facts))


def _last(value: Callable[[WindowSample], float | None]) -> Read:
    return _one(lambda s: None if s.publisher.last is None else value(s.publisher.last))


def _rejected(snapshot: Snapshot) -> Iterator[Sample]:
    for number, sample in snapshot.partitions.items():
        for reason in REASONS:
            yield (str(number), reason), sample.counts.rejected.get(reason, 0)


def _values_ignored(snapshot: Snapshot) -> Iterator[Sample]:
    parts = snapshot.partitions.values()
    for name in () if snapshot.facts is None else snapshot.facts.measures:
        yield (name,), sum(part.counts.values_ignored.get(name, 0) for part in parts)


def _stages(snapshot: Snapshot) -> Iterator[Sample]:
    for stage in STAGES:
        yield (stage,), snapshot.times.by_stage.get(stage) or Distribution.over(STAGE_BOUNDS_S)


def _worker_restarts(snapshot: Snapshot) -> Iterator[Sample]:
    for kind in get_args(WorkerKind):
        for cause in get_args(RestartCause):
            yield (kind, cause), snapshot.workers.restarts.get((kind, cause), 0)


def _processes(snapshot: Snapshot) -> Iterator[tuple[str, ProcessSample]]:
    if snapshot.coordinator is not None:
        yield "coordinator", snapshot.coordinator
    yield from snapshot.workers.processes.items()


def _memory(snapshot: Snapshot) -> Iterator[Sample]:
    for name, process in _processes(snapshot):
        if process.rss_bytes is not None:
            yield (name,), process.rss_bytes


def _errors(snapshot: Snapshot) -> Iterator[Sample]:
    for client, errors in snapshot.errors.items():
        for code, count in errors.items():
            yield (client, code), count


def _round_trips(snapshot: Snapshot) -> Iterator[Sample]:
    for client, brokers in snapshot.round_trips.items():
        for broker, took in brokers.items():
            yield (client, broker, "0.5"), took.median_s
            yield (client, broker, "0.99"), took.p99_s


def _build(_: Snapshot) -> Iterator[Sample]:
    yield (__version__, platform.python_version(), confluent_kafka.libversion()[0]), 1


RUN_LABELS: Final = ("input", "output", "group", "delivery")
"""What ``streamagg_configuration_info`` shows."""


def _configuration(snapshot: Snapshot) -> Iterator[Sample]:
    if snapshot.facts is not None:
        yield tuple(snapshot.facts.settings[name] for name in RUN_LABELS), 1


_PARTITION: Final = ("partition",)
_RECORDS: Final[_Rows] = (
    Row(
        "streamagg_records_consumed_total",
        "counter",
        "Records read and applied.",
        _PARTITION,
        _by_partition(lambda p: p.counts.consumed),
    ),
    Row(
        "streamagg_records_counted_total",
        "counter",
        "Records counted in a window.",
        _PARTITION,
        _by_partition(lambda p: p.counts.counted),
    ),
    Row(
        "streamagg_records_late_total",
        "counter",
        "Records whose window was closed already.",
        _PARTITION,
        _by_partition(lambda p: p.counts.late),
    ),
    Row(
        "streamagg_records_closed_early_total",
        "counter",
        "Of the late ones: the window was closed while the partition was idle.",
        _PARTITION,
        _by_partition(lambda p: p.counts.closed_early),
    ),
    Row(
        "streamagg_records_rejected_total",
        "counter",
        "Records that cannot be counted, by reason.",
        ("partition", "reason"),
        _rejected,
    ),
    Row(
        "streamagg_values_ignored_total",
        "counter",
        "Values of accepted records that a measure cannot take: neither of its kind nor null.",
        ("measure",),
        _values_ignored,
    ),
    Row(
        "streamagg_records_published_before_total",
        "counter",
        "Records read again after a start, whose window had been published.",
        _PARTITION,
        _by_partition(lambda p: p.counts.published_before),
    ),
    Row(
        "streamagg_records_read_again_total",
        "counter",
        "Records that were undecided when reading began again at the checkpoint.",
        _PARTITION,
        _by_partition(lambda p: p.counts.read_again),
    ),
    Row(
        "streamagg_bytes_consumed_total",
        "counter",
        "Bytes of the values of the records consumed, without keys and headers.",
        _PARTITION,
        _by_partition(lambda p: p.counts.payload_bytes),
    ),
    Row(
        "streamagg_records_set_aside",
        "gauge",
        "Records too far ahead of their partition's clock, not decided yet.",
        _PARTITION,
        _by_partition(lambda p: p.counts.set_aside),
    ),
    Row(
        "streamagg_records_waiting",
        "gauge",
        "Accepted records that wait for a free slot of the ring.",
        _PARTITION,
        _by_partition(lambda p: p.counts.waiting),
    ),
    Row(
        "streamagg_blocks_pending",
        "gauge",
        "Decoded blocks that the sequencer has not applied.",
        _PARTITION,
        _by_partition(lambda p: p.pending),
    ),
)
_TIME: Final[_Rows] = (
    Row(
        "streamagg_partition_lag_records",
        "gauge",
        "Offsets between what is applied and the end of the partition, as last heard.",
        _PARTITION,
        _by_partition(lambda p: p.lag),
    ),
    Row(
        "streamagg_partition_clock_timestamp_seconds",
        "gauge",
        "Partition clock: the greatest accepted event time, as Unix time.",
        _PARTITION,
        _by_partition(lambda p: None if p.clock_ms is None else p.clock_ms / 1_000),
    ),
    Row(
        "streamagg_partition_idle",
        "gauge",
        "1 while the partition is silent and does not hold the watermark.",
        _PARTITION,
        _by_partition(lambda p: p.idle),
    ),
    Row(
        "streamagg_partition_uncounted_share",
        "gauge",
        "Late and rejected records among those of the last minute, 0 to 1; absent where too few came.",
        _PARTITION,
        _by_partition(lambda p: None if p.uncounted is None else p.uncounted.share),
    ),
    Row(
        "streamagg_watermark_timestamp_seconds",
        "gauge",
        "Watermark, as Unix time.",
        (),
        _one(lambda s: None if s.watermark_ms is None else s.watermark_ms / 1_000),
    ),
)
_WINDOWS: Final[_Rows] = (
    Row(
        "streamagg_windows_open",
        "gauge",
        "Windows that hold records and are not closed.",
        (),
        _one(lambda s: len(s.open)),
    ),
    Row(
        "streamagg_windows_published_total",
        "counter",
        "Windows published: exact counts, counts of 0 for windows without records, estimates.",
        ("kind",),
        _of_each(get_args(WindowKind), lambda s: s.publisher.windows),
    ),
    Row(
        "streamagg_last_window_start_timestamp_seconds",
        "gauge",
        "Start of the last window published, as Unix time.",
        (),
        _last(lambda last: last.start_ms / 1_000),
    ),
    Row(
        "streamagg_last_window_unique_users",
        "gauge",
        "Unique users of the last window published; absent where they are not counted.",
        (),
        _last(lambda last: last.unique),
    ),
    Row(
        "streamagg_last_window_records",
        "gauge",
        "Records counted in the last window published.",
        (),
        _last(lambda last: last.records),
    ),
    Row(
        "streamagg_last_window_groups",
        "gauge",
        "Groups of the last window published; absent without groups, and where there were too many.",
        (),
        _last(lambda last: last.groups),
    ),
    Row(
        "streamagg_windows_without_groups_total",
        "counter",
        "Windows published without their groups: there were more than --max-groups.",
        (),
        _one(lambda s: s.publisher.groups_dropped),
    ),
    Row(
        "streamagg_publication_delay_seconds",
        "histogram",
        "From the end of a window, in event time, to its publication.",
        (),
        lambda s: [((), s.publisher.delay)],
        DELAY_BOUNDS_S,
    ),
    Row(
        "streamagg_transactions_total",
        "counter",
        "Transactions of the publisher, by how they ended.",
        ("outcome",),
        _of_each(
            ("committed", "aborted"),
            lambda s: {"committed": s.publisher.committed, "aborted": s.publisher.aborted},
        ),
    ),
    Row(
        "streamagg_last_commit_timestamp_seconds",
        "gauge",
        "When the checkpoint was last committed, as Unix time.",
        (),
        _one(lambda s: s.publisher.last_commit_s),
    ),
    Row(
        "streamagg_state_written_bytes_total",
        "counter",
        "Bytes of what open periods hold that were written to the state topic; absent without calendars.",
        (),
        _one(lambda s: s.publisher.state_bytes),
    ),
    Row(
        "streamagg_state_restore_seconds",
        "gauge",
        "Time that reading the state topic took at the last start of a session; absent without calendars.",
        (),
        _one(lambda s: s.publisher.restore_s),
    ),
)
_WORK: Final[_Rows] = (
    Row(
        "streamagg_stage_seconds",
        "histogram",
        "Time that a batch takes in each stage.",
        ("stage",),
        _stages,
        STAGE_BOUNDS_S,
    ),
    Row(
        "streamagg_link_backlog_bytes",
        "gauge",
        "Bytes sent to a worker that it has not taken yet.",
        ("worker",),
        _by_name(lambda s: s.workers.backlog_bytes),
    ),
    Row(
        "streamagg_users_held",
        "gauge",
        "Users in the sets of the windows that are not published, and records not merged into them yet.",
        (),
        _one(lambda s: sum(s.workers.users.values())),
    ),
    Row(
        "streamagg_users_held_bytes",
        "gauge",
        "Memory of these sets, and of groups, measures and open periods.",
        (),
        _one(lambda s: s.workers.held_bytes),
    ),
    Row(
        "streamagg_periods_open",
        "gauge",
        "Periods that are not published yet, by calendar; absent without calendars.",
        ("calendar",),
        _by_name(lambda s: s.periods),
    ),
    Row(
        "streamagg_largest_window_users",
        "gauge",
        "Of the users held: those of the window that has most.",
        (),
        _one(lambda s: max(s.workers.users.values(), default=0)),
    ),
    Row(
        "streamagg_max_users",
        "gauge",
        "Users that a window may have (--max-users); absent without a ceiling.",
        (),
        _fact(lambda facts: facts.max_users),
    ),
    Row(
        "streamagg_groups_held",
        "gauge",
        "Groups of the windows that are not published; one that several aggregators hold counts in each.",
        (),
        _one(lambda s: sum(s.workers.groups.values())),
    ),
    Row(
        "streamagg_largest_window_groups",
        "gauge",
        "Of the groups held: those of the window that has most.",
        (),
        _one(lambda s: max(s.workers.groups.values(), default=0)),
    ),
    Row(
        "streamagg_max_groups",
        "gauge",
        "Groups that a window may have (--max-groups); absent without groups.",
        (),
        _fact(lambda facts: facts.max_groups),
    ),
    Row(
        "streamagg_process_cpu_seconds_total",
        "counter",
        "CPU time, by process; a process that takes the place of another goes on with its sum.",
        ("process",),
        lambda s: (((name,), process.cpu_s) for name, process in _processes(s)),
    ),
    Row(
        "streamagg_process_resident_memory_bytes",
        "gauge",
        "Resident memory, by process.",
        ("process",),
        _memory,
    ),
    Row(
        "streamagg_memory_limit_bytes",
        "gauge",
        "Memory that the control group allows for all processes together; absent without a limit.",
        (),
        _fact(lambda facts: facts.memory_limit_bytes),
    ),
)
_HEALTH: Final[_Rows] = (
    Row(
        "streamagg_workers_configured",
        "gauge",
        "Worker processes that there should be.",
        ("kind",),
        _of_each(get_args(WorkerKind), lambda s: s.workers.configured),
    ),
    Row(
        "streamagg_workers_alive",
        "gauge",
        "Worker processes that work; one that was not heard for ten seconds does not.",
        ("kind",),
        _of_each(get_args(WorkerKind), lambda s: s.workers.alive),
    ),
    Row(
        "streamagg_worker_restarts_total",
        "counter",
        "Workers replaced, by how they ended: by a signal, by themselves, or silent for too long.",
        ("kind", "cause"),
        _worker_restarts,
    ),
    Row(
        "streamagg_session_restarts_total",
        "counter",
        "Times that counting began again at the checkpoint, by what had broken.",
        ("cause",),
        _of_each(get_args(SessionCause), lambda s: s.session_restarts),
    ),
    Row(
        "streamagg_leader",
        "gauge",
        "1 on the instance that reads and publishes, 0 on a standby.",
        (),
        _one(lambda s: s.leader),
    ),
    Row(
        "streamagg_group_member",
        "gauge",
        "1 while the consumer group knows this instance.",
        (),
        _one(lambda s: s.member),
    ),
    Row(
        "streamagg_rebalances_total",
        "counter",
        "Times that the group has dealt its partitions out anew.",
        (),
        _one(lambda s: s.rebalances),
    ),
)
_KAFKA: Final[_Rows] = (
    Row(
        "streamagg_kafka_errors_total",
        "counter",
        "Errors that Kafka's clients reported, by client and librdkafka's name of the error.",
        ("client", "code"),
        _errors,
    ),
    Row(
        "streamagg_broker_round_trip_seconds",
        "summary",
        "From a request to its answer, by broker, in librdkafka's last statistics.",
        ("client", "broker", "quantile"),
        _round_trips,
    ),
)
_FILES: Final[_Rows] = (
    Row(
        "streamagg_skipped_files_total",
        "counter",
        "Files of a directory of which something is in no count, by the reason.",
        ("reason",),
        lambda snapshot: (((reason,), count) for reason, count in snapshot.skipped_files.items()),
    ),
)
_FACTS: Final[_Rows] = (
    Row(
        "streamagg_start_timestamp_seconds",
        "gauge",
        "When the run began, as Unix time.",
        (),
        _fact(lambda facts: facts.start_s),
    ),
    Row(
        "streamagg_granularity_seconds",
        "gauge",
        "Length of a window (--granularity).",
        (),
        _fact(lambda facts: facts.granularity_ms / 1_000),
    ),
    Row(
        "streamagg_max_lag_seconds",
        "gauge",
        "How long a window stays open after its end, in event time (--max-lag).",
        (),
        _fact(lambda facts: facts.max_lag_ms / 1_000),
    ),
    Row(
        "streamagg_configuration_info",
        "info",
        "Settings of this run; the value is 1.",
        RUN_LABELS,
        _configuration,
    ),
    Row(
        "streamagg_build_info",
        "info",
        "Versions; the value is 1.",
        ("version", "python", "librdkafka"),
        _build,
    ),
)
ROWS: Final = (*_RECORDS, *_TIME, *_WINDOWS, *_WORK, *_HEALTH, *_KAFKA, *_FILES, *_FACTS)
"""All metrics, in the order in which they are exposed."""
