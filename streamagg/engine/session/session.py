"""One life from a checkpoint: leases out, blocks in, windows published.

The session knows neither processes nor Kafka: it posts messages to ports and takes what comes back.
Whatever goes wrong underneath ends the session, and the next one begins at the committed checkpoint.
"""

from collections.abc import Iterable, Mapping, Sequence
from time import perf_counter
from typing import Final

from streamagg.core.checkpoint import Checkpoint
from streamagg.core.closed_window import ClosedWindow
from streamagg.core.counted_windows import CountedWindows
from streamagg.core.partition import Partition
from streamagg.core.partition_clock import PartitionState
from streamagg.core.sequencer import Closed, Reread, Rows, Sequencer, Step
from streamagg.engine.reporting.symptoms import Symptoms
from streamagg.engine.session.leases import LeaseBook
from streamagg.engine.session.plan import Opening, Plan
from streamagg.engine.session.shard_router import ShardRouter
from streamagg.engine.session.silence import CaughtUp, Silence
from streamagg.engine.workers.port import Port
from streamagg.model.batch import Standing
from streamagg.model.measured import StageTimes
from streamagg.model.messages import (
    CloseWindow,
    ColumnBlock,
    FreeWindow,
    Reset,
    Revoke,
    ShardCount,
    Trying,
)
from streamagg.model.results import WindowCount
from streamagg.sinks.contract import Publication, Publisher
from streamagg.sources.holding import TOLD_AFTER_S

_FULL_LINK_BYTES: Final = 8 << 20
"""The sequencer pauses while more than this waits for an aggregator."""
_GATHER_MS: Final = 1_000
"""While reading on, windows are gathered for so long, but not for more than half the length of one."""
_GATHERED_PART_OF_RING: Final = 4
"""Nor until they fill more than a quarter of the ring."""
_CHECKPOINT_EVERY_MS: Final = 10_000
"""A checkpoint without windows is committed so often, if anything moved."""


