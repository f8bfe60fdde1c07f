"""The world around the instances: who runs next, what is written, what breaks."""

import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from tests.simulation import checks, period_checks
from tests.simulation.broker import Broker, Difference, Fenced
from tests.simulation.calendars import QUARTER_MS
from tests.simulation.database import Database
from tests.simulation.directory import Directory
from tests.simulation.feed import Feed
from tests.simulation.instance import Instance
from tests.simulation.scenario import Scenario, scenario
from tests.simulation.transactions import Transactions
from tests.simulation.tree import SimTree
from tests.simulation.workers import SimWorker

MOST_STEPS: Final = 100_000
"""A run in which nothing was committed or reported for so many steps is stuck."""
MOST_STEPS_OF_DATES: Final = 1_000_000
"""The same where windows are of a quarter of an hour or longer: to find out that the last partition is silent
takes up to 190,000, in each session anew, and several sessions in a row may be broken off."""
_FAULTS: Final = (
    "unmarshaller",
    "aggregator",
    "coordinator",
    "coordinator",
    "depose",
    "depose",
    "pause",
    "freeze",
    "stop",
)
_BROKEN_RECALLS: Final = 0.05
_LONGEST_PAUSE_MS: Final = 6_000

Trace = Callable[[str], None]


@dataclass(slots=True)
class Result:
    """What a seed came to."""

    seed: int
    windows: int = 0
    periods: int = 0
    records: int = 0
    steps: int = 0
    crashes: int = 0
    recalls: int = 0
    """How often the groups of records set aside were read again, and how often a reader died meanwhile."""
    broken_recalls: int = 0
    differences: list[str] = field(default_factory=list)


