"""An instance of streamagg: what the coordinator does around its sessions, step by step.

In the order of ``engine.leadership.states``: wait for leadership, fence the previous leader, read the
checkpoints, work until the run ends, leadership moves or something breaks, begin again.
"""

import random
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from streamagg.core.calendars import Calendars
from streamagg.core.period_state import restored
from streamagg.engine.leadership.marking import MarkingPublisher
from streamagg.engine.leadership.start_offsets import LogBounds, continued
from streamagg.engine.main_loop import turn
from streamagg.engine.session.kept import Kept
from streamagg.engine.session.plan import Opening, Plan
from streamagg.engine.session.session import Session
from streamagg.engine.session.succession import Succession
from streamagg.engine.workers.contract import AggregatorLost
from streamagg.model.measured import PublisherNumbers
from streamagg.sinks.contract import Publisher, PublishFailed, Stored
from streamagg.sources.directory.source import DirectorySource
from tests.simulation import checks
from tests.simulation.broker import Broker
from tests.simulation.database import Database, DatabaseSink
from tests.simulation.directory import Directory, DirectorySink
from tests.simulation.publisher import SimPublisher, View
from tests.simulation.scenario import Scenario
from tests.simulation.sink import SimSink
from tests.simulation.source import SimSource
from tests.simulation.stepped import SteppedPublisher
from tests.simulation.tree import SimTree
from tests.simulation.workers import SimWorkers

AnyPublisher = SimPublisher | SteppedPublisher
_TIME_OF_DAY_MS: Final = 0
"""Before every event time: silence believes nothing, the log alone decides about what is set aside."""
_LOOKS: Final = 0.2
"""How often a leader looks for files."""
_NO_ANSWER: Final = 0.05
"""How often the broker does not tell where its logs end."""


@dataclass(slots=True)
class _Question:
    """Asked of the broker in a thread; the answer comes later."""

    asked_ms: int
    answered_ms: int
    answer: dict[int, int]


def _sink(
    scenario: Scenario, broker: Broker, place: Directory | Database | None, chance: random.Random
) -> SimSink | DirectorySink | DatabaseSink:
    match place:
        case Directory():
            return DirectorySink(scenario, broker, place, chance)
        case Database():
            return DatabaseSink(scenario, broker, place, chance)
    return SimSink(scenario, broker, chance)