class Session:
    """Runs the sequencer, the leases and the publication of windows."""

    def __init__(
        self,
        plan: Plan,
        openings: Mapping[int, Opening],
        leases: LeaseBook,
        unmarshallers: Sequence[Port],
        aggregators: Sequence[Port],
        publisher: Publisher,
        epoch: int,
        now_ms: int,
    ) -> None:
        self.plan = plan
        self.windows_published = 0
        self.times = StageTimes()
        self.symptoms = Symptoms()
        self._leases = leases
        self._unmarshallers = unmarshallers
        self._aggregators = aggregators
        self._outgoing = ShardRouter(aggregators)
        self._publisher = publisher
        self._silence = Silence(plan.idle_timeout_ms, int(TOLD_AFTER_S * 1_000))
        self._epoch = epoch
        self._closing: dict[int, ClosedWindow] = {}
        self._counted = CountedWindows(empty=plan.empty_windows, most=plan.most_windows)
        published = [opening.checkpoint.closed_through for opening in openings.values()]
        self._published_through = max((w for w in published if w is not None), default=None)
        self._committed: dict[int, PartitionState] = {}
        self._committed_ms = now_ms
        self._gather_ms = min(_GATHER_MS, plan.windows.granularity_ms // 2)
        self._submitted_ms = now_ms - self._gather_ms
        self._commit_now = False
        self._all_closed = False
        self._paused = False
        self._at_rest = False
        self.first_lease_ms: int | None = None
        self.last_block_ms = now_ms
        self.last_published_ms = now_ms
        self.sequencer = Sequencer(
            plan.windows,
            plan.slots,
            {},
            closed_through=self._published_through,
            most_late=plan.most_late,
            most_future=plan.most_future,
        )
        for port in unmarshallers:
            port.post(Revoke())
        for port in aggregators:
            port.post(Reset(epoch))
        for partition, opening in openings.items():
            self.add_partition(partition, opening, now_ms)

    def add_partition(self, partition: int, opening: Opening, now_ms: int) -> None:
        """Begin to read a partition."""
        at = opening.checkpoint
        self.sequencer.add_partition(partition, at.state, at.read_before)
        self._silence.begin(partition, self.sequencer.partitions[partition].first_aside, now_ms)
        if opening.committed:
            self._committed[partition] = at.state
        else:
            self._commit_now = True
        self._leases.add_partition(
            partition, at.state.offset, opening.end, opening.stop, timestamps=at.state.clock_ms is None
        )

    def receive_block(self, block: ColumnBlock, now_ms: int) -> None:
        """Take what an unmarshaller sent."""
        if not self._leases.received(block):
            return
        self.symptoms.note(block)
        self.sequencer.offer(block)
        if block.consumed:
            self._silence.arrived(block.partition, now_ms)
            self.last_block_ms = now_ms

    def receive_count(self, count: ShardCount, shard: int) -> None:
        """Take what the aggregator of a shard sent."""
        closing = self._closing.get(count.window) if count.epoch == self._epoch else None
        if closing is not None:
            closing.add(count, shard)

    def note_trying(self, trying: Trying) -> None:
        """Note which record an unmarshaller decodes by itself."""
        self._leases.trying(trying)

    def replace_unmarshaller(self, worker: int, unmarshallers: Sequence[Port]) -> int:
        """Another process has taken its place: its leases are issued again.

        Returns how many deaths are put down to records.
        """
        self._unmarshallers = unmarshallers
        return self._leases.worker_lost(worker)

    def tick(self, now_ms: int) -> None:
        """Do everything that can be done without waiting; raises PublishFailed."""
        self.collect(now_ms)
        self._paused = max(port.backlog_bytes for port in self._aggregators) > _FULL_LINK_BYTES
        if not self._paused:
            self._advance_timed(now_ms)
        self._publish(now_ms)
        self._issue(now_ms)
        # With nothing leased, nothing more can come: what still waits in memory is held by a watermark
        # that this run will not move.
        self._at_rest = not self._leases.outstanding

    def standing(self) -> dict[int, Standing]:
        """Partitions of a bounded run that are not read to their end, and of which nothing is there."""
        parts = self.sequencer.partitions.items()
        waits = {n: self._leases.standing(n, part.position) for n, part in parts if not part.ready}
        return {number: at for number, at in waits.items() if at is not None}

    def silent(self, now_ms: int, time_of_day_ms: int) -> list[int]:
        """Partitions whose ends are to be asked for; see ``Silence``. ``time_of_day_ms``: since the epoch."""
        return self._silence.quiet(self._caught_up(time_of_day_ms), now_ms)

    def confirm_idle(self, ends: Mapping[int, int], asked_ms: int, time_of_day_ms: int) -> None:
        """The log's end offsets, asked for after ``silent``."""
        caught_up = self._caught_up(time_of_day_ms)
        for number, decision in self._silence.confirm(caught_up, ends, asked_ms).items():
            if decision == "idle":
                self.sequencer.set_idle(number, time_of_day_ms)
            else:
                self.sequencer.believe(number, time_of_day_ms)
            self._silence.applied(number, self.sequencer.partitions[number].first_aside)

    def ends_unknown(self) -> None:
        """The broker does not answer."""
        self._silence.ends_unknown()

    def held_up(self, ends: Mapping[int, int], now_ms: int) -> dict[int, Standing]:
        """Partitions that, by these ends, cannot be read to their end for long, each once."""
        positions = {number: self.sequencer.partitions[number].position for number in ends}
        return {
            number: Standing(positions[number], ends[number])
            for number in self._silence.held_up(positions, ends, now_ms)
        }

    def lag(self, partition: int) -> int:
        """Offsets between what is applied and the end of a partition."""
        return max(0, self._leases.end(partition) - self.sequencer.partitions[partition].position)

    @property
    def finished(self) -> bool:
        """A bounded run: everything is read and published, and the checkpoint committed."""
        if not self.plan.bounded or self._publisher.busy or not self._at_rest:
            return False
        if self._closing or self._counted:
            return False
        if self._paused or not (self._all_closed or self.plan.keep_open):
            return False
        return not self._moved()

    def request_checkpoint(self) -> bool:
        """Commit how far reading has come; True if there was something to commit."""
        if self._publisher.busy or not self._moved():
            return False
        self._submit((), self._committed_ms)
        return True

    def collect(self, now_ms: int) -> None:
        """Take note of a finished publication; raises PublishFailed."""
        publication = self._publisher.finished()
        if publication is None:
            return
        self._committed = {p: at.state for p, at in publication.checkpoints.items()}
        self._committed_ms = now_ms
        self._published_through = publication.through
        if publication.windows:
            self.windows_published += len(publication.windows)
            self.last_published_ms = now_ms
        for count in publication.windows:
            if not count.records:
                # Nobody hit it: no slot is taken.
                continue
            self.sequencer.free(count.window)
            for port in self._aggregators:
                port.post(FreeWindow(count.window))

    def end_here(self) -> None:
        """A bounded run: read no further, and publish what is open with what has come."""
        self._leases.end_here()
        for port in self._unmarshallers:
            port.post(Revoke())
        for part in self.sequencer.partitions.values():
            part.drop_behind_gaps()

    def _caught_up(self, time_of_day_ms: int) -> dict[int, CaughtUp]:
        """Partitions that may fall silent; in a bounded run none does, for there is only waiting."""
        if self.plan.bounded:
            return {}
        return {
            number: CaughtUp(part.position, part.clock.believes(time_of_day_ms))
            for number, part in self.sequencer.partitions.items()
            if part.caught_up and part.drained and not part.idle
        }

    def _advance_timed(self, now_ms: int) -> None:
        began = perf_counter()
        applies = any(part.ready for part in self.sequencer.partitions.values())
        self._advance(now_ms)
        if applies:
            self.times.took("sequence", perf_counter() - began)
            for number, part in self.sequencer.partitions.items():
                self._silence.applied(number, part.first_aside)

    def _advance(self, now_ms: int) -> None:
        silent_ms = self._silence.length_ms(now_ms)
        self._carry_out(self.sequencer.advance(silent_ms))
        if not self.plan.bounded or self.plan.keep_open or self._all_closed:
            return
        partitions = self.sequencer.partitions.items()
        for number, part in partitions:
            if not part.idle and part.drained and self._leases.finished(number):
                self.sequencer.set_ended(number)
        self._carry_out(self.sequencer.advance(silent_ms))
        if all(part.idle and part.drained for _, part in partitions):
            self.sequencer.close_all()
            self._carry_out(self.sequencer.advance(silent_ms))
            self._all_closed = True

    def _carry_out(self, steps: Iterable[Step]) -> None:
        for step in steps:
            match step:
                case Rows(window, columns):
                    self._outgoing.add(window, columns)
                case Closed(window, records, partial):
                    self._outgoing.flush()
                    shards = set(range(len(self._aggregators)))
                    self._closing[window] = ClosedWindow(window, records, partial, shards)
                    for port in self._aggregators:
                        port.post(CloseWindow(window))
                case Reread(partition, offset):
                    for port in self._unmarshallers:
                        port.post(Revoke(partition))
                    self._leases.reread(partition, offset)
        self._outgoing.flush()

    def _publish(self, now_ms: int) -> None:
        """Windows that are counted, in order; one publication at a time, so they gather meanwhile."""
        if self._publisher.busy:
            return
        if not self._counted:
            if self._gathers(now_ms):
                return
            self._counted.add(self._complete())
        ready = self._counted.take(self._published_through)
        if ready or (self._checkpoint_due(now_ms) and self._moved()):
            self._submit(ready, now_ms)

    def _gathers(self, now_ms: int) -> bool:
        """While catching up windows close so fast that a transaction for each would burden the broker.

        At the end of a bounded run, whatever is still counted goes out with what is.
        """
        if self._all_closed:
            return any(closing.missing for closing in self._closing.values())
        if self.sequencer.full or not self._leases.outstanding:
            return False
        if now_ms - self._submitted_ms >= self._gather_ms:
            return False
        return len(self._closing) * _GATHERED_PART_OF_RING < self.plan.slots

    def _checkpoint_due(self, now_ms: int) -> bool:
        ended = self.plan.bounded and not self._leases.outstanding and not self._closing
        at_once = self._commit_now or ended or self.sequencer.full
        return at_once or now_ms - self._committed_ms >= _CHECKPOINT_EVERY_MS

    def _submit(self, counts: tuple[WindowCount, ...], now_ms: int) -> None:
        through = counts[-1].window if counts else self._published_through
        self._committed_ms = now_ms
        self._submitted_ms = now_ms
        self._commit_now = False
        parts = self.sequencer.partitions.items()
        # While catching up after a start, what had been read before it still counts as read before.
        read = {number: max(part.position, part.read_before) for number, part in parts}
        checkpoints = {
            number: Checkpoint(state, through, read[number])
            for number, state in self.sequencer.checkpoint(through).items()
        }
        future, late = self.sequencer.take_future(), self.sequencer.late.take()
        self._publisher.submit(Publication(counts, checkpoints, future, late))

    def _complete(self) -> list[WindowCount]:
        """The windows to publish next; raises TooManyUsers once all before that one are published."""
        counted: list[WindowCount] = []
        for window in sorted(self._closing):
            closing = self._closing[window]
            if closing.missing:
                break
            if closing.stops(self.plan.ceiling):
                if not counted:
                    raise closing.refusal(self.plan.windows, self.plan.ceiling)
                break
            del self._closing[window]
            counted.append(closing.count(self.plan.ceiling))
        return counted

    def _moved(self) -> bool:
        """The checkpoint differs from the committed one, or records are to be told."""
        if self.sequencer.untold:
            return True
        partitions: Mapping[int, Partition] = self.sequencer.partitions
        through = self._published_through
        return any(part.checkpoint(through) != self._committed.get(p) for p, part in partitions.items())

    def _issue(self, now_ms: int) -> None:
        partitions = self.sequencer.partitions
        order = sorted(partitions, key=lambda number: partitions[number].floor_ms or 0)
        wanted = [(number, partitions[number].parked_rows()) for number in order]
        for worker, lease in self._leases.issue(wanted):
            if self.first_lease_ms is None:
                self.first_lease_ms = now_ms
            self._unmarshallers[worker].post(lease)
