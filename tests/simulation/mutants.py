"""Deliberate defects, put into the running code, to show that the simulator finds such things."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, Final
from unittest.mock import patch

import msgspec
import numpy as np
import psycopg

from streamagg.core import ballot, checkpoint
from streamagg.core import partition_clock as clock
from streamagg.core.ballot import LEAD, Ballot, Candidate
from streamagg.core.late_references import LateBook
from streamagg.core.measures import kept
from streamagg.core.measures.by_group import placed
from streamagg.core.measures.ends import _Found
from streamagg.core.measures.exact_sum import ExactSums
from streamagg.core.open_window import OpenWindow
from streamagg.core.partition import Partition
from streamagg.core.partition_clock import LateRows, PartitionState
from streamagg.core.period_state import PeriodState
from streamagg.core.periods import Periods
from streamagg.core.sequencer import Sequencer
from streamagg.core.window_tables import WindowTables
from streamagg.engine.session.leases import LeaseBook
from streamagg.engine.session.publication_schedule import PublicationSchedule
from streamagg.engine.session.session import Session
from streamagg.model.columns import selected
from streamagg.model.messages import ColumnBlock, FreeWindow, ShardCount
from streamagg.model.results import WindowTable
from streamagg.sinks.contract import Publication
from streamagg.sinks.directory import manifest as manifests
from streamagg.sinks.directory.epoch_files import EpochFiles
from streamagg.sinks.directory.output import Output
from streamagg.sinks.postgres.transaction import Output as TableOutput
from streamagg.sources.directory.source import DirectorySource
from tests.simulation.broker import Broker
from tests.simulation.publisher import SimPublisher
from tests.simulation.scenario import Scenario
from tests.simulation.world import Result, World, simulate


@dataclass(frozen=True, slots=True)
class Mutant:
    """A defect."""

    name: str
    target: Any
    method: str
    make: Callable[[Any], Any]
    """The defective method, made of the right one."""
    within: int
    """It must be caught within so many seeds."""
    seed: int
    """The one that found it last: it is tried before the others."""
    only: Callable[[Scenario], bool] = lambda scenario: True
    """Where it can show: other seeds are left out."""

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The program with the defect."""
        right = getattr(self.target, self.method)
        # A generator that is left in the middle may put this one back too late.
        right_pass = patch.object(clock._Pass, "_accept", clock._Pass._accept)
        # The defects are put into the part in Python.
        in_python = patch.object(clock, "stepper", None)
        with right_pass, in_python, patch.object(self.target, self.method, self.make(right)):
            yield


@dataclass(frozen=True, slots=True)
class Caught:
    """The first seed that found a mutant, and by which check."""

    seeds: int
    difference: str


def hunt(mutant: Mutant, seeds: Iterable[int]) -> Caught | None:
    """Play seeds until one finds the mutant; None if none does."""
    with mutant.applied():
        for seed in seeds:
            if not mutant.only(World(seed).scenario):
                continue
            result: Result = simulate(seed)
            if result.differences:
                return Caught(seed + 1, result.differences[0])
    return None


def _late_by_watermark(advance: Any) -> Any:
    """Judge by the watermark of all partitions: how they are interleaved decides."""
    watermark: list[int | None] = [None]

    def accept(self: Any, times: Any, before: Any, columns: Any, offsets: Any, agreement: Any) -> None:
        self._flush()
        first = self._state(int(offsets[0]))
        new_clock = max(self._clock_ms, int(times.max()))
        if watermark[0] is not None:
            timely = self.windows.number(times) > self.windows.last_closed(watermark[0])
            self.outcome.late += len(times) - int(np.count_nonzero(timely))
            times, columns, offsets = times[timely], selected(columns, timely), offsets[timely]
        if len(times):
            first = first._replace(offset=int(offsets[0]))
            self.outcome.runs.append(clock.Run(times, columns, first, offsets))
        self._clock_ms = new_clock

    clock_accept = clock._Pass._accept

    def advancing(self: Sequencer, silent_ms: int = 0) -> Iterator[Any]:
        watermark[0] = self.watermark_ms
        clock._Pass._accept = accept  # type: ignore[method-assign]
        try:
            for step in advance(self, silent_ms):
                watermark[0] = self.watermark_ms
                yield step
        finally:
            clock._Pass._accept = clock_accept  # type: ignore[method-assign]

    return advancing