class World:
    """One seed, played to its end."""

    def __init__(self, seed: int, trace: Trace | None = None) -> None:
        self.chance = random.Random(seed)
        self.scenario: Scenario = scenario(
            self.chance,
            random.Random(f"what is asked of {seed}"),
            random.Random(f"calendars of {seed}"),
            random.Random(f"places of {seed}"),
        )
        self.broker = Broker()
        self.directory = None
        if self.scenario.to_directory:
            self.directory = Directory(self.scenario, self.broker, self.chance)
        self.database = Database(self.scenario, self.broker) if self.scenario.to_database else None
        self.now_ms = 0
        self.steps = 0
        dates = self.scenario.window.granularity_ms >= QUARTER_MS
        self._most_steps = MOST_STEPS_OF_DATES if dates else MOST_STEPS
        self._last_progress = ((0, 0, 0), 0)
        """What was committed and reported so far, and the step at which that was seen first."""
        self.crashes = 0
        self._trace = trace
        self._numbers = itertools.count()
        self._faults_left = self.scenario.faults
        self._stalled: dict[int, int] = {}
        """Partitions that the broker does not answer for, until when."""
        self._paused: dict[int, int] = {}
        """Instances that do not run, until when."""
        self._wanted = self.scenario.instances
        self.instances: list[Instance] = []
        self.tree = SimTree(lambda: self.now_ms) if self.scenario.from_tree else None
        self.feed = Feed(self.scenario, self.broker, self.chance, self.tree)
        self._endless = self.scenario.kind == "endless"
        self._transactions = Transactions(self.broker, seed)
        self._last_run = False
        self.closed_through: int | None = None
        """What the last session has closed."""
        self._finished: Instance | None = None

    def run(self) -> None:
        """Until everything is published; raises Difference."""
        self.feed.begin(self.now_ms)
        self._runs() if self.scenario.kind == "keep-open" else self._run(last=True)

    def _runs(self) -> None:
        """Bounded runs one after the other, with more of the log each time."""
        while not self.feed.complete:
            self.feed.append_some(self.now_ms)
            self._run(last=False)
        self._run(last=True)

    def _watch_progress(self) -> None:
        before, step = self._last_progress
        broker = self.broker
        # With few windows and many late records, publications tell of those alone.
        done = (broker.commits, len(broker.late), len(broker.letters))
        if done != before:
            self._last_progress = done, self.steps
        elif self.steps - step == self._most_steps:
            raise Difference(f"stuck: after {self.steps} steps {self._state()}")

    def _run(self, *, last: bool) -> None:
        self._last_run = last
        self._finished = None
        if not self._endless and self.tree is None:
            self._transactions.begin(self.now_ms)
        while self._finished is None:
            self._watch_progress()
            self.steps += 1
            self._step()
        self.note("instance %d has finished", self._finished.number)
        if last:
            self._finished.watched.at_end(checks.judged(self.broker, self.scenario))
            self.closed_through = self._finished.watched.session.sequencer.closed_through
        if self.directory is not None or self.database is not None:
            # Each has a thread.
            for instance in self.instances:
                instance.die()
        self.instances.clear()
        self.broker.elect(None)

    def _step(self) -> None:
        chance = self.chance
        self._pass_time()
        if self._faults_left and self.instances and chance.random() < self.scenario.odds.fault:
            self._fault()
        elif self._faults_left and (recalling := [each for each in self.instances if each.recalling]):
            self._break_recall(recalling[0])
        while len(self.instances) < self._wanted:
            self._start()
        if self.broker.leader is None:
            self.broker.elect(chance.choice(self.instances).number)
            self.note("instance %d is elected", self.broker.leader)
        if self._endless:
            self.feed.step(self.now_ms, self.instances)
        self._step_of(chance.choice(self.instances) if len(self.instances) > 1 else self.instances[0])

    def _step_of(self, instance: Instance) -> None:
        """Someone of an instance takes a step: a publisher, a worker or the coordinator."""
        chance = self.chance
        luck = chance.random()
        if luck < 0.3 and (publishers := instance.publishers):
            publisher = chance.choice(publishers)
            if self._trace is not None:
                self.note("instance %d publishes: %s", instance.number, publisher.describe())
            publisher.step()
        elif luck < 0.7 and (ready := [worker for worker in instance.workers.all if self._runs_now(worker)]):
            chance.choice(ready).work(chance)
        elif self._paused.get(instance.number, 0) <= self.now_ms:
            self._turn(instance)

    def _runs_now(self, worker: SimWorker) -> bool:
        return worker.ready and worker.frozen_until_ms <= self.now_ms

    def _turn(self, instance: Instance) -> None:
        had = instance.session
        instance.step()
        if instance.session is not had:
            if instance.session is None:
                self.note("instance %d ends its session: %s", instance.number, instance.why)
            else:
                self.note("instance %d begins a session at %s", instance.number, self.broker.committed)
        if self._done(instance):
            self._finished = instance
        elif instance.stopped:
            self.note("instance %d has stopped", instance.number)
            self._leave(instance)

    def _done(self, instance: Instance) -> bool:
        """A bounded run says so itself; an endless one has seen the end of a log that is complete."""
        if not self._endless or not self.feed.complete:
            return instance.finished
        session = instance.session
        if session is None or self.broker.leader != instance.number or len(self.broker.in_flight):
            return False
        parts = session.sequencer.partitions
        at_end = len(parts) == len(self.broker.logs) and all(
            part.idle and part.drained and part.position == self.broker.logs[number].end
            for number, part in parts.items()
        )
        return at_end and instance.watched.at_rest

    def _start(self) -> None:
        plan = self.scenario.plan
        if self.scenario.kind == "keep-open":
            plan = replace(plan, keep_open=not self._last_run)
        number = next(self._numbers)
        self.note("instance %d starts", number)
        self.instances.append(
            Instance(
                number,
                self.scenario,
                self.broker,
                self.chance,
                lambda: self.now_ms,
                lambda partition: self._stalled.get(partition, 0) > self.now_ms,
                plan,
                self.directory or self.database,
                self.tree,
            )
        )

    def _leave(self, instance: Instance) -> None:
        self.instances.remove(instance)
        if self.broker.leader == instance.number:
            self.broker.elect(None)

    def _fault(self) -> None:
        chance = self.chance
        self._faults_left -= 1
        instance = chance.choice(self.instances)
        what = chance.choice(_FAULTS if self.directory is None else (*_FAULTS, "power"))
        self.note("fault: %s of instance %d", what, instance.number)
        match what:
            case "unmarshaller":
                self.broker.broken_recalls += bool(instance.recalling)
                self._kill(instance, chance.randrange(self.scenario.unmarshallers))
            case "aggregator":
                self._kill(
                    instance, self.scenario.unmarshallers + chance.randrange(self.scenario.aggregators)
                )
            case "coordinator":
                self.crashes += 1
                instance.die()
                self._leave(instance)
            case "depose":
                self._depose(instance)
            case "pause":
                self._paused[instance.number] = self.now_ms + chance.randrange(_LONGEST_PAUSE_MS)
            case "freeze":
                worker = chance.choice(instance.workers.all)
                worker.frozen_until_ms = self.now_ms + chance.randrange(_LONGEST_PAUSE_MS)
            case "stop":
                instance.stopping = True
            case "power":
                self._lose_power()

    def _lose_power(self) -> None:
        """The machine of all instances, and of the directory."""
        assert self.directory is not None
        self.crashes += 1
        for instance in list(self.instances):
            instance.die()
            self._leave(instance)
        self.directory.lose_power()

    def _break_recall(self, instance: Instance) -> None:
        """A recall is short: what befalls it has a chance of its own."""
        if self.chance.random() < _BROKEN_RECALLS:
            self._faults_left -= 1
            self.broker.broken_recalls += 1
            self._kill(instance, self.chance.randrange(self.scenario.unmarshallers))

    def _kill(self, instance: Instance, number: int) -> None:
        self.crashes += 1
        instance.workers.all[number].die()

    def _depose(self, instance: Instance) -> None:
        """The group believes it dead and elects another; it hears of that late or when it is fenced."""
        if len(self.instances) == 1:
            self._start()
        others = [other for other in self.instances if other is not instance]
        self.broker.elect(self.chance.choice(others).number)
        instance.deaf = True

    def _arrive(self) -> None:
        """A commit whose sender has given up."""
        transaction = self.broker.in_flight.pop(self.chance.randrange(len(self.broker.in_flight)))
        try:
            self.broker.commit(transaction)
            self.note("a commit arrives: %s", transaction.offsets)
        except Fenced:
            self.note("a commit arrives and is fenced")

    def _pass_time(self) -> None:
        luck = self.chance.random()
        self.now_ms += int(luck * luck * self._pace_ms())
        self._transactions.end(self.now_ms)
        if luck < 0.04:
            self._disturb()

    def _pace_ms(self) -> int:
        """The longest step; a partition must not fall silent within one, unless all is written."""
        if not self._endless:
            return 300
        return self.scenario.plan.idle_timeout_ms if self.feed.complete else 40

    def _disturb(self) -> None:
        """What comes and goes by itself."""
        chance = self.chance
        if chance.random() < self.scenario.odds.stall:
            partition = chance.randrange(len(self.broker.logs))
            self._stalled[partition] = self.now_ms + chance.randrange(4 * self.scenario.plan.idle_timeout_ms)
        for instance in self.instances:
            if instance.deaf and chance.random() < 0.3:
                instance.deaf = False
        if len(self.instances) > self._wanted and chance.random() < 0.3:
            self._retire()
        if self.broker.in_flight:
            self._arrive()

    def _retire(self) -> None:
        """More instances than wanted: one that does not lead ends."""
        instance = next(i for i in self.instances if i.number != self.broker.leader)
        instance.die()
        self._leave(instance)

    def note(self, text: str, *values: object) -> None:
        """A line of the trace."""
        if self._trace is not None:
            self._trace(f"{self.steps:6} {self.now_ms:7} ms  " + text % values)

    def _state(self) -> str:
        parts = {
            instance.number: {
                number: (part.position, part.idle, len(part.outbox), len(part.parked))
                for number, part in instance.session.sequencer.partitions.items()
            }
            for instance in self.instances
            if instance.session is not None
        }
        return f"the logs end at {self.broker.ends()}, (position, idle, outbox, parked) are {parts}"


def simulate(seed: int, trace: Trace | None = None) -> Result:
    """Play a seed; whatever is not as it must be is in the result."""
    result = Result(seed)
    world: World | None = None
    try:
        world = World(seed, trace)
        world.run()
        told = checks.judged(world.broker, world.scenario)
        result.differences += checks.differences(world.broker, world.scenario, told)
        result.differences += period_checks.differences(
            world.broker, world.scenario, told, world.closed_through
        )
    except Difference as difference:
        result.differences.append(str(difference))
    except Exception as error:  # whatever it is, it is found
        if trace is not None:
            raise
        result.differences.append(f"raised: {type(error).__name__}: {error}")
    if world is not None:
        result.windows = len(world.broker.published)
        result.periods = len({(one.calendar, one.start_ms) for one in world.broker.periods})
        result.records = sum(len(log.records) for log in world.broker.logs.values())
        result.steps, result.crashes = world.steps, world.crashes
        result.recalls, result.broken_recalls = world.broker.recalls, world.broker.broken_recalls
    return result
