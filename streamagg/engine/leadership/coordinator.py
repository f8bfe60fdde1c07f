"""The main process of ``run``: leader or standby, one session after the other, ends well.

Numbered as in the code: 1 wait for leadership, 2 fence the previous leader, 3 read the checkpoints,
4 work until the run ends, leadership moves or something breaks, 5 begin again at 1.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import count
from time import monotonic
from typing import Final

from streamagg import faults
from streamagg.core.late_references import MOST_LATE
from streamagg.core.windows import Windows
from streamagg.engine.leadership.agreement import Agreement
from streamagg.engine.leadership.input_watch import InputWatch
from streamagg.engine.leadership.start_offsets import openings, refuse_published
from streamagg.engine.main_loop import monotonic_ms, turn
from streamagg.engine.reporting.liveness import Liveness, Outside
from streamagg.engine.reporting.metering import Meter
from streamagg.engine.reporting.stats import RunStats, Tally
from streamagg.engine.session.leases import LeaseBook
from streamagg.engine.session.plan import Plan
from streamagg.engine.session.session import Session
from streamagg.engine.workers.contract import AggregatorLost, Workers
from streamagg.errors import HeldUp, KafkaUnreachable, WorkersKeepDying
from streamagg.events import Log
from streamagg.kafka.admin import partitions_of
from streamagg.kafka.membership import Membership
from streamagg.model.settings import RunSettings, StartAt
from streamagg.sinks.contract import OutputAway, PublishFailed
from streamagg.sinks.kafka.publisher import KafkaPublisher
from streamagg.sinks.kafka.transaction import Output
from streamagg.sources.kafka.dead_letters import MOST_FUTURE
from streamagg.telemetry.process import rss_bytes

_TICK_MS: Final = 50
_STANDBY_TICK_MS: Final = 100
_RSS_EVERY_S: Final = 1.0
_LAST_COMMIT_S: Final = 3.0
_CLOSE_S: Final = 1.0
_BROKER_PAUSE_S: Final = 2.0
_WORKERS_START_S: Final = 5.0

log = Log(__name__)


class Coordinator:
    """Owns the group membership, the workers and the session."""

    def __init__(
        self,
        settings: RunSettings,
        workers: Workers,
        agreement: Agreement,
        stopping: Callable[[], bool],
        outside: Outside | None = None,
    ) -> None:
        self._settings = settings
        self._workers = workers
        self._stopping = stopping
        self._agreement = agreement
        self._membership = Membership(settings.kafka, settings.kafka.group, settings.input)
        self._source = agreement.source
        self._at = faults.hook()
        self._asking = ThreadPoolExecutor(1, thread_name_prefix="admin")
        self._lease_ids = count()
        self._poison: dict[int, set[int]] = {}
        self._epochs = count(1)
        self._tally = Tally()
        self._broken: list[float] = []
        outside = outside or Outside()
        self._meter = Meter(settings, outside.metrics, workers, self._membership)
        self._pulse = Liveness(outside, self._meter, workers, self._membership, stopping)
        self._told_standby = False
        self._stops: dict[int, int] | None = None
        self._session_ended = False
        self._next_rss = 0.0
        self._led = False
        self._bounded_id = ""
        if settings.until_end:
            # In this order: ends are those of the topic with this id, or that topic is gone.
            self._bounded_id = self._source.identity().id
            self._stops = self._source.log_ends(self._partitions())

    def run(self) -> RunStats:
        """Work until the run ends or is told to stop; raises StreamaggError."""
        try:
            while not self._stopping() and not self._session_ended:
                self._membership.poll()
                if self._membership.leader:  # 1
                    self._lead()
                else:
                    self._tell_standby()
                    self._agreement.look(self._asking)
                    self._stand_by(_STANDBY_TICK_MS)
        finally:
            self._pulse.end()
            self._asking.shutdown(wait=False, cancel_futures=True)
            self._meter.end(self._tally)
            # Whatever ends this run, a standby or the next start shall not wait for the session time-out.
            self._membership.close()
        broken = len(self._broken)
        return self._tally.judged(broken) if self._session_ended else self._tally.stats(broken)

    def _tell_standby(self) -> None:
        """Once the group has told who works, and not again before this instance has led."""
        if self._membership.assignment_known and not self._told_standby:
            self._told_standby = True
            log.info("standing_by", "standing by: this instance does not lead")

    def _stand_by(self, wait_ms: int) -> None:
        """Keep the workers company; an empty aggregator is as good as another.

        What an unmarshaller could not reach belongs to a session that has ended.
        """
        self._pulse.beat(self._tally)
        with suppress(AggregatorLost, KafkaUnreachable):
            self._workers.poll(wait_ms)

    def _lead(self) -> None:
        try:
            self._read(self._topic_id())
        except (KafkaUnreachable, OutputAway) as error:
            self._wait_for_broker(error)  # 5
        except (AggregatorLost, PublishFailed) as error:
            self._note_broken(error)  # 5

    def _topic_id(self) -> str:
        """Of the input; raises CheckpointError when the ends of a bounded run are those of another topic."""
        topic_id = self._agreement.require()
        if self._stops is not None:
            self._source.confirm(self._bounded_id)
        return topic_id

    def _read(self, topic_id: str) -> None:
        """Lead, as long as the input has this id."""
        output = Output(
            self._settings, self._membership, self._source, topic_id, self._at, self._meter.publisher
        )
        publisher = KafkaPublisher(output, self._at)
        watched = False
        try:
            if not publisher.start(self._gives_up):  # 2
                return
            self._await_workers()
            self._workers.watch(publisher.fileno())
            watched = True
            self._work(self._open(publisher, topic_id), publisher, topic_id)  # 3, 4
        finally:
            if watched:
                self._workers.unwatch(publisher.fileno())
            publisher.close(_CLOSE_S)

    def _await_workers(self) -> None:
        """Begin when all workers have, unless that takes long: who begins late would hold the others up."""
        latest = monotonic() + _WORKERS_START_S
        while self._workers.starting and monotonic() < latest and not self._gives_up():
            self._workers.poll(_TICK_MS)

    def _open(self, publisher: KafkaPublisher, topic_id: str) -> Session:
        settings = self._settings
        # Without it every publication would fail; it may have been deleted while this instance worked.
        for topic in settings.published:
            partitions_of(settings.kafka, topic)
            self._pulse.beat(self._tally)
        partitions = self._partitions()
        self._pulse.beat(self._tally)
        committed = self._membership.committed(partitions)
        self._pulse.beat(self._tally)
        if not (self._led or committed) and settings.start == StartAt():
            refuse_published(settings)
            self._pulse.beat(self._tally)
        signature, start = self._agreement.signature(topic_id, committed), self._agreement.start(committed)
        opened = openings(settings, self._source, signature, partitions, committed, start, self._stops)
        session = Session(
            Plan(
                Windows(settings.window),
                settings.pipeline.slots,
                settings.pipeline.idle_timeout_ms,
                bounded=settings.until_end,
                keep_open=settings.keep_open,
                empty_windows=settings.window.empty_windows,
                ceiling=settings.ceiling,
                most_late=MOST_LATE if settings.late_topic else 0,
                most_future=MOST_FUTURE if settings.dead_letter else 0,
            ),
            opened,
            LeaseBook(len(self._workers.unmarshallers), self._lease_ids, poison=self._poison),
            self._workers.unmarshallers,
            self._workers.aggregators,
            self._meter.metered(publisher),
            next(self._epochs),
            monotonic_ms(),
        )
        self._led = True
        self._told_standby = False
        log.info(
            "leading",
            "leading: reading {partitions} partition(s) of {topic}",
            partitions=len(opened),
            topic=settings.input,
        )
        return session

    def _work(self, session: Session, publisher: KafkaPublisher, topic_id: str) -> None:
        watch = InputWatch(self._settings, self._source, self._asking, session, topic_id)
        self._meter.session = session
        try:
            while not self._stopping() and not session.finished:
                self._membership.poll()
                if not self._membership.leader:
                    self._tell_standby()
                    return
                turn(session, self._workers, _TICK_MS)
                watch.look()
                self._note_memory()
                self._pulse.beat(self._tally)
            self._session_ended = session.finished
            if not session.finished:
                self._commit_last(session, publisher)
            self._meter.measure(self._tally)
        except HeldUp:
            with suppress(PublishFailed):
                self._commit_last(session, publisher)
            raise
        except Exception as error:
            if self._membership.leader:
                self._meter.session_broke(error)
            raise
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
        log.warning(
            "kafka_away",
            "trying again in {seconds:g} s: {error}",
            seconds=_BROKER_PAUSE_S,
            error=error,
        )
        back = monotonic() + _BROKER_PAUSE_S
        while monotonic() < back and not self._stopping():
            self._membership.poll()
            self._stand_by(_STANDBY_TICK_MS)

    def _note_broken(self, error: Exception) -> None:
        if not self._membership.leader:
            log.info("leadership_lost", "no longer the leader: {error}", error=error)
            return
        log.warning("session_restarted", "starting again from the checkpoint: {error}", error=error)
        now = monotonic()
        self._broken.append(now)
        recent = [at for at in self._broken if now - at < 600]
        if len(recent) > self._settings.pipeline.max_restarts:
            raise WorkersKeepDying(
                f"the run started again {len(recent)} times within ten minutes, the last time because: "
                f"{error}; see the log, or allow more with --max-restarts"
            ) from error

    def _partitions(self) -> list[int]:
        return list(range(self._source.partitions()))

    def _gives_up(self) -> bool:
        self._pulse.beat(self._tally)
        self._membership.poll()
        return self._stopping() or not self._membership.leader