def _commit_position(_: Any) -> Any:
    return lambda self, through: self.clock.state


def _clock_at_position(right: Any) -> Any:
    def mutant(self: Partition, through: int | None) -> PartitionState:
        state: PartitionState = right(self, through)
        return state._replace(clock_ms=self.clock.state.clock_ms)

    return mutant


def _restored(**changes: Any) -> Callable[[Any], Any]:
    """The checkpoint is read back without something."""

    def make(right: Any) -> Any:
        def mutant(*arguments: Any) -> Any:
            found = right(*arguments)
            return replace(found, **{name: change(found) for name, change in changes.items()})

        return mutant

    return make


def _idle_not_caught_up(_: Any) -> Any:
    def mutant(self: Session, ends: Mapping[int, int], now_ms: int, time_of_day_ms: int) -> None:
        for partition in self.silent(now_ms, time_of_day_ms):
            self.sequencer.set_idle(partition, time_of_day_ms)

    return mutant


def _freed_early(right: Any) -> Any:
    """The slots are free as soon as the windows are on their way."""

    def mutant(self: Session, now_ms: int) -> None:
        right(self, now_ms)
        publisher: Any = self._schedule._publisher
        publisher = getattr(publisher, "_publisher", publisher)
        if publisher.busy:
            for count in publisher._publication.windows:
                for port in self._aggregators:
                    port.post(FreeWindow(count.window))

    return mutant


def _ahead_of_its_part(right: Any) -> Any:
    """A part of a gap is published with the checkpoint of the window at its end."""

    def mutant(
        self: PublicationSchedule, counts: tuple[WindowTable, ...], over: tuple[WindowTable, ...]
    ) -> int | None:
        rest = self._counted._waiting
        return rest[0].window if rest else right(self, counts, over)

    return mutant


def _any_epoch(right: Any) -> Any:
    def mutant(self: Session, count: ShardCount, shard: int) -> None:
        right(self, msgspec.structs.replace(count, epoch=self._epoch), shard)

    return mutant


def _any_block(right: Any) -> Any:
    def mutant(self: LeaseBook, block: ColumnBlock) -> bool:
        right(self, block)
        return True

    return mutant


def _ends_where_the_reader_does(right: Any) -> Any:
    def mutant(self: LeaseBook, block: ColumnBlock) -> bool:
        self._lease_size = replace(self._lease_size, ends_early=True)
        accepted: bool = right(self, block)
        return accepted

    return mutant


def _any_producer(_: Any) -> Any:
    return lambda self, epoch: None


def _told_again(right: Any) -> Any:
    def mutant(self: LateBook, partition: int, rows: LateRows, read_before: int, **options: bool) -> None:
        right(self, partition, rows, 0, **options)

    return mutant


def _told_by_offset(right: Any) -> Any:
    """What was set aside before the place that had been read, and found late behind it, is forgotten."""

    def mutant(self: LateBook, partition: int, rows: LateRows, read_before: int, **options: bool) -> None:
        right(self, partition, replace(rows, step_offset=rows.offset), read_before, **options)

    return mutant


def _counts_outside(right: Any) -> Any:
    """The offsets are committed at once, the counts with the transaction."""

    def mutant(self: SimPublisher, publication: Any) -> Any:
        self._broker.commit_offsets(offsets := right(self, publication))
        return offsets

    return mutant


def _three_votes(right: Any) -> Any:
    return lambda self, before, lead, *until: right(self, before, min(lead, 3), *until)


def _never_stands(right: Any) -> Any:
    def mutant(self: Any, time: int) -> bool:
        contradicts: bool = right(self, time)
        self._agreement = max(1, self._agreement)
        return contradicts

    return mutant


def _past_votes(right: Any) -> Any:
    def mutant(self: Any, time: int) -> bool:
        self._past_ms = 1 << 60
        contradicts: bool = right(self, time)
        return contradicts

    return mutant


def _room_for_all(right: Any) -> Any:
    def mutant(self: Ballot, record: Candidate) -> None:
        with patch.object(ballot, "ROOM", 1 << 30):
            right(self, record)

    return mutant


def _float_sums(right: Any) -> Any:
    """Numbers are added as they come, each time with a rounding."""

    def mutant(self: ExactSums, values: Any, places: Any, groups: int) -> None:
        sums = np.bincount(placed(places, len(values)), values, minlength=groups)
        if np.isfinite(sums).all():
            values, places = sums, np.arange(len(sums))
        right(self, values, places, groups)

    return mutant


