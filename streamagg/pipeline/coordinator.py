"""The main process of ``run``: leader or standby, one session after the other, ends well.

Numbered as in the code: 1 wait for leadership, 2 fence the previous leader, 3 read the checkpoints,
4 work until the run ends, leadership moves or something breaks, 5 begin again at 1.
"""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import count
from time import monotonic
from typing import Final

from streamagg import faults
from streamagg.core.publication import OutputAway, PublishFailed
from streamagg.core.windows import Windows
from streamagg.errors import KafkaUnreachable, WorkersKeepDying
from streamagg.kafka.admin import end_offsets, has_members, partitions_of
from streamagg.kafka.identity import TopicIdentity
from streamagg.kafka.membership import Membership
from streamagg.kafka.publisher import KafkaPublisher
from streamagg.pipeline.leases import LeaseBook
from streamagg.pipeline.metering import Meter
from streamagg.pipeline.opening import openings, refuse_published
from streamagg.pipeline.session import Plan, Session
from streamagg.pipeline.stats import RunStats, Tally
from streamagg.pipeline.turn import monotonic_ms, turn
from streamagg.pipeline.watch import InputWatch
from streamagg.pipeline.workers import AggregatorLost, Workers
from streamagg.settings import RunSettings, StartAt
from streamagg.telemetry.metrics import Metrics
from streamagg.telemetry.process import rss_bytes

_TICK_MS: Final = 50
_STANDBY_TICK_MS: Final = 100
_RSS_EVERY_S: Final = 1.0
_LAST_COMMIT_S: Final = 3.0
_CLOSE_S: Final = 1.0
_BROKER_PAUSE_S: Final = 2.0

log = logging.getLogger(__name__)


