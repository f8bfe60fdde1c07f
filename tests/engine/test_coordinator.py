"""What the coordinator does in each state, without Kafka; how brokers behave is tested with real ones."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from streamagg.engine.leadership import coordinator as module
from streamagg.engine.leadership.agreement import Agreement
from streamagg.engine.leadership.coordinator import Coordinator
from streamagg.engine.leadership.start_offsets import Ends
from streamagg.engine.leadership.states import Event
from streamagg.engine.reporting.liveness import Outside
from streamagg.engine.reporting.stats import RunStats
from streamagg.engine.workers.contract import AggregatorLost
from streamagg.engine.workers.inline import InlineWorkers
from streamagg.errors import CheckpointError, InputSpent, KafkaUnreachable, WorkersKeepDying
from streamagg.kafka import membership
from streamagg.model.measured import ClientNumbers
from streamagg.model.messages import AggregatorSetup
from streamagg.model.settings import CalendarSettings, PipelineSettings, RunSettings, StartAt, WindowSettings
from streamagg.sinks.contract import OutputAway, PublishFailed

SETTINGS = RunSettings("in", "out", pipeline=PipelineSettings(inline=True, slots=4, max_restarts=2))
Action = Callable[[], None]


@dataclass
class World:
    """What happens to the instance, one action each time that it asks its group; then it is told to stop."""

    script: list[Action]
    leader: bool = False
    stopping: bool = False
    open: list[str] = field(default_factory=list)
    """What is not closed yet."""
    events: list[Event] = field(default_factory=list)
    now_s: float = 100.0
    opening: Exception | None = None
    """What goes wrong when a session is opened."""
    working: Exception | None = None
    """What goes wrong in one."""
    repeatable: bool = True
    """The input can be read again."""
    fenced: bool = False
    """It goes wrong because another instance leads."""

    def next(self) -> None:
        self.now_s += 1
        if self.script:
            self.script.pop(0)()
        else:
            self.stopping = True

    def elect(self) -> None:
        self.leader = True

    def depose(self) -> None:
        self.leader = False

    def pass_by(self) -> None:
        """Nothing happens."""

    def openings(self, *_: object) -> dict[int, Any]:
        error, self.opening = self.opening, None
        if error is not None:
            raise error
        return {}

    def look(self) -> None:
        error, self.working = self.working, None
        self.leader = self.leader and not self.fenced
        if error is not None:
            raise error

    def breaks(self, error: Exception) -> Action:
        def act() -> None:
            self.working = error

        return act


class Group:
    """Stands for the membership."""

    joined = assignment_known = True
    rebalances = 0

    def __init__(self, world: World) -> None:
        self.numbers = ClientNumbers()
        self._world = world

    @property
    def leader(self) -> bool:
        return self._world.leader

    def join(self) -> None:
        self._world.open.append("group")

    def poll(self) -> None:
        self._world.next()

    def close(self) -> None:
        self._world.open.remove("group")


class Publisher:
    """Has nothing to publish."""

    busy = False

    def __init__(self, world: World) -> None:
        self._world = world
        world.open.append("publisher")

    def start(self, give_up: Callable[[], bool]) -> bool:
        return not give_up()

    def fileno(self) -> int:
        return 0

    def finished(self) -> None:
        return None

    def checkpoints(self, partitions: list[int]) -> dict[int, tuple[int, str]]:
        return {}

    def state(self, alive: object) -> Iterator[tuple[bytes, bytes]]:
        pytest.fail("what a run before has left is read")

    def close(self, timeout_s: float) -> None:
        self._world.open.remove("publisher")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    world = World([])
    monkeypatch.setattr(module, "InputWatch", lambda *_: SimpleNamespace(look=world.look))
    monkeypatch.setattr(module, "refuse_published", lambda *_: None)
    monkeypatch.setattr(module, "openings", world.openings)
    monkeypatch.setattr(module, "monotonic", lambda: world.now_s)
    yield world
    assert world.open == []


def coordinator(world: World, settings: RunSettings = SETTINGS, ends: Ends | None = None) -> Coordinator:
    source = SimpleNamespace(
        name="input",
        unit="records",
        repeatable=world.repeatable,
        marks=None,
        partitions=lambda: 1,
        confirm=lambda id_: None,
    )
    sink = SimpleNamespace(
        most_future=0, require=lambda alive: alive(), publisher=lambda *_: Publisher(world)
    )
    agreement = SimpleNamespace(
        source=source,
        sink=sink,
        leadership=Group(world),
        own_signature=lambda id_: "",
        require=lambda: "id",
        look=lambda asking: None,
        signature=lambda *_: "",
        start=lambda committed: StartAt(),
    )
    workers = InlineWorkers([], [AggregatorSetup(4)])
    return Coordinator(settings, workers, cast(Agreement, agreement), ends, lambda: world.stopping, Outside())


def play(world: World, *script: Action, **options: Any) -> RunStats:
    world.script = list(script)
    made = coordinator(world, **options)
    move = made._move

    def noted(event: Event) -> None:
        world.events.append(event)
        move(event)

    made._move = noted  # type: ignore[method-assign]
    return made.run()


BEGUN = [Event.ELECTED, Event.FENCED, Event.OPENED]
LAST = [Event.STOPPED, Event.COMMITTED]


def test_making_one_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*_: object) -> None:
        pytest.fail("a client is made")

    monkeypatch.setattr(membership, "Consumer", asked)
    coordinator(World([]), ends=Ends("id", {0: 7}))


def test_a_standby_ends_as_one(world: World) -> None:
    play(world, world.pass_by, world.pass_by)
    assert world.events == [Event.STOPPED]


def test_a_leader_commits_before_it_ends(world: World) -> None:
    stats = play(world, world.elect, world.pass_by, world.pass_by)
    assert world.events == BEGUN + LAST
    assert stats.peak_rss_bytes > 0, "though it has led for less than a second"


def test_one_that_is_replaced_stands_by(world: World) -> None:
    play(world, world.elect, world.pass_by, world.pass_by, world.depose, world.pass_by, world.elect)
    assert world.events[:5] == [*BEGUN, Event.DEPOSED, Event.ELECTED]


def test_one_that_is_replaced_while_it_fences_leads_nothing(world: World) -> None:
    play(world, world.elect, world.depose)
    assert world.events == [Event.ELECTED, Event.DEPOSED, Event.STOPPED]


def test_one_that_is_told_to_stop_while_it_fences_ends(world: World) -> None:
    play(world, world.elect)
    assert world.events == [Event.ELECTED, Event.STOPPED]


@pytest.mark.parametrize("error", [AggregatorLost("died"), PublishFailed("not out")])
def test_another_session_takes_the_place_of_one_that_broke(world: World, error: Exception) -> None:
    stats = play(world, world.elect, world.pass_by, world.breaks(error), *[world.pass_by] * 3)
    assert world.events == [*BEGUN, Event.BROKE, *BEGUN, *LAST]
    assert stats.restarts == 1


def test_sessions_that_break_again_and_again_are_given_up(world: World) -> None:
    breaking = [world.pass_by, world.breaks(PublishFailed("not out")), world.pass_by]
    with pytest.raises(WorkersKeepDying, match="started again 3 times within ten minutes"):
        play(world, world.elect, *3 * breaking)
    assert world.events == 2 * [*BEGUN, Event.BROKE] + BEGUN


def test_a_session_that_broke_because_another_leads_is_not_begun_again(world: World) -> None:
    world.fenced = True
    stats = play(world, world.elect, world.pass_by, world.breaks(PublishFailed("fenced")), world.pass_by)
    assert world.events == [*BEGUN, Event.BROKE, Event.STOPPED]
    assert stats.restarts == 0


@pytest.mark.parametrize("error", [KafkaUnreachable("away"), OutputAway("away")])
def test_a_broker_that_goes_away_is_waited_for(world: World, error: Exception) -> None:
    play(world, world.elect, world.pass_by, world.breaks(error), *[world.pass_by] * 6)
    assert world.events == [*BEGUN, Event.BROKER_LOST, Event.WAITED, *BEGUN, *LAST]


def test_a_broker_that_was_never_there_is_not(world: World) -> None:
    world.opening = KafkaUnreachable("not there")
    with pytest.raises(KafkaUnreachable, match="not there"):
        play(world, world.elect, world.pass_by)
    assert world.events == [Event.ELECTED, Event.FENCED]


@pytest.mark.parametrize("error", [AggregatorLost("died"), PublishFailed("not out"), OutputAway("away")])
def test_what_can_be_read_only_once_is_not_begun_again(world: World, error: Exception) -> None:
    world.repeatable = False
    with pytest.raises(InputSpent, match=f"^input cannot be read again, .*: {error}$"):
        play(world, world.elect, world.pass_by, world.breaks(error), world.pass_by)
    assert world.events == BEGUN


def test_what_open_periods_hold_is_not_gone_on_with_either(world: World) -> None:
    world.repeatable = False
    window = WindowSettings(calendars=(CalendarSettings("day", 86_400_000),))
    play(world, world.elect, world.pass_by, settings=replace(SETTINGS, window=window))
    assert world.events == BEGUN + LAST


def test_nor_by_one_that_was_replaced(world: World) -> None:
    world.repeatable = False
    with pytest.raises(InputSpent, match="another instance leads"):
        play(world, world.elect, world.pass_by, world.depose, world.elect, world.pass_by, world.pass_by)
    assert world.events == [*BEGUN, Event.DEPOSED, Event.ELECTED, Event.FENCED]


def test_any_other_error_ends_the_run(world: World) -> None:
    with pytest.raises(CheckpointError):
        play(world, world.elect, world.pass_by, world.breaks(CheckpointError("another topic")))
    assert world.events == BEGUN