def _places_of_a_shard(right: Any) -> Any:
    """Where a group lies in its shard is taken for where it lies in the whole."""

    def mutant(self: Any, answers: Any, places: Any, groups: int = 1, *, dropped: bool = False) -> Any:
        if places is not None:
            places = [np.arange(len(there)) for there in places]
        return right(self, answers, places, groups, dropped=dropped)

    return mutant


def _no_recall(_: Any) -> Any:
    """What is set aside comes back from a checkpoint, and what names its groups does not."""

    def mutant(self: Partition, block: ColumnBlock) -> bool:
        before = self._recalled is not None
        self._recalled = None if block.next >= self.clock.state.offset else block.next
        return before and block.next <= self.clock.state.offset

    return mutant


def _by_arrival(_: Any) -> Any:
    return lambda self, number, key, rows, places: rows


def _one_table_of_groups(right: Any) -> Any:
    def mutant(self: OpenWindow, number: int, rules: Any) -> None:
        right(self, number, rules)
        if self._groups is not None:
            self._groups = rules.__dict__.setdefault("shared", self._groups)

    return mutant


def _state_beside(right: Any) -> Any:
    """The state is out at once, the windows with their transaction."""

    def mutant(self: SimPublisher, publication: Any) -> None:
        self._broker.append_state(publication.state)
        right(self, publication)

    return mutant


def _never_lasts(_: Any) -> Any:
    """The manifest names files that are not on the disk yet."""

    def mutant(self: EpochFiles) -> None:
        self._written.clear()
        self._folders.clear()

    return mutant


def _checkpoint_first(right: Any) -> Any:
    """The checkpoint is in the manifest before the results are."""

    def mutant(self: Output, publication: Publication) -> Any:
        checkpoints = self._manifest.checkpoints | self._encoded(publication)
        with self._files.locked(lambda: True):
            self._require_epoch()
            early = msgspec.structs.replace(self._manifest, checkpoints=checkpoints)
            self._files.replace(self._draft(early), manifests.NAME)
        return right(self, publication)

    return mutant


def _by_offset_alone(right: Any) -> Any:
    """Whoever begins gives the files that are there offsets anew."""
    return lambda self, marks, *, restored: right(self, [], restored=restored)


def _to_dir(scenario: Scenario) -> bool:
    return scenario.to_directory


def _to_db(scenario: Scenario) -> bool:
    return scenario.to_database


def _whoever_comes(_: Any) -> Any:
    return lambda self, connection=None: None


def _state_before(right: Any) -> Any:
    """The state is written and committed before the transaction of its publication begins."""

    def mutant(self: TableOutput, publication: Publication, began: float) -> None:
        self._write_state(self._open, publication.state)
        right(self, publication, began)

    return mutant


def _again_whatever_it_was(right: Any) -> Any:
    """A publication whose commit was not answered is sent once more."""

    def mutant(self: TableOutput, publication: Publication, began: float) -> None:
        try:
            right(self, publication, began)
        except psycopg.OperationalError:
            self._connection = self._connected(self._url)
            right(self, publication, began)

    return mutant


def _out_whatever_it_was(right: Any) -> Any:
    """A publication whose commit was not answered counts as out."""

    def mutant(self: TableOutput, publication: Publication, began: float) -> None:
        with suppress(psycopg.OperationalError):
            right(self, publication, began)

    return mutant


def _by_number(_: Any) -> Any:
    return lambda hashes, shards: (hashes * 0 + 1) % shards


def _kept_when_published(right: Any) -> Any:
    return lambda self, ended, until_ms: right(self, (), until_ms)


def _no_through(right: Any) -> Any:
    return lambda self, gained, through, shards, shard: right(self, gained, None, shards, shard)