class Instance:
    """One process with its workers."""

    def __init__(
        self,
        number: int,
        scenario: Scenario,
        broker: Broker,
        chance: random.Random,
        clock_ms: Callable[[], int],
        stalled: Callable[[int], bool],
        plan: Plan,
        place: Directory | Database | None,
        tree: SimTree | None,
    ) -> None:
        """``place``: where results go, if not to the broker; ``tree``: where records are, likewise."""
        self.number = number
        self.view = View()
        self._source: SimSource | DirectorySource = (
            SimSource(broker, chance, stalled) if tree is None else tree.source(moves=scenario.moves)
        )
        self._sink = _sink(scenario, broker, place, chance)
        self.workers = SimWorkers(scenario, broker, self._source, chance)
        self.publisher: AnyPublisher | None = None
        self.session: Session | None = None
        self.finished = False
        self.stopping = False
        self.stopped = False
        self.dropped: list[AnyPublisher] = []
        """Publishers of earlier sessions whose threads go on."""
        self.deaf = False
        """The group's messages do not come through."""
        self.why = ""
        """What ended the last session."""
        self._scenario = scenario
        self._plan = plan
        self._broker = broker
        self._chance = chance
        self._clock_ms = clock_ms
        self._sessions = Succession(plan, self.workers, scenario.lease_size, self._source.marks)
        if self._source.marks is not None:
            # As an instance does before it joins the others: ends are those of the places that are stored.
            self._source.marks.recall(broker.stored)
        self._stops = self._source.log_ends(broker.logs) if plan.bounded else None
        self._ends: _Question | None = None
        self._asked_to_commit = False

    @property
    def may_fall_silent(self) -> bool:
        """A question is under way whose answer may make partitions idle, whatever is written meanwhile."""
        return self._ends is not None

    @property
    def recalling(self) -> int:
        """Partitions that still read again what names the groups of records set aside."""
        parts = {} if self.session is None else self.session.sequencer.partitions
        return sum(part._recalled is not None for part in parts.values())

    def step(self) -> None:
        """One turn of the main loop."""
        self._poll_group()
        if not self.view.leader:
            self._end_session("another instance leads")
            self._stand_by()
            self.stopped = self.stopping
        elif self.publisher is None:
            self.stopped = self.stopping
            self.publisher = self._fence()
        elif self.session is None:
            self._open(self.publisher)
        elif self.stopping:
            self._stop(self.session, self.publisher)
        else:
            self._work(self.session)

    def die(self) -> None:
        """SIGKILL: the workers go with it."""
        for publisher in self.publishers:
            publisher.die()

    @property
    def publishers(self) -> list[AnyPublisher]:
        """Those that still have something to do."""
        current = [] if self.publisher is None else [self.publisher]
        return [publisher for publisher in (*current, *self.dropped) if publisher.working]

    def _poll_group(self) -> None:
        if self.deaf:
            return
        self.view.leader = self._broker.leader == self.number
        self.view.generation = self._broker.generation

    def _stand_by(self) -> None:
        with suppress(AggregatorLost):
            self.workers.poll(0)

    def _fence(self) -> AnyPublisher:
        signature = self._scenario.fingerprint
        publisher = self._sink.publisher(self.view, signature, lambda: None, PublisherNumbers())
        publisher.start(lambda: False)
        return publisher

    def _open(self, publisher: AnyPublisher) -> None:
        committed = self._committed(publisher)
        bounds = self._bounds(self._broker.logs).within(self._stops)
        opened = self._continued(bounds, committed, self._stops)
        self.session = self._sessions.begin(
            opened, self._marked(publisher), self._clock_ms(), self._kept(publisher, opened)
        )
        self._broker.recalls += self.recalling
        self.watched = checks.Watched(self.session, opened, self._broker, self._scenario)

    def _committed(self, publisher: AnyPublisher) -> Stored:
        marks = self._source.marks
        return (
            publisher.checkpoints(self._broker.logs) if marks is None else marks.recall(publisher.checkpoints)
        )

    def _marked(self, publisher: AnyPublisher) -> Publisher:
        marks = self._source.marks
        return publisher if marks is None else MarkingPublisher(publisher, marks)

    def _kept(self, publisher: AnyPublisher, opened: Mapping[int, Opening]) -> Kept | None:
        """What open periods hold, where there are calendars."""
        window = self._scenario.window
        if not window.calendars:
            return None
        known = [at.checkpoint.closed_through for at in opened.values()]
        through = max((each for each in known if each is not None), default=None)
        until_ms = None if through is None else self._plan.windows.start_ms(through + 1)
        once = self._scenario.delivery == "exactly-once"
        # As ``kept_of``, with a word that the seed decides.
        word = f"{self._chance.getrandbits(32):x}"
        records = publisher.state(lambda: None)
        return Kept(*restored(records, Calendars(window), word, until_ms, exactly_once=once))

    def _work(self, session: Session) -> None:
        if self._source.marks is not None and self._chance.random() < _LOOKS:
            self._source.look()
        try:
            turn(session, self.workers, 0, self._clock_ms)
        except (AggregatorLost, PublishFailed) as error:
            self._end_session(str(error))
            return
        self.watched.look()
        if not self._plan.bounded:
            self._look_for_silence(session)
            self._look_for_partitions(session)
        if session.finished:
            self.finished = True

    def _stop(self, session: Session, publisher: AnyPublisher) -> None:
        """Asked to stop: let what is under way finish, and commit how far reading has come."""
        self._stand_by()
        try:
            session.collect(self._clock_ms())
        except PublishFailed as error:
            self._end_session(str(error))
            return
        if publisher.busy:
            return
        if not self._asked_to_commit and session.request_checkpoint():
            self._asked_to_commit = True
            return
        self._end_session("told to stop")
        self.stopped = True

    def _end_session(self, why: str) -> None:
        if self.publisher is not None:
            self.dropped = [*self.publishers]
            self.publisher = None
        if self.session is not None:
            self.why = why
            self.session = None
            self._ends = None

    def _look_for_silence(self, session: Session) -> None:
        now = self._clock_ms()
        if self._ends is None:
            silent = session.silent(now, _TIME_OF_DAY_MS)
            if silent:
                ends = self._source.log_ends(silent)
                slow = self._chance.random() < self._scenario.odds.stall
                wait_ms = self._chance.randrange(3 * self._plan.idle_timeout_ms) if slow else 0
                self._ends = _Question(now, now + wait_ms, ends)
        elif now >= self._ends.answered_ms:
            question, self._ends = self._ends, None
            if self._chance.random() < _NO_ANSWER:
                session.ends_unknown()
            else:
                session.confirm_idle(question.answer, question.asked_ms, _TIME_OF_DAY_MS)

    def _look_for_partitions(self, session: Session) -> None:
        self._source.identity()
        logs = self._broker.logs
        known = session.sequencer.partitions
        if len(logs) == len(known) or self._chance.random() > 0.05:
            return
        fresh = [p for p in logs if p not in known]
        for number, opening in self._continued(self._bounds(fresh), {}, None).items():
            session.add_partition(number, opening, self._clock_ms())
            self.watched.add(number, opening)

    def _continued(
        self,
        bounds: LogBounds,
        committed: Mapping[int, tuple[int, str]],
        stops: Mapping[int, int] | None,
    ) -> Mapping[int, Opening]:
        scenario = self._scenario
        return continued(
            bounds, committed, scenario.fingerprint, stops, scenario.window, scenario.asked.decode
        )

    def _bounds(self, partitions: Collection[int]) -> LogBounds:
        # The transactions of the simulator hide what a run before may have read.
        return LogBounds(self._source.offsets(partitions, "earliest"), self._source.log_ends(partitions))
