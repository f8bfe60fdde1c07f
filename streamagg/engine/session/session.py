"""One life from a checkpoint: leases out, blocks in, windows published.

The session knows neither processes nor Kafka: it posts messages to ports and takes what comes back.
Whatever goes wrong underneath ends the session, and the next one begins at the committed checkpoint.
"""

from collections.abc import Iterable, Mapping, Sequence
from time import perf_counter
from typing import Final

from streamagg.core.partition import recall_from
from streamagg.core.sequencer import Closed, Reread, Rows, Sequencer, Step
from streamagg.engine.reporting.symptoms import Symptoms
from streamagg.engine.session.kept import Kept
from streamagg.engine.session.leases import LeaseBook
from streamagg.engine.session.plan import Opening, Plan
from streamagg.engine.session.publication_schedule import PublicationSchedule
from streamagg.engine.session.shard_router import ShardRouter
from streamagg.engine.session.silence import CaughtUp, Silence
from streamagg.engine.session.stage import Stage
from streamagg.engine.session.view import SessionView, partition_view
from streamagg.engine.workers.port import Port
from streamagg.model.batch import Standing
from streamagg.model.columns import schema_of
from streamagg.model.measured import StageTimes
from streamagg.model.messages import (
    CloseWindow,
    ColumnBlock,
    FreeWindow,
    Reset,
    Revoke,
    ShardCount,
    ToAggregator,
    Trying,
)
from streamagg.sinks.contract import Publisher
from streamagg.sources.holding import TOLD_AFTER_S

