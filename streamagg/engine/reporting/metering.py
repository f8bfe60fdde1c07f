"""Fills the metrics of a run from what the coordinator holds, about once a second."""

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, cast

from streamagg.core.windows import Windows
from streamagg.engine.main_loop import monotonic_ms
from streamagg.engine.reporting.complaints import CountWarnings
from streamagg.engine.reporting.stats import Tally
from streamagg.engine.reporting.uncounted import UncountedShares
from streamagg.engine.session.session import Session
from streamagg.engine.session.view import PartitionView, SessionView
from streamagg.engine.workers.contract import AggregatorLost, Workers
from streamagg.errors import Unreachable
from streamagg.model.counters import Counters
from streamagg.model.measured import ClientNumbers, Distribution, PublisherNumbers, StageTimes, add_counts
from streamagg.model.results import RECORDS, USERS, Groups, WindowTable
from streamagg.model.settings import RunSettings
from streamagg.sinks.contract import OutputAway, Publication, Publisher, PublishFailed
from streamagg.sinks.leadership import Leadership
from streamagg.telemetry.metrics import Metrics
from streamagg.telemetry.process import memory_limit_bytes, rss_bytes
from streamagg.telemetry.snapshot import (
    DELAY_BOUNDS_S,
    GroupSample,
    OpenWindow,
    PartitionSample,
    ProcessSample,
    PublisherSample,
    RunFacts,
    SessionCause,
    Snapshot,
    WindowKind,
    WindowSample,
)

_EVERY_S: Final = 1.0
"""As often as workers send a heartbeat. A snapshot takes 0.1 ms ("What metrics cost" in REPORT.md)."""
_RECENT_WINDOWS: Final = 50
"""More than a panel on a terminal shows."""
_TOP_GROUPS: Final = 5
"""As many as a panel shows."""


class PublishedWindows:
    """Counts what publishers have published: how many windows of each kind, how late, and the last ones."""

    def __init__(self, windows: Windows, clock: Callable[[], float] = time.time) -> None:
        """``clock`` returns Unix time in seconds."""
        self._windows = windows
        self._clock = clock
        self._by_kind: Counter[WindowKind] = Counter()
        self._delay = Distribution.over(DELAY_BOUNDS_S)
        self._recent: deque[WindowSample] = deque(maxlen=_RECENT_WINDOWS)
        self._groups_dropped = 0

    def note(self, publication: Publication) -> None:
        """A publication has been committed."""
        now_s = self._clock()
        for count in publication.windows:
            self._by_kind[_kind(count)] += 1
            self._delay.observe(now_s - self._windows.start_ms(count.window + 1) / 1_000, DELAY_BOUNDS_S)
            self._recent.append(self._window(count))
            self._groups_dropped += self._recent[-1].groups_dropped

    def sample(self, numbers: PublisherNumbers) -> PublisherSample:
        """All of it, with what the publishers have counted themselves."""
        return PublisherSample(
            windows=dict(self._by_kind),
            delay=Distribution(list(self._delay.counts), self._delay.sum),
            recent=tuple(self._recent),
            groups_dropped=self._groups_dropped,
            last_commit_s=numbers.last_commit_s,
            committed=numbers.committed,
            aborted=numbers.aborted,
            state_bytes=numbers.state_bytes,
            restore_s=numbers.restore_s,
        )

    def _window(self, count: WindowTable) -> WindowSample:
        start_ms = self._windows.start_ms(count.window)
        users = count.users
        number, error = (None, None) if users is None else (users.count, users.error)
        groups = count.groups
        if groups is None:
            return WindowSample(start_ms, number, count.records, count.partial, error)
        dropped, top = groups.found is None, _top(groups)
        return WindowSample(start_ms, number, count.records, count.partial, error, groups.found, dropped, top)


def _top(groups: Groups) -> tuple[GroupSample, ...]:
    # What is counted is a whole number, and always there.
    columns = cast(Mapping[str, list[int]], groups.columns)
    return tuple(
        [
            GroupSample(text, columns[USERS][place] if USERS in columns else None, columns[RECORDS][place])
            for place, text in enumerate(groups.texts[:_TOP_GROUPS])
        ]
    )


def _kind(count: WindowTable) -> WindowKind:
    if count.users is not None and count.users.error is not None:
        return "approximate"
    return "final" if count.records else "empty"


class MeteredPublisher:
    """A publisher whose publications are counted."""

    def __init__(self, publisher: Publisher, published: PublishedWindows) -> None:
        self._publisher = publisher
        self._published = published

    @property
    def busy(self) -> bool:
        """A publication is under way."""
        return self._publisher.busy

    def submit(self, publication: Publication) -> None:
        """Begin to publish; only while not busy."""
        self._publisher.submit(publication)

    def finished(self) -> Publication | None:
        """The publication that has been committed since the last call; raises PublishFailed."""
        publication = self._publisher.finished()
        if publication is not None:
            self._published.note(publication)
        return publication


