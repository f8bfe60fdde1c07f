"""``streamagg count``: the same engine on files, publishing to a callback instead of a topic."""

from collections.abc import Callable, Sequence
from itertools import count as numbers
from time import monotonic
from typing import Final

from streamagg.core.checkpoint import Checkpoint
from streamagg.core.clock import PartitionState
from streamagg.core.publication import Publication
from streamagg.core.windows import Windows
from streamagg.errors import WorkersKeepDying
from streamagg.pipeline.files import STREAM_END, plain_size
from streamagg.pipeline.leases import BYTES, LeaseBook
from streamagg.pipeline.session import Opening, Plan, Session
from streamagg.pipeline.stats import RunStats, Tally
from streamagg.pipeline.supervisor import ProcessWorkers, own_rss_bytes
from streamagg.pipeline.workers import (
    AggregatorReplaced,
    FromAggregator,
    FromUnmarshaller,
    InlineWorkers,
    UnmarshallerReplaced,
    Workers,
)
from streamagg.records import AggregatorSetup, UnmarshallerSetup, WindowCount
from streamagg.settings import CountSettings, KafkaSettings

_WORTH_PROCESSES_BYTES: Final = 64 << 20
"""Starting processes takes as long as counting a file of about this size."""
_TICK_MS: Final = 50

Emit = Callable[[Windows, Sequence[WindowCount]], None]


class _Publisher:
    """Hands windows over at once."""

    busy = False

    def __init__(self, windows: Windows, emit: Emit) -> None:
        self._windows = windows
        self._emit = emit
        self._finished: Publication | None = None

    def submit(self, publication: Publication) -> None:
        if publication.windows:
            self._emit(self._windows, publication.windows)
        self._finished = publication

    def finished(self) -> Publication | None:
        publication, self._finished = self._finished, None
        return publication


def count(settings: CountSettings, emit: Emit) -> RunStats:
    """Count the windows of files, each a partition; ``emit`` gets them in order, as they close.

    Raises StreamaggError, SettingsError for a file that cannot be read.
    """
    sizes = [plain_size(path) for path in settings.files]
    workers = _open_workers(settings, sizes)
    tally = Tally()
    windows = Windows(settings.window)
    plan = Plan(
        windows,
        settings.pipeline.slots,
        settings.pipeline.idle_timeout_ms,
        bounded=True,
        empty_windows=settings.window.empty_windows,
    )
    try:
        session = Session(
            plan,
            {number: _opening(size) for number, size in enumerate(sizes)},
            LeaseBook(len(workers.unmarshallers), numbers(), BYTES),
            workers.unmarshallers,
            workers.aggregators,
            _Publisher(windows, emit),
            epoch=1,
            now_ms=_now_ms(),
        )
        _drive(session, workers, tally)
        tally.add(session)
    finally:
        workers.close()
    return tally.stats(restarts=0)


def _drive(session: Session, workers: Workers, tally: Tally) -> None:
    while not session.finished:
        session.tick(_now_ms())
        for event in workers.poll(_TICK_MS):
            match event:
                case FromUnmarshaller(_, block):
                    session.receive(block, 0, _now_ms())
                case FromAggregator(shard, shard_count):
                    session.receive(shard_count, shard, _now_ms())
                case UnmarshallerReplaced(worker):
                    session.replace_unmarshaller(worker, workers.unmarshallers)
                case AggregatorReplaced():
                    raise WorkersKeepDying("a process died and the users it held are lost; run the count again")
        tally.peak_rss_bytes = max(tally.peak_rss_bytes, own_rss_bytes() + workers.rss_bytes())


def _opening(size: int | None) -> Opening:
    end = STREAM_END if size is None else size
    return Opening(Checkpoint(PartitionState(0), None, 0), end, end)


def _open_workers(settings: CountSettings, sizes: Sequence[int | None]) -> Workers:
    setup = UnmarshallerSetup(
        settings.decode, settings.window.max_jump_ms, "", KafkaSettings(), files=settings.files
    )
    aggregator = AggregatorSetup(settings.pipeline.slots)
    known = [size for size in sizes if size is not None]
    small = len(known) < len(sizes) or sum(known) < _WORTH_PROCESSES_BYTES
    if settings.pipeline.inline or small:
        return InlineWorkers.opened(setup, aggregator)
    return ProcessWorkers(
        setup,
        aggregator,
        unmarshallers=settings.pipeline.unmarshallers,
        aggregators=settings.pipeline.aggregators,
        max_restarts=settings.pipeline.max_restarts,
    )


def _now_ms() -> int:
    return int(monotonic() * 1000)
