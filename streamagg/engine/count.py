"""``streamagg count``: files, by the rules of a run or in any order, published to a callback."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from typing import Final

from streamagg.core.checkpoint import Checkpoint
from streamagg.core.partition_clock import PartitionState
from streamagg.core.windows import Windows
from streamagg.engine.any_order import AnyOrder
from streamagg.engine.early_end import EarlyEnd
from streamagg.engine.main_loop import monotonic_ms, turn
from streamagg.engine.pair_store import PairStore
from streamagg.engine.reporting.complaints import CountWarnings
from streamagg.engine.reporting.metering import partition_samples
from streamagg.engine.reporting.stats import RunStats, Tally
from streamagg.engine.reporting.uncounted import UncountedShares
from streamagg.engine.session.kept import Kept, kept_of
from streamagg.engine.session.leases import BYTES
from streamagg.engine.session.plan import Opening, Plan
from streamagg.engine.session.session import Session
from streamagg.engine.session.succession import Succession
from streamagg.engine.workers.contract import AggregatorLost, Workers
from streamagg.engine.workers.open import open_workers
from streamagg.errors import TooManyUsers
from streamagg.model.messages import AggregatorSetup, UnmarshallerSetup
from streamagg.model.results import WindowTable
from streamagg.model.settings import CountSettings
from streamagg.sinks.callback import CallbackPublisher, Emit
from streamagg.sources.contract import UNKNOWN_END
from streamagg.sources.open import open_source

_TICK_MS: Final = 50
"""A turn waits no longer than this for events, so that an interruption is seen at once."""
_WINDOWS_AT_ONCE: Final = 1_000
"""Windows that are handed out together where all of them are known: few enough for memory, many enough for
one write."""
_LOOK_EVERY_MS: Final = 1_000
"""How often it is asked whether a partition has fallen silent, which is a matter of seconds."""

Progress = Callable[[float, int], None]
"""Called after each turn with how many bytes of the files have been read, and how many records that was."""


def whole_size(settings: CountSettings) -> float | None:
    """Bytes of all files; None if one of them is a stream, whose end nobody knows."""
    ends = _ends(settings)
    return None if UNKNOWN_END in ends else float(sum(ends))


def _ends(settings: CountSettings) -> list[int]:
    source = open_source(settings.source)
    return list(source.log_ends(range(source.partitions())).values())


def count(
    settings: CountSettings,
    emit: Emit,
    ending: EarlyEnd | None = None,
    progress: Progress = lambda done, records: None,
) -> RunStats:
    """Count the windows of files, each a partition; ``emit`` gets them in order.

    By the rules of a run they come as they close, else when everything is read. Raises StreamaggError,
    SettingsError for a file that cannot be read. ``ending`` may ask for the end before that, and takes note
    of what keeps a file from being read further; without it that is raised when all else is counted.
    """
    if ending is None:
        stats = count(settings, emit, ending := EarlyEnd(), progress)
        ending.judge()
        return stats
    emit = ending.marking(emit)
    ends = _ends(settings)
    tally, shares = Tally(), UncountedShares()
    with closing(_open_workers(settings, ends)) as workers:
        if settings.as_run:
            _count_as_run(settings, ends, workers, emit, tally, shares, ending, progress)
        else:
            _count_in_any_order(settings, ends, workers, emit, tally, ending, progress)
    CountWarnings(settings.window).sum_up(partition_samples(tally, None), shares.worst(), monotonic_ms())
    return tally.judged()


def _count_in_any_order(
    settings: CountSettings,
    ends: Sequence[int],
    workers: Workers,
    emit: Emit,
    tally: Tally,
    ending: EarlyEnd,
    progress: Progress,
) -> None:
    windows, began_ms, published = Windows(settings.window), monotonic_ms(), 0
    with closing(PairStore()) as store:
        reading = AnyOrder(settings.window, ends, workers, store, settings.decode, settings.ceiling)
        while not reading.finished:
            with ending.noted():
                reading.turn(_TICK_MS)
            tally.fit.look(reading.symptoms)
            if not reading.finished and _ends_here(workers, ending):
                reading.end_here()
            progress(reading.passed, sum(counts.consumed for counts in reading.counts.values()))
            tally.note_memory(workers.rss_bytes())
        counts = reading.counted(empty_windows=settings.window.empty_windows)
        for batch in _batches(counts):
            emit(windows, batch)
            published += len(batch)
            tally.note_memory(workers.rss_bytes())
    tally.symptoms.add(reading.symptoms)
    tally.add_counts(reading.counts, published, monotonic_ms() - began_ms, ended=False)


def _batches(counts: Iterable[WindowTable]) -> Iterator[list[WindowTable]]:
    """Some windows at once, also those before one that has too many users."""
    batch: list[WindowTable] = []
    try:
        for one in counts:
            batch.append(one)
            if len(batch) == _WINDOWS_AT_ONCE:
                yield batch
                batch = []
    except TooManyUsers:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


def _count_as_run(
    settings: CountSettings,
    ends: Sequence[int],
    workers: Workers,
    emit: Emit,
    tally: Tally,
    shares: UncountedShares,
    ending: EarlyEnd,
    progress: Progress,
) -> None:
    windows = Windows(settings.window)
    start = {number: Checkpoint(PartitionState(0), None, 0) for number in range(len(ends))}
    publisher = CallbackPublisher(windows, emit, start)
    sessions = Succession(_plan(settings), workers, BYTES)
    finished = False
    while not finished:
        openings = {p: Opening(at, ends[p], ends[p]) for p, at in publisher.checkpoints.items()}
        session = sessions.begin(openings, publisher, monotonic_ms(), _kept(settings, publisher))
        finished = _drive(session, workers, tally, shares, ending, progress)
        tally.add(session)
    tally.restarts = sessions.begun - 1


def _kept(settings: CountSettings, publisher: CallbackPublisher) -> Kept | None:
    if not settings.window.calendars:
        return None
    through = next(iter(publisher.checkpoints.values())).closed_through
    return kept_of(publisher.state.items(), settings.window, through, exactly_once=True)


def _drive(
    session: Session,
    workers: Workers,
    tally: Tally,
    shares: UncountedShares,
    ending: EarlyEnd,
    progress: Progress,
) -> bool:
    """Count to the end; False if the users counted so far are lost."""
    next_look_ms = 0
    try:
        while not session.finished:
            with ending.noted():
                turn(session, workers, _TICK_MS)
            if _ends_here(workers, ending):
                session.end_here()
            progress(sum(session.positions.values()), session.consumed)
            if (now_ms := monotonic_ms()) >= next_look_ms:
                next_look_ms = now_ms + _LOOK_EVERY_MS
                shares.look(tally.partitions(session.view()), now_ms)
                tally.fit.look(tally.symptoms, session.symptoms)
            tally.note_memory(workers.rss_bytes())
    except AggregatorLost:
        return False
    return True


def _ends_here(workers: Workers, ending: EarlyEnd) -> bool:
    """Asked for, or a worker has ended with what it told; in this process the other files are read on."""
    lost = ending.unreadable is not None and not workers.survive_errors
    ending.early = ending.early or ending.requested or lost
    return ending.early


def _plan(settings: CountSettings) -> Plan:
    return Plan(
        settings.window,
        settings.pipeline.slots,
        settings.pipeline.idle_timeout_ms,
        bounded=True,
        whole=True,
        ceiling=settings.ceiling,
        decode=settings.decode,
    )


def _open_workers(settings: CountSettings, ends: Sequence[int]) -> Workers:
    setup = UnmarshallerSetup(settings.decode, settings.window.max_jump_ms, settings.source)
    sharded = AggregatorSetup(settings.pipeline.slots, settings.ceiling, settings.decode, settings.window)
    return open_workers(settings.pipeline, setup, sharded if settings.as_run else None, ends)