class Meter:
    """Takes the snapshots; ``session`` is the one that runs, None on a standby."""

    def __init__(
        self, settings: RunSettings, metrics: Metrics, workers: Workers, leadership: Leadership
    ) -> None:
        self.session: Session | None = None
        self.publisher = PublisherNumbers()
        self.input = ClientNumbers()
        """What this process has met with in the input."""
        self._facts = _facts(settings)
        self._metrics = metrics
        self._workers = workers
        self._leadership = leadership
        self._windows = Windows(settings.window)
        self._published = PublishedWindows(self._windows)
        self._broken: Counter[SessionCause] = Counter()
        self._uncounted = UncountedShares()
        self._complaints = CountWarnings(settings.window)
        self._next_s = 0.0

    def metered(self, publisher: Publisher) -> Publisher:
        """The publisher, with its publications counted."""
        return MeteredPublisher(publisher, self._published)

    def session_broke(self, error: Exception) -> None:
        """A session has ended with this error; counted if another one takes its place."""
        match error:
            case AggregatorLost():
                self._broken["aggregator"] += 1
            case OutputAway() | Unreachable():
                self._broken["broker"] += 1
            case PublishFailed():
                self._broken["publication"] += 1

    def look(self, tally: Tally) -> None:
        """Take a snapshot if it is time; ``tally`` holds the sessions before this one."""
        now_s = time.monotonic()
        if now_s < self._next_s:
            return
        self._next_s = now_s + _EVERY_S
        self.measure(tally)

    def measure(self, tally: Tally) -> None:
        """Take a snapshot, let scrapes see it, and warn of partitions that lose much."""
        now_ms = monotonic_ms()
        snapshot = self._snapshot(tally, now_ms)
        self._metrics.show(snapshot)
        self._complaints.look(snapshot.partitions, now_ms)

    def end(self, tally: Tally) -> None:
        """The run is over, its last session in ``tally``: report what it lost, if that is much."""
        samples, now_ms = partition_samples(tally, None), monotonic_ms()
        self._uncounted.look(tally.partitions(), now_ms)
        self._complaints.sum_up(samples, self._uncounted.worst(), now_ms)

    def _with_uncounted(self, samples: dict[int, PartitionSample], now_ms: int) -> dict[int, PartitionSample]:
        found = self._uncounted.look({number: sample.counts for number, sample in samples.items()}, now_ms)
        return {number: replace(sample, uncounted=found[number]) for number, sample in samples.items()}

    def _snapshot(self, tally: Tally, now_ms: int) -> Snapshot:
        session, leadership = self.session, self._leadership
        view = session.view() if session else None
        workers = self._workers.sample()
        times = StageTimes()
        for part in (tally.times, workers.times, self.publisher.times, *([session.times] if session else [])):
            times.add(part)
        return Snapshot(
            at_s=time.monotonic(),
            leader=leadership.leader,
            member=leadership.joined,
            dealt=leadership.assignment_known,
            rebalances=leadership.rebalances,
            partitions=self._with_uncounted(partition_samples(tally, view), now_ms),
            workers=workers,
            coordinator=ProcessSample(time.process_time(), rss_bytes()),
            open=self._open(view) if view else (),
            periods=view.open_periods if view else {},
            watermark_ms=view.watermark_ms if view else None,
            session_restarts=dict(self._broken),
            publisher=self._published.sample(self.publisher),
            times=times,
            # The publisher's own thread writes into its numbers.
            errors={
                "group": dict(leadership.numbers.errors),
                "publisher": dict(self.publisher.client.errors),
                "reader": workers.readers.errors,
            },
            round_trips={
                "group": leadership.numbers.round_trips,
                "publisher": self.publisher.client.round_trips,
                "reader": workers.readers.round_trips,
            },
            skipped_files=self._skipped(workers.readers),
            facts=self._facts,
        )

    def _skipped(self, readers: ClientNumbers) -> dict[str, int]:
        both = dict(readers.skipped)
        add_counts(both, self.input.skipped)
        return both

    def _open(self, view: SessionView) -> tuple[OpenWindow, ...]:
        records = view.open_records
        return tuple(
            OpenWindow(self._windows.start_ms(window), records[window]) for window in sorted(records)
        )


def partition_samples(tally: Tally, view: SessionView | None) -> dict[int, PartitionSample]:
    """What is known of each partition: ``tally`` holds the sessions before the one in view."""
    running = {} if view is None else view.partitions
    return {number: _sample(counts, running.get(number)) for number, counts in tally.partitions(view).items()}


def _facts(settings: RunSettings) -> RunFacts:
    return RunFacts(
        start_s=time.time(),
        granularity_ms=settings.window.granularity_ms,
        max_lag_ms=settings.window.max_lag_ms,
        max_users=settings.ceiling.max_users,
        max_groups=settings.ceiling.max_groups if settings.decode.group_by else None,
        measures=tuple(measure.name for measure in settings.decode.measures),
        memory_limit_bytes=memory_limit_bytes(),
        settings={
            "input": settings.input,
            "output": settings.output,
            "group": settings.kafka.group,
            "delivery": settings.delivery,
        },
    )


def _sample(counts: Counters, part: PartitionView | None) -> PartitionSample:
    if part is None:
        return PartitionSample(counts)
    return PartitionSample(counts, lag=part.lag, clock_ms=part.clock_ms, idle=part.idle, pending=part.pending)
