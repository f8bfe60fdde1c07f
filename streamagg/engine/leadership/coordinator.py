"""The main process of ``run``: leader or standby, one session after the other, ends well.

What it is at, and what comes next, is decided in ``states``; here is what is done in each state.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from typing import Final

from streamagg.engine.leadership.agreement import Agreement, begin, stored
from streamagg.engine.leadership.input_watch import InputWatch
from streamagg.engine.leadership.marking import MarkingPublisher
from streamagg.engine.leadership.start_offsets import Ends, openings, refuse_published
from streamagg.engine.leadership.states import LEADING, NEXT, Event, State
from streamagg.engine.main_loop import monotonic_ms, turn
from streamagg.engine.reporting.liveness import Liveness, Outside
from streamagg.engine.reporting.metering import Meter
from streamagg.engine.reporting.stats import RunStats, Tally
from streamagg.engine.session.kept import Kept, kept_of
from streamagg.engine.session.leases import lease_size
from streamagg.engine.session.plan import Opening, plan_of_run
from streamagg.engine.session.session import Session
from streamagg.engine.session.succession import Succession
from streamagg.engine.workers.contract import AggregatorLost, Workers
from streamagg.engine.workers.restart_limit import RestartLimit
from streamagg.errors import HeldUp, InputSpent, KafkaUnreachable, Unreachable, WorkersKeepDying
from streamagg.events import Log
from streamagg.model.settings import RunSettings, StartAt
from streamagg.sinks.contract import LeaderPublisher, OutputAway, Publisher, PublishFailed, Stored

_TICK_MS: Final = 50
"""How long a turn waits for workers: so soon group, signals and input are looked at again."""
_STANDBY_TICK_MS: Final = 100
"""The same where no session runs: a take-over waits for no more than this beside the group."""
_LAST_COMMIT_S: Final = 3.0
_CLOSE_S: Final = 1.0
"""With the last commit and the end of the workers (3 s) less than the 10 s after which Docker kills."""
_BROKER_PAUSE_S: Final = 2.0
"""Each try takes several connections, and a line of the log."""
_AWAY: Final = "trying again in {seconds:g} s: {error}"
_WORKERS_START_S: Final = 5.0
"""A worker takes less than one, and up to four where all cores are busy."""

log = Log(__name__)


@dataclass(slots=True)
class _Term:
    """What a leader holds."""

    topic_id: str
    """The input has this id as long as it leads."""
    publisher: LeaderPublisher
    session: Session = field(init=False)
    """When it is open, as ``watch``."""
    watch: InputWatch = field(init=False)


class Coordinator:
    """Owns the leadership and the session."""

    def __init__(
        self,
        settings: RunSettings,
        workers: Workers,
        agreement: Agreement,
        ends: Ends | None,
        stopping: Callable[[], bool],
        outside: Outside,
    ) -> None:
        """``ends``: of a bounded run."""
        self._settings = settings
        self._workers = workers
        self._agreement = agreement
        self._source = agreement.source
        self._sink = agreement.sink
        self._ends = ends
        self._stopping = stopping
        self._leadership = agreement.leadership
        self._asking = ThreadPoolExecutor(1, thread_name_prefix="admin")
        plan = plan_of_run(settings, agreement.sink.most_future)
        self._sessions = Succession(plan, workers, lease_size(self._source.unit), self._source.marks)
        self._restarts = RestartLimit(settings.pipeline.max_restarts)
        self._tally = Tally()
        self._meter = Meter(settings, outside.metrics, workers, self._leadership)
        if self._source.marks is not None:
            self._meter.input = self._source.marks.numbers
        self._pulse = Liveness(outside, self._meter, workers, self._leadership, stopping)
        self._state = State.STANDING_BY
        self._term: _Term | None = None
        self._leaving = ExitStack()
        """What is to be done when a term ends."""
        self._finished = False
        self._told_standby = False
        self._back_s = 0.0
        """Until when a broker is waited for."""

    def run(self) -> RunStats:
        """Work until the run ends or is asked to stop; raises StreamaggError."""
        self._leadership.join()
        try:
            while self._state is not State.ENDED:
                event = self._step()
                if event is not None:
                    self._move(event)
        finally:
            self._leave()
            self._pulse.end()
            self._asking.shutdown(wait=False, cancel_futures=True)
            self._meter.end(self._tally)
            # Whatever ends this run, a standby or the next start shall not wait for the session time-out.
            self._leadership.close()
        return self._tally.judged() if self._finished else self._tally.stats()

    def _move(self, event: Event) -> None:
        self._finished = event is Event.FINISHED
        self._state = NEXT[self._state][event]
        if self._state not in LEADING:
            self._leave()

    def _leave(self) -> None:
        self._leaving.close()
        self._term = None

    def _step(self) -> Event | None:
        """Do some of what the state asks for; returns what has become of it, once that is known."""
        try:
            match self._state, self._term:
                case State.FENCING, _:
                    return self._fence()
                case State.OPENING, _Term() as term:
                    return self._open(term)
                case State.WORKING, _Term() as term:
                    return self._work(term)
                case State.COMMITTING, _Term() as term:
                    return self._commit(term)
        except (Unreachable, AggregatorLost, PublishFailed) as error:
            return self._broke(error)
        return self._wait() if self._state is State.WAITING else self._stand_by()

    def _stand_by(self) -> Event | None:
        if self._stopping():
            return Event.STOPPED
        self._leadership.poll()
        if self._leadership.leader:
            return Event.ELECTED
        self._tell_standby()
        self._agreement.look(self._asking)
        self._keep_company(_STANDBY_TICK_MS)
        return None

    def _fence(self) -> Event:
        """Nobody but this instance can publish from now on."""
        topic_id = self._topic_id()
        publisher = self._sink.publisher(
            self._leadership,
            self._agreement.own_signature(topic_id),
            partial(self._source.confirm, topic_id),
            self._meter.publisher,
        )
        self._leaving.callback(publisher.close, _CLOSE_S)
        if not publisher.start(self._gives_up):
            return Event.STOPPED if self._stopping() else Event.DEPOSED
        self._await_workers()
        self._workers.watch(publisher.fileno())
        self._leaving.callback(self._workers.unwatch, publisher.fileno())
        self._term = _Term(topic_id, publisher)
        return Event.FENCED

    def _open(self, term: _Term) -> Event:
        self._require_repeatable()
        opened = self._openings(term)
        kept = self._kept(term, opened)
        session = self._sessions.begin(opened, self._marked(term.publisher), monotonic_ms(), kept)
        term.session = self._meter.session = session
        term.watch = InputWatch(self._settings, self._source, self._asking, session, term.topic_id)
        self._leaving.callback(self._retire, session)
        self._told_standby = False
        log.info(
            "leading",
            "leading: reading {partitions} partition(s) of {topic}",
            partitions=len(opened),
            topic=self._source.name,
        )
        return Event.OPENED

    def _marked(self, publisher: Publisher) -> Publisher:
        """Counted, and marked if the source needs that."""
        metered, marks = self._meter.metered(publisher), self._source.marks
        return metered if marks is None else MarkingPublisher(metered, marks)

    def _work(self, term: _Term) -> Event | None:
        if term.session.finished:
            self._end_reading()
            return Event.FINISHED
        if self._stopping():
            return Event.STOPPED
        self._leadership.poll()
        if not self._leadership.leader:
            self._tell_standby()
            return Event.DEPOSED
        try:
            turn(term.session, self._workers, _TICK_MS)
            term.watch.look()
        except HeldUp:
            with suppress(PublishFailed):
                self._commit_last(term)
            raise
        self._pulse.beat(self._tally)
        return None

    def _commit(self, term: _Term) -> Event:
        self._commit_last(term)
        self._end_reading()
        return Event.COMMITTED

    def _end_reading(self) -> None:
        if self._source.marks is not None:
            self._source.marks.look()
        self._meter.measure(self._tally)

    def _wait(self) -> Event | None:
        if self._stopping():
            return Event.STOPPED
        if monotonic() >= self._back_s:
            return Event.WAITED
        self._leadership.poll()
        self._keep_company(_STANDBY_TICK_MS)
        return None

    def _broke(self, error: Exception) -> Event:
        """What has gone wrong in a term; raises if another one would not help against it."""
        if self._meter.session is not None and self._leadership.leader:
            self._meter.session_broke(error)
        self._leave()
        self._require_repeatable(error)
        if isinstance(error, Unreachable | OutputAway):
            self._begin_to_wait(error)
            return Event.BROKER_LOST
        self._note_restart(error)
        return Event.BROKE

    def _begin_to_wait(self, error: Unreachable | OutputAway) -> None:
        """A broker that went away may come back; one that was never there is the user's mistake."""
        if not self._sessions.begun:
            raise error
        wait_s = _BROKER_PAUSE_S
        if isinstance(error, KafkaUnreachable) or self._settings.sink.kind == "topic":
            log.warning("kafka_away", _AWAY, seconds=wait_s, error=error)
        else:
            log.warning("place_away", _AWAY, seconds=wait_s, error=error)
        self._back_s = monotonic() + _BROKER_PAUSE_S

    def _require_repeatable(self, error: Exception | None = None) -> None:
        """Raises InputSpent if a session has taken what can be read only once."""
        if self._sessions.begun and not self._source.repeatable:
            why = "another instance leads" if error is None else error
            raise InputSpent(
                f"{self._source.name} cannot be read again, and not all that came is published: {why}"
            ) from error

    def _note_restart(self, error: Exception) -> None:
        if not self._leadership.leader:
            log.info("leadership_lost", "no longer the leader: {error}", error=error)
            return
        log.warning("session_restarted", "starting again from the checkpoint: {error}", error=error)
        self._tally.restarts += 1
        before = self._restarts.spend(monotonic())
        if self._restarts.exceeded:
            raise WorkersKeepDying(
                f"the run started again {before + 1} times within ten minutes, the last time because: "
                f"{error}; see the log, or allow more with --max-restarts"
            ) from error

    def _tell_standby(self) -> None:
        """Once the group has told who works, and not again before this instance has led."""
        if self._leadership.assignment_known and not self._told_standby:
            self._told_standby = True
            log.info("standing_by", "standing by: this instance does not lead")

    def _keep_company(self, wait_ms: int) -> None:
        """Let the workers live on; an empty aggregator is as good as another.

        What an unmarshaller could not reach belongs to a session that has ended.
        """
        self._pulse.beat(self._tally)
        with suppress(AggregatorLost, Unreachable):
            self._workers.poll(wait_ms)

    def _topic_id(self) -> str:
        """Of the input; raises CheckpointError when the ends of a bounded run are those of another topic."""
        topic_id = self._agreement.require()
        if self._ends is not None:
            self._source.confirm(self._ends.source_id)
        return topic_id

    def _await_workers(self) -> None:
        """Begin when all workers have, unless that takes long: who begins late would hold the others up."""
        latest = monotonic() + _WORKERS_START_S
        while self._workers.starting and monotonic() < latest and not self._gives_up():
            self._workers.poll(_TICK_MS)

    def _gives_up(self) -> bool:
        self._pulse.beat(self._tally)
        self._leadership.poll()
        return self._stopping() or not self._leadership.leader

    def _openings(self, term: _Term) -> dict[int, Opening]:
        """Where a session begins; raises a StreamaggError where it cannot begin."""
        settings = self._settings
        # It may have been deleted while this instance worked.
        self._sink.require(partial(self._pulse.beat, self._tally))
        committed = stored(self._source, term.publisher.checkpoints)
        self._pulse.beat(self._tally)
        if self._continues_nothing(committed):
            refuse_published(settings, self._sink)
            self._pulse.beat(self._tally)
        signature = self._agreement.signature(term.topic_id, committed)
        start = self._agreement.start(committed)
        begin(self._source, start)
        partitions = list(range(self._source.partitions()))
        stops = None if self._ends is None else self._ends.offsets
        return openings(settings, self._source, signature, partitions, committed, start, stops)

    def _continues_nothing(self, committed: Stored) -> bool:
        """It was to continue, and has not done so before, but there is no checkpoint."""
        told_anew = self._settings.start != StartAt() or not self._source.repeatable
        return not (self._sessions.begun or committed or told_anew)

    def _kept(self, term: _Term, opened: Mapping[int, Opening]) -> Kept | None:
        """What open periods hold, where there are calendars; raises a StreamaggError."""
        settings = self._settings
        if not settings.window.calendars:
            return None
        published = [at.checkpoint.closed_through for at in opened.values()]
        return kept_of(
            term.publisher.state(self._gives_up) if self._source.repeatable else (),
            settings.window,
            max((window for window in published if window is not None), default=None),
            exactly_once=settings.delivery == "exactly-once",
        )

    def _commit_last(self, term: _Term) -> None:
        """Let what is under way finish, and commit how far reading has come."""
        deadline = monotonic() + _LAST_COMMIT_S
        self._await_publication(term, deadline)
        if term.session.request_checkpoint():
            self._await_publication(term, deadline)

    def _await_publication(self, term: _Term, deadline: float) -> None:
        while term.publisher.busy and monotonic() < deadline:
            self._keep_company(_TICK_MS)
            term.session.collect(monotonic_ms())

    def _retire(self, session: Session) -> None:
        # The pulse does that once a second: a session may be shorter.
        self._tally.note_memory(self._workers.rss_bytes())
        self._tally.add(session)
        self._meter.session = None
