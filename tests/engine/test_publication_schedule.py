"""When windows and checkpoints go out, and together with what.

Windows of 10 s, max lag 0, a ring of 16; one partition whose clock is where its last record put it.
"""

from dataclasses import dataclass, field, replace

import pytest

from streamagg.core.calendars import Calendars
from streamagg.core.checkpoint import Checkpoint
from streamagg.core.partition_clock import PartitionState
from streamagg.core.period_state import PeriodState
from streamagg.core.sequencer import Closed, Sequencer
from streamagg.core.windows import Windows
from streamagg.engine.session.plan import Plan
from streamagg.engine.session.publication_schedule import PublicationSchedule
from streamagg.errors import TooManyUsers
from streamagg.model.messages import ShardCount
from streamagg.model.periods import Gained
from streamagg.model.results import WindowTable
from streamagg.model.settings import CalendarSettings, CeilingSettings, WindowSettings
from streamagg.sinks.contract import Publication
from tests.support.blocks import Record, answer, records_at, whole, window_table

WINDOW = WindowSettings(10_000, max_lag_ms=0, max_jump_ms=1_000_000)
WINDOWS = Windows(WINDOW)
PLAN = Plan(WINDOW, 16, 10_000)
BEGIN = PartitionState(0, 5_000)


@dataclass
class Hold:
    """A publisher whose publications are out when the test says so."""

    busy: bool = False
    submitted: list[Publication] = field(default_factory=list)

    def submit(self, publication: Publication) -> None:
        assert not self.busy
        self.busy = True
        self.submitted.append(publication)

    def finished(self) -> Publication | None:
        if not self.busy:
            return None
        self.busy = False
        return self.submitted[-1]


@dataclass
class Line:
    """A schedule on its time line; times are in milliseconds from the beginning of the session."""

    plan: Plan = PLAN
    shards: int = 1
    committed: bool = True
    publisher: Hold = field(default_factory=Hold)

    def __post_init__(self) -> None:
        self.sequencer = Sequencer(WINDOWS, self.plan.slots, {0: BEGIN})
        self.schedule = PublicationSchedule(self.plan, self.sequencer, self.publisher, self.shards, None, 0)
        self.schedule.begin(0, BEGIN, committed=self.committed)
        self._offset = 0

    def read(self, *times_s: int) -> list[int]:
        """Read records of these times; the windows that close."""
        self.sequencer.offer(whole(records_at(*times_s, first=self._offset)))
        self._offset += len(times_s)
        closed = [step for step in self.sequencer.advance() if isinstance(step, Closed)]
        for step in closed:
            self.schedule.close(step)
        return [step.window for step in closed]

    def skip(self) -> None:
        """Read a record that is rejected: where reading begins again moves on."""
        self.sequencer.offer(whole([Record(self._offset, reason="bad_json")]))
        self._offset += 1
        assert not list(self.sequencer.advance())

    def answer(self, *windows: int, unique: int = 1, records: int = 1, shard: int = 0) -> None:
        """A shard has counted these."""
        for window in windows:
            self.schedule.answer(ShardCount(1, window, answer(unique, records)), shard)

    def collected(self, now_ms: int) -> tuple[WindowTable, ...]:
        """The windows of a publication that has finished."""
        publication = self.schedule.collect(now_ms)
        return () if publication is None else publication.windows

    def out(self, at_ms: int, *, reads: bool = True, all_closed: bool = False) -> list[int] | None:
        """The windows that begin to be published at that time; None if nothing does."""
        before = len(self.publisher.submitted)
        self.schedule.publish(at_ms, reads=reads, all_closed=all_closed)
        fresh = self.publisher.submitted[before:]
        return [count.window for count in fresh[0].windows] if fresh else None


def test_a_window_goes_out_once_all_shards_have_answered() -> None:
    line = Line(shards=2)
    assert line.read(6, 11) == [0]
    line.answer(0, unique=3, records=6, shard=1)
    assert line.out(0) is None
    line.answer(0, unique=4, records=5, shard=0)
    assert line.out(0) == [0]
    assert line.publisher.submitted[0].windows == (window_table(0, 7, 11, partial=False),)


def test_windows_go_out_in_order() -> None:
    """::

    closed    0  1  2
    counted   .  x  x    nothing, for 0 is first
              x          all
    """
    line = Line()
    line.read(6, 11, 21, 31)
    line.answer(1, 2)
    assert line.out(0) is None
    line.answer(0)
    assert line.out(0) == [0, 1, 2]


def test_windows_gather_behind_a_publication() -> None:
    line = Line()
    line.read(6, 11)
    line.answer(0)
    assert line.out(0) == [0]
    line.read(21, 31)
    line.answer(1, 2)
    assert line.out(5_000) is None, "one at a time"
    assert [count.window for count in line.collected(5_000)] == [0]
    assert line.out(5_000) == [1, 2]


def test_while_reading_on_windows_gather_for_a_second() -> None:
    """::

    0 ms: window 0 goes out   1 is counted ....... 999: not yet   1,000: it goes out
    """
    line = Line()
    line.read(6, 11)
    line.answer(0)
    assert line.out(0) == [0]
    line.schedule.collect(10)
    line.read(21)
    line.answer(1)
    assert [line.out(at_ms) for at_ms in (10, 999, 1_000)] == [None, None, [1]]


