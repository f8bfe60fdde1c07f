"""``streamagg advise``: how late records come, and how early, by the decoder and the clocks of a run."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from itertools import count as numbers
from time import monotonic
from typing import Final, NamedTuple

import numpy as np

from streamagg.core.ahead import Ahead
from streamagg.core.lateness_survey import Lateness, never_late
from streamagg.core.max_jumps import Loss, MaxJumps, Trial
from streamagg.core.measures.user_set import UserSet
from streamagg.core.partition_clock import Outcome, PartitionClock, PartitionState, TimestampsNeeded
from streamagg.engine.main_loop import read
from streamagg.engine.reporting.symptoms import FitWatch, Symptoms
from streamagg.engine.session.leases import LeaseBook, LeaseSize, lease_size
from streamagg.engine.workers.contract import Workers
from streamagg.engine.workers.open import open_workers
from streamagg.model.batch import Standing
from streamagg.model.columns import GROUP_COLUMN, NO_COLUMNS, schema_of
from streamagg.model.measured import add_counts
from streamagg.model.messages import ColumnBlock, Revoke, UnmarshallerSetup
from streamagg.model.settings import AdviseSettings, DecodeSettings, WindowSettings, default_max_jump_ms
from streamagg.sources.holding import EndWatch
from streamagg.sources.open import open_source

_TICK_MS: Final = 50
"""A turn waits no longer than this for events, so that an interruption is seen at once."""

Progress = Callable[[float, int], None]
"""Called with how many offsets have been read, and how many records that was."""


class Extent(NamedTuple):
    """What is read of a partition: the offsets ``[begin, end)``."""

    begin: int
    end: int


@dataclass(slots=True)
class Advice:
    """What a log came to."""

    lateness: Lateness
    max_jumps: MaxJumps
    ahead: dict[int, Ahead] = field(default_factory=dict)
    """Clocks that are fast, by partition."""
    records: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    groups: int | None = None
    """How many the accepted records are in; None: they have no groups."""
    ignored: dict[str, int] = field(default_factory=dict)
    """By measure, how many accepted records have something there that is no value."""
    seconds: float = 0.0
    nothing_counted: str | None = None
    """Why this is no success: no record was accepted, or all at times in another unit."""

    def fast(self) -> list[tuple[int, Ahead]]:
        """Partitions with records that are ahead of the others, those with the greatest share first."""
        found = [(number, ahead) for number, ahead in self.ahead.items() if ahead.records]
        return sorted(found, key=lambda each: -each[1].share)

    def losses(self, window: WindowSettings) -> dict[int, Loss]:
        """By max jump, the present one included: what it makes late, and what it rejects."""
        present = Loss(self.lateness.lost()[window.max_lag_ms], self.rejected.get("future", 0))
        return dict(sorted({**self.max_jumps.losses, window.max_jump_ms: present}.items()))


def extents(settings: AdviseSettings) -> dict[int, Extent]:
    """What there is to read now, by partition; a file is a partition, and its offsets are bytes.

    Raises SettingsError for a file that cannot be read, or the error for what the broker answers.
    """
    source = open_source(settings.source)
    partitions = range(source.partitions())
    begins = source.offsets(partitions, "earliest" if settings.start_ms is None else settings.start_ms)
    ends = source.log_ends(partitions)
    return {p: Extent(begin, ends[p]) for p, begin in begins.items()}


def advise(settings: AdviseSettings, found: Mapping[int, Extent], progress: Progress) -> Advice:
    """Read that much of every partition.

    Raises StreamaggError, as a run does that cannot read.
    """
    began, source = monotonic(), open_source(settings.source)
    with closing(_open_workers(settings, found)) as workers, ThreadPoolExecutor(1) as asking:
        survey = _Survey(settings, found, workers, lease_size(source.unit))
        outcome = "there is no advice about all of it"
        fit, ending = FitWatch(), EndWatch(source, settings.hold_timeout_ms, outcome, asking)
        while not survey.finished:
            survey.turn()
            fit.look(survey.symptoms)
            ending.look(survey.standing)
            progress(float(survey.passed), survey.advice.records)
    advice = survey.advice
    advice.groups = survey.groups()
    advice.seconds = monotonic() - began
    advice.nothing_counted = fit.end(survey.symptoms, advice.lateness.accepted, advice.rejected)
    return advice


class _Partition:
    """One partition: its clock, and blocks that wait for those before them."""

    def __init__(self, window: WindowSettings, begin: int, ahead: Ahead, trial: Trial) -> None:
        self.begin = begin
        self.ahead = ahead
        self.trial = trial
        self.clock = PartitionClock(never_late(window), NO_COLUMNS, PartitionState(begin))
        self.parked: dict[int, ColumnBlock] = {}
        self.done = False

    @property
    def position(self) -> int:
        """Next offset to apply."""
        return self.clock.state.offset

    def waiting(self) -> int:
        """Rows that wait in memory."""
        return sum(map(len, self.parked.values()))


class _Survey:
    """Reads all partitions to their ends, in whatever order they come: each has its own clock."""

    def __init__(
        self, settings: AdviseSettings, found: Mapping[int, Extent], workers: Workers, size: LeaseSize
    ) -> None:
        window = settings.window
        default_ms = default_max_jump_ms(window.granularity_ms, window.max_lag_ms)
        self.advice = Advice(Lateness(window), MaxJumps(window, default_ms))
        self.symptoms = Symptoms()
        self._group = _place_of_group(settings.decode)
        self._groups = UserSet()
        self._workers = workers
        self._leases = LeaseBook(len(workers.unmarshallers), numbers(), size)
        self._partitions: dict[int, _Partition] = {}
        for number, (begin, end) in found.items():
            ahead = self.advice.ahead[number] = Ahead(default_ms)
            self._partitions[number] = _Partition(window, begin, ahead, self.advice.max_jumps.clocks(begin))
            self._leases.add_partition(number, begin, end, end, timestamps=True)

    @property
    def finished(self) -> bool:
        """Everything is read."""
        return all(partition.done for partition in self._partitions.values())

    @property
    def passed(self) -> int:
        """Offsets read, gaps included."""
        return sum(partition.position - partition.begin for partition in self._partitions.values())

    def groups(self) -> int | None:
        """Different ones so far; None where records have none."""
        return None if self._group is None else self._groups.count()

    def standing(self) -> dict[int, Standing]:
        """Partitions that are not read to their end, and of which nothing is there."""
        parts = self._partitions.items()
        waits = {n: self._leases.standing(n, part.position) for n, part in parts}
        return {number: at for number, at in waits.items() if at is not None}

    def turn(self) -> None:
        """Take what comes within a moment, and give out what is to be read next."""
        wanted = [(number, partition.waiting()) for number, partition in self._partitions.items()]
        for block in read(self._leases, self._workers, wanted, _TICK_MS):
            self.symptoms.note(block)
            self._partitions[block.partition].parked[block.first] = block
        for number, partition in self._partitions.items():
            self._apply(number, partition)

    def _apply(self, number: int, partition: _Partition) -> None:
        while (block := partition.parked.get(partition.position)) is not None:
            times, offsets = block.event_times(), block.offsets()
            try:
                outcome = partition.clock.feed(times, (), offsets, block.live_flags(), block.next)
            except TimestampsNeeded:
                self._read_again(number, partition)
                return
            del partition.parked[block.first]
            self.advice.records += block.consumed
            add_counts(self.advice.rejected, block.rejected)
            add_counts(self.advice.ignored, block.ignored)
            if self._group is not None:
                self._groups.add(np.frombuffer(block.columns[self._group], np.uint64))
            self._account(outcome)
            partition.ahead.add(times)
            partition.trial.feed(times, offsets, block.next)
        if not partition.done and not partition.parked and self._leases.finished(number):
            self._account(partition.clock.end())
            partition.ahead.end()
            partition.trial.end()
            partition.done = True

    def _read_again(self, number: int, partition: _Partition) -> None:
        """With timestamps, from here on."""
        partition.parked.clear()
        for port in self._workers.unmarshallers:
            port.post(Revoke(number))
        self._leases.reread(number, partition.position)

    def _account(self, outcome: Outcome) -> None:
        for run in outcome.runs:
            self.advice.lateness.add(run)
        if outcome.future:
            add_counts(self.advice.rejected, {"future": len(outcome.future)})


def _place_of_group(decode: DecodeSettings) -> int | None:
    return schema_of(decode).place(GROUP_COLUMN) if decode.group_by else None


def _open_workers(settings: AdviseSettings, found: Mapping[int, Extent]) -> Workers:
    setup = UnmarshallerSetup(settings.decode, settings.window.max_jump_ms, settings.source)
    amounts = [extent.end - extent.begin for extent in found.values()]
    return open_workers(settings.pipeline, setup, amounts=amounts)