_FULL_LINK_BYTES: Final = 8 << 20
"""The sequencer pauses while more than this waits for an aggregator: a million rows of a user's hash, so that
one that is slow, or stopped, costs waiting and no more memory than that."""


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
        kept: Kept | None = None,
    ) -> None:
        """``kept``: what open periods hold; None where there are no calendars."""
        self.plan = plan
        self.times = StageTimes()
        self.symptoms = Symptoms()
        self._leases = leases
        self._unmarshallers = unmarshallers
        self._aggregators = aggregators
        self._outgoing = ShardRouter(aggregators, schema_of(plan.decode))
        self._silence = Silence(plan.idle_timeout_ms, int(TOLD_AFTER_S * 1_000))
        self._epoch = epoch
        self._all_closed = False
        self._reads = True
        """Something was leased at the end of the last turn, or what had come could not be applied."""
        self.first_lease_ms: int | None = None
        self._last_block_ms = now_ms
        published = [opening.checkpoint.closed_through for opening in openings.values()]
        published_through = max((w for w in published if w is not None), default=None)
        self.sequencer = Sequencer(
            plan.windows,
            plan.slots,
            {},
            decode=plan.decode,
            closed_through=published_through,
            most_late=plan.most_late,
            most_future=plan.most_future,
        )
        self._schedule = PublicationSchedule(
            plan,
            self.sequencer,
            publisher,
            len(aggregators),
            published_through,
            now_ms,
            None if kept is None else kept.state,
        )
        for port in unmarshallers:
            port.post(Revoke())
        for port in aggregators:
            port.post(Reset(epoch))
        if kept is not None:
            kept.restore(aggregators, plan.windows)
        for partition, opening in openings.items():
            self.add_partition(partition, opening, now_ms)

    def add_partition(self, partition: int, opening: Opening, now_ms: int) -> None:
        """Begin to read a partition."""
        at = opening.checkpoint
        self.sequencer.add_partition(partition, at.state, at.read_before)
        self._silence.begin(partition, self.sequencer.partitions[partition].first_aside, now_ms)
        self._schedule.begin(partition, at.state, committed=opening.committed)
        self._leases.add_partition(
            partition,
            at.state.offset,
            opening.end,
            opening.stop,
            timestamps=at.state.clock_ms is None,
            recall_from=recall_from(schema_of(self.plan.decode), at.state),
        )

    def receive_block(self, block: ColumnBlock, now_ms: int) -> None:
        """Take what an unmarshaller sent."""
        if not self._leases.received(block):
            return
        self.symptoms.note(block)
        self.sequencer.offer(block)
        if block.consumed:
            self._silence.arrived(block.partition, now_ms)
            self._last_block_ms = now_ms

    def receive_count(self, count: ShardCount, shard: int) -> None:
        """Take what the aggregator of a shard sent."""
        if count.epoch == self._epoch:
            self._schedule.answer(count, shard)

    def note_trying(self, trying: Trying) -> None:
        """Note which record an unmarshaller decodes by itself."""
        self._leases.trying(trying)

    def replace_unmarshaller(self, worker: int, unmarshallers: Sequence[Port]) -> int:
        """Another process has taken its place: its leases are issued again.

        Returns how many deaths may be the fault of records.
        """
        self._unmarshallers = unmarshallers
        return self._leases.worker_lost(worker)

    def tick(self, now_ms: int) -> None:
        """Do everything that can be done without waiting; raises PublishFailed."""
        self.collect(now_ms)
        paused = max(port.backlog_bytes for port in self._aggregators) > _FULL_LINK_BYTES
        if not paused:
            self._advance_timed(now_ms)
        come = {"reads": self._leases.outstanding, "all_closed": self._all_closed}
        for question in self._schedule.so_far(now_ms, **come):
            self._ask_all(question)
        self._schedule.publish(now_ms, **come)
        self._issue(now_ms)
        # With nothing leased, nothing more can come: what still waits in memory is held by a watermark
        # that this run will not move.
        self._reads = paused or self._leases.outstanding

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
        positions = self.positions
        return {
            number: Standing(positions[number], ends[number])
            for number in self._silence.held_up(positions, ends, now_ms)
        }

    def view(self) -> SessionView:
        """What others may see of it."""
        parts = self.sequencer.partitions.items()
        return SessionView(
            {n: partition_view(part, max(0, self._leases.end(n) - part.position)) for n, part in parts},
            self.sequencer.watermark_ms,
            dict(self.sequencer.open_records),
            self._schedule.open_periods,
        )

    @property
    def positions(self) -> dict[int, int]:
        """The next offset of each partition to apply."""
        return {number: part.position for number, part in self.sequencer.partitions.items()}

    @property
    def consumed(self) -> int:
        """Records that have been applied."""
        return sum(part.counts.consumed for part in self.sequencer.partitions.values())

    @property
    def windows_published(self) -> int:
        """Windows that are out, those without records included."""
        return self._schedule.windows_published

    @property
    def busy_ms(self) -> int:
        """From the first lease to the last record, or to the last window published if that is later."""
        if self.first_lease_ms is None:
            return 0
        last_ms = max(self.first_lease_ms, self._last_block_ms, self._schedule.last_published_ms)
        return last_ms - self.first_lease_ms

    @property
    def stage(self) -> Stage:
        """How far a bounded run has come; one that is not stays at its beginning."""
        if not self.plan.bounded or self._reads:
            return Stage.READING
        if not (self._all_closed or self.plan.keep_open):
            return Stage.CLOSING
        if self._schedule.waiting:
            return Stage.PUBLISHING
        return Stage.FINISHED if self._schedule.committed else Stage.COMMITTING

    @property
    def finished(self) -> bool:
        """A bounded run: everything is read and published, and the checkpoint committed."""
        return self.stage is Stage.FINISHED

    def request_checkpoint(self) -> bool:
        """Commit how far reading has come; True if there was something to commit."""
        return self._schedule.request_checkpoint()

    def collect(self, now_ms: int) -> None:
        """Take note of a finished publication; raises PublishFailed."""
        publication = self._schedule.collect(now_ms)
        if publication is None:
            return
        for dropped in self._schedule.published(publication):
            self._ask_all(dropped)
        for count in publication.windows:
            if not count.records:
                # It is empty: it has no slot.
                continue
            self.sequencer.free(count.window)
            self._ask_all(FreeWindow(count.window))

    def end_here(self) -> None:
        """A bounded run: read no further, and publish what is open with what has come."""
        self._leases.end_here()
        for port in self._unmarshallers:
            port.post(Revoke())
        for part in self.sequencer.partitions.values():
            part.drop_behind_gaps()

    def _caught_up(self, time_of_day_ms: int) -> dict[int, CaughtUp]:
        """Partitions that may fall silent; in a run up to known ends none does, for there is only waiting."""
        if self.plan.bounded and not self.plan.live:
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
        # One that is live may be idle without having ended.
        if all(part.idle and part.drained and self._leases.finished(n) for n, part in partitions):
            self.sequencer.close_all()
            self._all_closed = True
            self._carry_out(self.sequencer.advance(silent_ms))

    def _carry_out(self, steps: Iterable[Step]) -> None:
        for step in steps:
            match step:
                case Rows(window, columns, texts):
                    self._outgoing.add(window, columns, texts)
                case Closed(window):
                    self._outgoing.flush()
                    self._schedule.close(step)
                    self._ask_all(CloseWindow(window))
                case Reread(partition, offset):
                    for port in self._unmarshallers:
                        port.post(Revoke(partition))
                    self._leases.reread(partition, offset)
        self._outgoing.flush()
        for question in self._schedule.over(at_end=self._all_closed):
            self._ask_all(question)

    def _ask_all(self, message: ToAggregator) -> None:
        for port in self._aggregators:
            port.post(message)

    def _issue(self, now_ms: int) -> None:
        partitions = self.sequencer.partitions
        order = sorted(partitions, key=lambda number: partitions[number].floor_ms or 0)
        wanted = [(number, partitions[number].parked_rows()) for number in order]
        for worker, lease in self._leases.issue(wanted):
            if self.first_lease_ms is None:
                self.first_lease_ms = now_ms
            self._unmarshallers[worker].post(lease)