@pytest.mark.parametrize(("windows", "gathers"), [(3, True), (4, False)])
def test_they_gather_until_they_fill_a_quarter_of_the_ring(windows: int, gathers: bool) -> None:
    line = Line()
    line.read(6, 11)
    line.answer(0)
    line.out(0)
    for count in line.collected(10):
        line.sequencer.free(count.window)
    closed = line.read(*range(21, 21 + 10 * windows, 10))
    assert len(closed) == windows
    line.answer(*closed)
    assert (line.out(20) is None) == gathers


def test_where_nothing_more_is_read_they_do_not_gather() -> None:
    line = Line()
    line.read(6, 11)
    line.answer(0)
    line.out(0)
    line.schedule.collect(10)
    line.read(21)
    line.answer(1)
    assert line.out(20, reads=False) == [1]


def test_the_last_windows_of_a_bounded_run_go_out_together() -> None:
    line = Line(replace(PLAN, bounded=True))
    line.read(6, 11, 21)
    line.answer(0)
    assert line.out(2_000, reads=False, all_closed=True) is None
    line.answer(1)
    assert line.out(2_000, reads=False, all_closed=True) == [0, 1]


def test_the_checkpoint_is_where_the_open_windows_began() -> None:
    """::

    offsets   0: 6 s   1: 11 s   2: 12 s      window 0 is published, window 1 began with offset 1
    """
    line = Line()
    line.read(6, 11, 12)
    line.answer(0)
    assert line.out(0) == [0]
    assert line.publisher.submitted[0].checkpoints == {0: Checkpoint(PartitionState(1, 6_000), 0, 3)}


def test_a_checkpoint_without_windows_goes_out_every_ten_seconds_if_anything_moved() -> None:
    """::

    10 s: nothing has moved   12 s: a record   at once: 10 s are over   15 s: a record   22 s: the next
    """
    line = Line()
    assert line.out(10_000) is None
    assert line.schedule.committed
    line.skip()
    assert not line.schedule.committed
    assert line.out(12_000) == []
    line.schedule.collect(12_100)
    line.skip()
    assert [line.out(at_ms) for at_ms in (15_000, 22_099, 22_100)] == [None, None, []]


def test_a_checkpoint_made_anew_goes_out_at_once() -> None:
    line = Line(committed=False)
    assert line.out(0) == []
    line.schedule.collect(10)
    assert line.schedule.committed
    assert line.out(20) is None


def test_a_bounded_run_that_has_read_all_commits_at_once() -> None:
    line = Line(replace(PLAN, bounded=True))
    line.skip()
    assert line.out(0) is None
    assert line.out(0, reads=False) == []


def test_on_demand_a_checkpoint_goes_out_if_there_is_one_and_nothing_is_under_way() -> None:
    line = Line()
    assert not line.schedule.request_checkpoint()
    line.skip()
    assert line.schedule.request_checkpoint()
    assert line.schedule.waiting
    assert not line.schedule.request_checkpoint()
    line.schedule.collect(1)
    assert not line.schedule.waiting
    assert line.schedule.windows_published == 0


def test_above_the_ceiling_those_before_go_out_first() -> None:
    """::

    counted   0: 1 user   1: 9 users, more than 5     0 goes out, and then the run stops
    """
    line = Line(replace(PLAN, ceiling=CeilingSettings(5)))
    line.read(6, 11, 21)
    line.answer(0)
    line.answer(1, unique=9)
    assert line.out(2_000) == [0]
    line.schedule.collect(2_001)
    with pytest.raises(TooManyUsers):
        line.out(4_000)


def test_a_long_gap_goes_out_in_parts_each_with_its_checkpoint() -> None:
    """::

    hit           0 ... 5     at most 3 windows at a time: (0 1 2) (3 4 5)
    """
    line = Line(replace(PLAN, window=replace(WINDOW, empty_windows=True), most_windows=3))
    line.read(6, 51, 61)
    line.answer(0, 5)
    assert line.out(2_000) == [0, 1, 2]
    line.schedule.collect(2_001)
    assert line.out(2_002) == [3, 4, 5]
    assert [each.through for each in line.publisher.submitted] == [2, 5]
    assert line.schedule.windows_published == 3


def test_an_empty_window_at_the_end_of_a_period_is_partial_as_others_are() -> None:
    """::

    period    ------------ ------------
    window      0      1     2      3      1 has no records, and closes as the last one of its period
    records     6                   31     of a partition that begins inside of its log: partial to here
    """
    window = replace(WINDOW, empty_windows=True, calendars=(CalendarSettings("20s", 20_000),))
    inside = PartitionState(0, None, began_inside=True)
    sequencer = Sequencer(WINDOWS, PLAN.slots, {0: BEGIN, 1: inside})
    plan, state = replace(PLAN, window=window), PeriodState(Calendars(window), "word")
    schedule = PublicationSchedule(plan, sequencer, Hold(), 1, None, 0, state)
    sequencer.offer(whole(records_at(6, 41, live=True)))
    sequencer.offer(whole(records_at(31, 41, live=True), partition=1))
    for step in sequencer.advance():
        if isinstance(step, Closed):
            schedule.close(step)
            gained = [Gained(0, step.window // 2 * 20_000, [b""])]
            schedule.answer(ShardCount(1, step.window, answer(1, 1), gained=gained), 0)
    for question in schedule.over(at_end=False):
        schedule.answer(ShardCount(1, 0, answer(1, 1), period=(question.calendar, question.start_ms)), 0)
    publisher = schedule._publisher
    assert isinstance(publisher, Hold)
    schedule.publish(2_000, reads=False, all_closed=True)
    assert {table.window: table.partial for table in publisher.submitted[0].windows} == dict.fromkeys(
        range(4), True
    )
