"""Which checkpoints an instance would continue; what it then does is tested on a real broker."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from streamagg.core.checkpoint import Checkpoint, bound, destination, encode, fingerprint
from streamagg.core.partition_clock import PartitionState
from streamagg.engine.leadership import agreement
from streamagg.errors import CheckpointError, KafkaUnreachable
from streamagg.model.batch import Identity
from streamagg.model.settings import RunSettings, StartAt, WindowSettings
from streamagg.sinks.contract import Sink
from streamagg.sinks.leadership import Leadership
from streamagg.sources.contract import Source
from tests.support.clock import Clock

SETTINGS = RunSettings("in", "out")
ELSEWHERE = replace(SETTINGS, output="other")
OTHERWISE = replace(SETTINGS, window=WindowSettings(granularity_ms=1_000))
ANEW = StartAt("earliest")
Committed = dict[int, tuple[int, str]]


SOURCE = cast(
    Source,
    SimpleNamespace(repeatable=True, marks=None, partitions=lambda: 1, identity=lambda: Identity("id", 1)),
)


class Group:
    """What Kafka knows of it."""

    def __init__(self) -> None:
        self.committed: Committed = {}
        self.members = False
        self.away = False

    def published(self, settings: RunSettings, offset: int = 7) -> Committed:
        print_ = fingerprint(settings.window, settings.decode)
        signature = bound(print_, "id", destination(settings))
        text = encode(Checkpoint(PartitionState(offset), None, offset), signature, settings.window)
        self.committed = {0: (offset, text)}
        return self.committed

    def agree(self, settings: RunSettings) -> agreement.Agreement:
        """Raises CheckpointError."""
        return agreement.agree(settings, SOURCE, cast(Sink[Any], self), cast(Leadership, self))

    def refuse_foreign(self) -> None:
        """It is ours."""

    def at_work(self) -> bool:
        return self.members

    def checkpoints(self, partitions: Iterable[int]) -> Committed:
        if self.away:
            raise KafkaUnreachable("away")
        return dict(self.committed)


@pytest.fixture
def group() -> Group:
    return Group()


@pytest.mark.parametrize("other", [ELSEWHERE, OTHERWISE])
def test_a_group_that_does_something_else_is_not_joined(group: Group, other: RunSettings) -> None:
    group.agree(other)
    group.published(SETTINGS)
    group.agree(SETTINGS)
    with pytest.raises(CheckpointError):
        group.agree(other)


def test_nothing_is_compared_when_everything_begins_anew(group: Group) -> None:
    committed = group.published(SETTINGS)
    assert group.agree(replace(OTHERWISE, start=ANEW)).start(committed) == ANEW
    group.members = True
    assert group.agree(replace(SETTINGS, start=ANEW)).start(committed) == StartAt()
    with pytest.raises(CheckpointError):
        group.agree(replace(OTHERWISE, start=ANEW))


def test_a_destination_may_change_while_nobody_is_in_the_group(group: Group) -> None:
    group.published(SETTINGS)
    moving = replace(ELSEWHERE, change_destination=True)
    group.agree(moving)
    with pytest.raises(CheckpointError):
        group.agree(replace(OTHERWISE, change_destination=True))
    group.members = True
    with pytest.raises(CheckpointError):
        group.agree(moving)


@pytest.mark.parametrize("told", [{"start": ANEW}, {"change_destination": True}])
def test_what_another_has_published_since_is_continued(group: Group, told: dict[str, Any]) -> None:
    committed = group.published(SETTINGS)
    waiting = group.agree(replace(ELSEWHERE, **told))
    waiting.require()
    group.published(SETTINGS, offset=8)
    with pytest.raises(CheckpointError):
        waiting.require()
    # Nothing has come of it: a session that broke before its first commit.
    group.committed = committed
    waiting.require()


class Asking:
    """Answers at once, in this thread."""

    def __init__(self) -> None:
        self.questions = 0

    def submit(self, question: Any) -> Any:
        self.questions += 1
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(question)


def test_a_standby_asks_now_and_then(group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(100.0)
    monkeypatch.setattr(agreement, "monotonic", clock)
    asking = Asking()
    standby = group.agree(ELSEWHERE)

    def look() -> None:
        standby.look(cast(ThreadPoolExecutor, asking))

    group.away = True
    for _ in range(4):
        look()
    assert asking.questions == 1
    clock.seconds += 10
    group.away = False
    group.published(SETTINGS)
    look()
    with pytest.raises(CheckpointError, match="publishes elsewhere"):
        look()
    assert asking.questions == 2
