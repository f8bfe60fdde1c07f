"""``streamagg count``: the same engine on files, publishing to a callback instead of a topic."""

from collections.abc import Callable, Sequence
from itertools import count as numbers
from typing import Final

from streamagg.core.checkpoint import Checkpoint
from streamagg.core.clock import PartitionState
from streamagg.core.publication import Publication
from streamagg.core.windows import Windows
from streamagg.pipeline.complaints import Complaints
from streamagg.pipeline.files import STREAM_END, plain_size
from streamagg.pipeline.leases import BYTES, LeaseBook
from streamagg.pipeline.metering import partition_samples
from streamagg.pipeline.session import Opening, Plan, Session
from streamagg.pipeline.stats import RunStats, Tally
from streamagg.pipeline.supervisor import ProcessWorkers
from streamagg.pipeline.turn import monotonic_ms, turn
from streamagg.pipeline.uncounted import UncountedShares
from streamagg.pipeline.workers import AggregatorLost, InlineWorkers, Workers
from streamagg.records import AggregatorSetup, UnmarshallerSetup, WindowCount
from streamagg.settings import CountSettings, KafkaSettings
from streamagg.telemetry.process import rss_bytes

_WORTH_PROCESSES_BYTES: Final = 64 << 20
"""Starting processes takes as long as counting a file of about this size."""
_TICK_MS: Final = 50
_LOOK_EVERY_MS: Final = 1_000

Emit = Callable[[Windows, Sequence[WindowCount]], None]


class _Publisher:
    """Hands windows over at once, and remembers the checkpoints."""

    busy = False

    def __init__(self, windows: Windows, emit: Emit, checkpoints: dict[int, Checkpoint]) -> None:
        self._windows = windows
        self._emit = emit
        self._finished: Publication | None = None
        self.checkpoints = checkpoints

    def submit(self, publication: Publication) -> None:
        if publication.windows:
            self._emit(self._windows, publication.windows)
        self.checkpoints = publication.checkpoints
        self._finished = publication

    def finished(self) -> Publication | None:
        publication, self._finished = self._finished, None
        return publication


def count(settings: CountSettings, emit: Emit) -> RunStats:
    """Count the windows of files, each a partition; ``emit`` gets them in order, as they close.

    Raises StreamaggError, SettingsError for a file that cannot be read.
    """
    ends = [STREAM_END if (size := plain_size(path)) is None else size for path in settings.files]
    windows = Windows(settings.window)
    start = {number: Checkpoint(PartitionState(0), None, 0) for number in range(len(ends))}
    publisher = _Publisher(windows, emit, start)
    workers = _open_workers(settings, ends)
    tally, ids, epochs = Tally(), numbers(), numbers(1)
    shares = UncountedShares()
    poison: dict[int, set[int]] = {}
    try:
        finished = False
        while not finished:
            session = Session(
                _plan(settings, windows),
                {p: Opening(at, ends[p], ends[p]) for p, at in publisher.checkpoints.items()},
                LeaseBook(len(workers.unmarshallers), ids, BYTES, poison),
                workers.unmarshallers,
                workers.aggregators,
                publisher,
                next(epochs),
                monotonic_ms(),
            )
            finished = _drive(session, workers, tally, shares)
            tally.add(session)
    finally:
        workers.close()
    Complaints(settings.window).sum_up(partition_samples(tally, None), shares.worst(), monotonic_ms())
    return tally.stats(restarts=next(epochs) - 2)


def _drive(session: Session, workers: Workers, tally: Tally, shares: UncountedShares) -> bool:
    """Count to the end; False if the users counted so far are lost."""
    next_look_ms = 0
    try:
        while not session.finished:
            turn(session, workers, _TICK_MS)
            if (now_ms := monotonic_ms()) >= next_look_ms:
                next_look_ms = now_ms + _LOOK_EVERY_MS
                shares.look(partition_samples(tally, session), now_ms)
            tally.peak_rss_bytes = max(tally.peak_rss_bytes, rss_bytes() + workers.rss_bytes())
    except AggregatorLost:
        return False
    return True


def _plan(settings: CountSettings, windows: Windows) -> Plan:
    return Plan(
        windows,
        settings.pipeline.slots,
        settings.pipeline.idle_timeout_ms,
        bounded=True,
        empty_windows=settings.window.empty_windows,
        ceiling=settings.ceiling,
    )


def _open_workers(settings: CountSettings, ends: Sequence[int]) -> Workers:
    setup = UnmarshallerSetup(
        settings.decode, settings.window.max_jump_ms, "", KafkaSettings(), files=settings.files
    )
    aggregator = AggregatorSetup(settings.pipeline.slots, settings.ceiling)
    if settings.pipeline.inline or STREAM_END in ends or sum(ends) < _WORTH_PROCESSES_BYTES:
        return InlineWorkers.opened(setup, aggregator)
    return ProcessWorkers(
        setup,
        aggregator,
        unmarshallers=settings.pipeline.unmarshallers,
        aggregators=settings.pipeline.aggregators,
        max_restarts=settings.pipeline.max_restarts,
    )
