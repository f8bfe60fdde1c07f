"""What is logged of partitions: silence, jumps, slowness; one line at each change, none in between."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from streamagg.core.partition_clock import PartitionState
from streamagg.core.sequencer import Closed, Sequencer
from streamagg.core.windows import Windows
from streamagg.engine.reporting.partition_events import SLOW_AFTER_S, PartitionEvents, holding_up
from streamagg.engine.session.plan import Plan
from streamagg.engine.session.session import Session
from streamagg.engine.session.view import SessionView, partition_view
from streamagg.model.settings import WindowSettings
from tests.support.blocks import Record, records_at, whole

TIME_OF_DAY_MS = 1 << 50
"""Behind every event time."""

WINDOW = WindowSettings(60_000, 0, 5_000, 65_000)
WINDOWS = Windows(WINDOW)
FAR_S = 1_000_000


@dataclass
class Sequencing:
    """The part of a session that is looked at."""

    sequencer: Sequencer
    plan: Plan = field(default_factory=lambda: Plan(WINDOW, 64, 10_000))

    def view(self) -> SessionView:
        parts = self.sequencer.partitions.items()
        return SessionView({number: partition_view(part, 0) for number, part in parts}, None, {}, {})


@dataclass
class Watched:
    """Partitions whose changes are logged."""

    session: Sequencing
    changes: PartitionEvents
    caplog: pytest.LogCaptureFixture
    now_s: float = 0.0

    def give(self, partition: int, log: Sequence[Record]) -> None:
        self.session.sequencer.offer(whole(log, partition=partition))
        for step in self.session.sequencer.advance():
            if isinstance(step, Closed):
                self.session.sequencer.free(step.window)

    def look(self, after_s: float = 1.0) -> list[tuple[str, dict[str, Any]]]:
        """Events and their fields that come of one look."""
        self.caplog.clear()
        self.now_s += after_s
        self.changes.look(self.now_s)
        return [(vars(record)["event"], vars(record)["fields"]) for record in self.caplog.records]


def watched(caplog: pytest.LogCaptureFixture, *clocks_s: int | None, bounded: bool = False) -> Watched:
    caplog.set_level("INFO")
    states = {
        number: PartitionState(0, None if clock is None else clock * 1000)
        for number, clock in enumerate(clocks_s)
    }
    session = Sequencing(Sequencer(WINDOWS, 64, states), Plan(WINDOW, 64, 10_000, bounded=bounded))
    return Watched(session, PartitionEvents(cast(Session, session)), caplog)


def test_silence_and_its_end_are_told_once(caplog: pytest.LogCaptureFixture) -> None:
    run = watched(caplog, 100, 100)
    assert run.look() == []
    run.session.sequencer.set_idle(1, TIME_OF_DAY_MS)
    assert run.look() == [("partition_idle", {"partition": 1})]
    assert run.look() == []
    run.give(1, records_at(101))
    assert run.look() == [("partition_busy", {"partition": 1})]
    assert run.look() == []


def test_the_ends_of_a_bounded_run_are_no_silence(caplog: pytest.LogCaptureFixture) -> None:
    run = watched(caplog, 100, bounded=True)
    run.session.sequencer.set_idle(0, TIME_OF_DAY_MS)
    assert run.look() == []


def test_a_confirmed_jump_is_told_with_its_times(caplog: pytest.LogCaptureFixture) -> None:
    """A night without traffic: 24 later records vote for the first one after it."""
    run = watched(caplog, 100)
    run.give(0, records_at(101, 7_200, *[7_201] * 24))
    assert run.look() == [
        (
            "jump_confirmed",
            {
                "partition": 0,
                "before": "1970-01-01T00:01:41Z",
                "after": "1970-01-01T02:00:00Z",
                "jumps": 1,
            },
        )
    ]
    assert run.look() == []


def test_records_of_a_future_that_nothing_confirms_are_told_together(
    caplog: pytest.LogCaptureFixture,
) -> None:
    run = watched(caplog, 100)
    run.give(0, records_at(FAR_S, FAR_S + 1, *[101] * 40))
    assert run.look() == [("jump_refuted", {"partition": 0, "records": 2})]
    assert run.look() == []


def test_the_first_clock_of_a_partition_is_no_jump(caplog: pytest.LogCaptureFixture) -> None:
    run = watched(caplog, None)
    run.give(0, records_at(7_200, *[7_203] * 24))
    assert run.session.sequencer.partitions[0].clock.state.clock_ms == 7_203_000
    assert run.look() == []


# Five windows of 60 s and a max lag of 5 s: 305 s.
@pytest.mark.parametrize(
    ("clocks_s", "holder"),
    [
        ((1_000,), None),
        ((1_000, 1_305), None),
        ((1_000, 1_306), 0),
        ((1_306, 1_000, 1_200), 1),
        ((None, 1_000), 0),
        ((None, None), None),
        ((), None),
    ],
)
def test_who_holds_up_the_others(
    caplog: pytest.LogCaptureFixture, clocks_s: tuple[int | None, ...], holder: int | None
) -> None:
    assert holding_up(watched(caplog, *clocks_s).session.view().partitions, WINDOWS) == holder


def test_an_idle_partition_holds_up_nobody(caplog: pytest.LogCaptureFixture) -> None:
    run = watched(caplog, 1_000, 2_000, 2_000)
    run.session.sequencer.set_idle(0, TIME_OF_DAY_MS)
    assert holding_up(run.session.view().partitions, WINDOWS) is None


def test_a_partition_is_slow_once_it_holds_up_the_others_for_long(caplog: pytest.LogCaptureFixture) -> None:
    run = watched(caplog, 1_000, 2_000)
    assert run.look() == []
    assert run.look(SLOW_AFTER_S - 0.1) == []
    assert run.look(0.1) == [("partition_slow", {"partition": 0, "clock": "1970-01-01T00:16:40Z"})]
    assert run.look(SLOW_AFTER_S) == []
    run.give(0, records_at(*range(1_010, 2_000, 10)))
    assert run.look() == [("partition_not_slow", {"partition": 0})]
    assert run.look() == []


def test_partitions_that_take_turns_are_not_slow(caplog: pytest.LogCaptureFixture) -> None:
    """As they do in a backlog."""
    run = watched(caplog, 1_000, 2_000)
    clocks_s = [1_000, 2_000]
    for _ in range(10):
        behind = clocks_s.index(min(clocks_s))
        first = run.session.sequencer.partitions[behind].position
        times = range(clocks_s[behind] + 60, clocks_s[behind] + 2_001, 60)
        run.give(behind, records_at(*times, first=first))
        clocks_s[behind] = times[-1]
        assert run.look(SLOW_AFTER_S) == []


def test_a_partition_without_a_clock_is_slow_without_a_time(caplog: pytest.LogCaptureFixture) -> None:
    run = watched(caplog, None, 2_000)
    run.look()
    assert run.look(SLOW_AFTER_S) == [("partition_slow", {"partition": 0, "clock": None})]