class Coordinator:
    """Owns the group membership, the workers and the session."""

    def __init__(
        self,
        settings: RunSettings,
        workers: Workers,
        stopping: Callable[[], bool],
        metrics: Metrics | None = None,
    ) -> None:
        self._settings = settings
        self._workers = workers
        self._stopping = stopping
        self._start = settings.start
        if settings.start != StartAt() and has_members(settings.kafka, settings.group):
            log.warning(
                "the group %s is at work: its counts are continued, whatever --from says", settings.group
            )
            self._start = StartAt()
        self._membership = Membership(settings.kafka, settings.group, settings.input)
        self._identity = TopicIdentity(settings.kafka, settings.input)
        self._at = faults.hook()
        self._asking = ThreadPoolExecutor(1, thread_name_prefix="admin")
        self._lease_ids = count()
        self._poison: dict[int, set[int]] = {}
        self._epochs = count(1)
        self._tally = Tally()
        self._broken: list[float] = []
        self._meter = Meter(metrics or Metrics(), workers, self._membership, self._broken)
        self._stops: dict[int, int] | None = None
        self._session_ended = False
        self._next_rss = 0.0
        self._led = False
        if settings.until_end:
            self._stops = end_offsets(settings.kafka, settings.input, self._partitions(), at="latest")
        self._found: dict[int, tuple[int, str]] = {}
        if settings.start != StartAt():
            self._found = self._membership.committed(self._partitions())

    def run(self) -> RunStats:
        """Work until the run ends or is told to stop; raises StreamaggError."""
        try:
            while not self._stopping() and not self._session_ended:
                self._membership.poll()
                if self._membership.leader:  # 1
                    self._lead()
                else:
                    self._stand_by(_STANDBY_TICK_MS)
        finally:
            self._asking.shutdown(wait=False, cancel_futures=True)
            # Whatever ends this run, a standby or the next start shall not wait for the session time-out.
            self._membership.close()
        return self._tally.stats(len(self._broken))

    def _stand_by(self, wait_ms: int) -> None:
        """Keep the workers company; an empty aggregator is as good as another.

        What an unmarshaller could not reach belongs to a session that has ended.
        """
        self._meter.look(self._tally)
        with suppress(AggregatorLost, KafkaUnreachable):
            self._workers.poll(wait_ms)

    def _lead(self) -> None:
        try:
            self._read(self._identity.ask().id)
        except (KafkaUnreachable, OutputAway) as error:
            self._wait_for_broker(error)  # 5
        except (AggregatorLost, PublishFailed) as error:
            self._note_broken(error)  # 5

    def _read(self, topic_id: str) -> None:
        """Lead, as long as the input has this id."""
        publisher = KafkaPublisher(self._settings, self._membership, self._identity, topic_id, self._at)
        watched = False
        try:
            if not publisher.start(self._gives_up):  # 2
                return
            self._workers.watch(publisher.fileno())
            watched = True
            self._work(self._open(publisher, topic_id), publisher, topic_id)  # 3, 4
        finally:
            if watched:
                self._workers.unwatch(publisher.fileno())
            publisher.close(_CLOSE_S)

    def _open(self, publisher: KafkaPublisher, topic_id: str) -> Session:
        settings = self._settings
        # Without it every publication would fail; it may have been deleted while this instance worked.
        partitions_of(settings.kafka, settings.output)
        partitions = self._partitions()
        committed = self._membership.committed(partitions)
        if not (self._led or committed) and settings.start == StartAt():
            refuse_published(settings)
        if committed != self._found:
            # Another instance has begun anew since this one was started: continue what it published.
            self._start = StartAt()
        opened = openings(settings, topic_id, partitions, committed, self._start, self._stops)
        # Only the first session of a process begins anew: a later one continues what this one published.
        self._start = StartAt()
        session = Session(
            Plan(
                Windows(settings.window),
                settings.pipeline.slots,
                settings.pipeline.idle_timeout_ms,
                bounded=settings.until_end,
                keep_open=settings.keep_open,
                empty_windows=settings.window.empty_windows,
                ceiling=settings.ceiling,
            ),
            opened,
            LeaseBook(len(self._workers.unmarshallers), self._lease_ids, poison=self._poison),
            self._workers.unmarshallers,
            self._workers.aggregators,
            self._meter.timed(publisher),
            next(self._epochs),
            monotonic_ms(),
        )
        self._led = True
        log.info("leading: reading %d partition(s) of %s", len(opened), settings.input)
        return session

    def _work(self, session: Session, publisher: KafkaPublisher, topic_id: str) -> None:
        watch = InputWatch(self._settings, self._asking, session, self._identity, topic_id)
        self._meter.session = session
        try:
            while not self._stopping() and not session.finished:
                self._membership.poll()
                if not self._membership.leader:
                    log.info("standing by: another instance leads")
                    return
                turn(session, self._workers, _TICK_MS)
                watch.look()
                self._note_memory()
                self._meter.look(self._tally)
            self._session_ended = session.finished
            if not session.finished:
                self._commit_last(session, publisher)
        finally:
            self._tally.add(session)
            self._meter.session = None

    def _note_memory(self) -> None:
        if monotonic() >= self._next_rss:
            self._next_rss = monotonic() + _RSS_EVERY_S
            memory = rss_bytes() + self._workers.rss_bytes()
            self._tally.peak_rss_bytes = max(self._tally.peak_rss_bytes, memory)

    def _commit_last(self, session: Session, publisher: KafkaPublisher) -> None:
        """Told to stop: let what is under way finish, and commit how far reading has come."""
        deadline = monotonic() + _LAST_COMMIT_S
        self._wait_for(session, publisher, deadline)
        if session.request_checkpoint():
            self._wait_for(session, publisher, deadline)

    def _wait_for(self, session: Session, publisher: KafkaPublisher, deadline: float) -> None:
        while publisher.busy and monotonic() < deadline:
            self._stand_by(_TICK_MS)
            session.collect(monotonic_ms())

    def _wait_for_broker(self, error: KafkaUnreachable | OutputAway) -> None:
        """A broker that went away may come back; one that was never there is the user's mistake."""
        if not self._led:
            raise error
        log.warning("trying again in %g s: %s", _BROKER_PAUSE_S, error)
        back = monotonic() + _BROKER_PAUSE_S
        while monotonic() < back and not self._stopping():
            self._membership.poll()
            self._stand_by(_STANDBY_TICK_MS)

    def _note_broken(self, error: Exception) -> None:
        if not self._membership.leader:
            log.info("no longer the leader: %s", error)
            return
        log.warning("starting again from the checkpoint: %s", error)
        now = monotonic()
        self._broken.append(now)
        recent = [at for at in self._broken if now - at < 600]
        if len(recent) > self._settings.pipeline.max_restarts:
            raise WorkersKeepDying(
                f"the run started again {len(recent)} times within ten minutes, the last time because: "
                f"{error}; see the log, or allow more with --max-restarts"
            ) from error

    def _partitions(self) -> list[int]:
        return list(range(partitions_of(self._settings.kafka, self._settings.input)))

    def _gives_up(self) -> bool:
        self._meter.look(self._tally)
        self._membership.poll()
        return self._stopping() or not self._membership.leader