MUTANTS: Final = (
    Mutant("late by the global watermark", Sequencer, "advance", _late_by_watermark, 100, 0),
    Mutant("the current position is committed", Partition, "checkpoint", _commit_position, 100, 2),
    Mutant(
        "closed_through is not restored",
        checkpoint,
        "decode",
        _restored(closed_through=lambda _: None),
        100,
        7,
    ),
    Mutant("the clock is that of the current position", Partition, "checkpoint", _clock_at_position, 100, 2),
    Mutant(
        "votes are not restored",
        checkpoint,
        "decode",
        _restored(
            state=lambda found: found.state._replace(
                set_aside=tuple(waiting._replace(lead=0) for waiting in found.state.set_aside)
            )
        ),
        100,
        3,
    ),
    Mutant(
        "agreement is not restored",
        checkpoint,
        "decode",
        _restored(state=lambda found: found.state._replace(agreement=LEAD)),
        400,
        159,
    ),
    Mutant("three votes are enough", clock._Pass, "_take_decided", _three_votes, 100, 2),
    Mutant("the clock never stands", clock._Pass, "_vote", _never_stands, 400, 124),
    Mutant("the past has a vote", clock._Pass, "_vote", _past_votes, 100, 60),
    Mutant("any number is set aside", Ballot, "add", _room_for_all, 400, 42),
    Mutant("idle without being caught up", Session, "confirm_idle", _idle_not_caught_up, 250, 74),
    Mutant("slots are freed before the commit", Session, "tick", _freed_early, 100, 0),
    Mutant(
        "a part has the checkpoint of the whole", PublicationSchedule, "_through", _ahead_of_its_part, 250, 9
    ),
    Mutant(
        "records set aside are not restored",
        checkpoint,
        "decode",
        _restored(state=lambda found: found.state._replace(set_aside=())),
        100,
        2,
    ),
    Mutant(
        "what had been read before is not restored",
        checkpoint,
        "decode",
        _restored(read_before=lambda found: found.state.offset),
        100,
        5,
    ),
    Mutant("counts of an earlier epoch are accepted", Session, "receive_count", _any_epoch, 100, 12),
    Mutant("blocks of dead leases are accepted", LeaseBook, "received", _any_block, 100, 2),
    Mutant(
        "a bounded run ends where a committed reader does",
        LeaseBook,
        "received",
        _ends_where_the_reader_does,
        100,
        10,
    ),
    Mutant("a new leader does not fence the old one", Broker, "check_epoch", _any_producer, 100, 2),
    Mutant("late records are told again", LateBook, "add", _told_again, 100, 5),
    Mutant("late records are told by their own offset", LateBook, "add", _told_by_offset, 400, 2),
    Mutant("offsets outside the transaction", SimPublisher, "_offsets", _counts_outside, 100, 2),
    Mutant("sums are rounded as numbers come", ExactSums, "add", _float_sums, 100, 47),
    Mutant("groups lie in the whole as in their shard", WindowTables, "_sum", _places_of_a_shard, 100, 14),
    Mutant("groups of records set aside are not recalled", Partition, "recall", _no_recall, 100, 17),
    Mutant("the first and last to come are the first and last", _Found, "_best", _by_arrival, 100, 19),
    Mutant("state beside the transaction", SimPublisher, "submit", _state_beside, 400, 16),
    Mutant(
        "the manifest is out before its files last", EpochFiles, "sync", _never_lasts, 1_000, 304, _to_dir
    ),
    Mutant(
        "the checkpoint is out before the results",
        Output,
        "_drafted",
        _checkpoint_first,
        1_000,
        5,
        _to_dir,
    ),
    Mutant(
        "a manifest is replaced whoever has begun since",
        Output,
        "_require_epoch",
        _whoever_comes,
        1_000,
        49,
        _to_dir,
    ),
    Mutant(
        "rows are written whoever has begun since",
        TableOutput,
        "_require_epoch",
        _whoever_comes,
        1_000,
        33,
        _to_db,
    ),
    Mutant("state beside the rows", TableOutput, "_transact", _state_before, 1_000, 120, _to_db),
    Mutant(
        "a commit without an answer is made again",
        TableOutput,
        "_transact",
        _again_whatever_it_was,
        1_000,
        56,
        _to_db,
    ),
    Mutant(
        "a commit without an answer is out", TableOutput, "_transact", _out_whatever_it_was, 1_000, 56, _to_db
    ),
    Mutant(
        "a place in files is found by its number alone",
        DirectorySource,
        "_begin",
        _by_offset_alone,
        1_000,
        56,
        lambda scenario: scenario.from_tree,
    ),
    Mutant("periods are restored by the number of the shard", kept, "shards_of", _by_number, 400, 47),
    Mutant("state of published periods is kept", PeriodState, "records", _kept_when_published, 100, 6),
    Mutant("what the state holds already is added again", Periods, "restore", _no_through, 1_000, 245),
    Mutant("windows share a table of groups", OpenWindow, "__init__", _one_table_of_groups, 100, 14),
)
