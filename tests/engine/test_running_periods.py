"""What open periods come to so far: with which windows, how often, and what it removes.

Windows of 10 s, periods of 100 s, max lag 0; one partition whose clock is where its last record put it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from streamagg.core.calendars import Calendars
from streamagg.core.partition_clock import PartitionState
from streamagg.core.period_state import PeriodState
from streamagg.core.sequencer import Closed, Sequencer
from streamagg.core.windows import Windows
from streamagg.engine.session.plan import Plan
from streamagg.engine.session.publication_schedule import PublicationSchedule
from streamagg.model.groups import GroupTexts
from streamagg.model.messages import AskPeriod, ShardCount
from streamagg.model.periods import Gained
from streamagg.model.settings import CalendarSettings, CeilingSettings, DecodeSettings, WindowSettings
from streamagg.sinks.contract import Publication
from streamagg.sinks.json_records import render_running
from tests.engine.test_publication_schedule import Hold
from tests.support.blocks import Record, answer, records_at, whole

WINDOW = WindowSettings(
    10_000, max_lag_ms=0, max_jump_ms=1_000_000, calendars=(CalendarSettings("100s", 100_000),)
)
PLAN = Plan(WINDOW, 16, 10_000, running=True)
GROUPED = replace(PLAN, decode=DecodeSettings(user_field=None, group_by=("country",)))
SO_FAR = AskPeriod(0, 0, running=True)


@dataclass
class Line:
    """A schedule on its time line; times are in milliseconds from the beginning of the session."""

    plan: Plan = PLAN
    published_through: int | None = None
    held: bool = False
    """The period at 0 is open from the beginning."""
    publisher: Hold = field(default_factory=Hold)

    def __post_init__(self) -> None:
        windows = Windows(self.plan.window)
        through = self.published_through
        self.sequencer = Sequencer(windows, 16, {0: PartitionState(0, 5_000)}, closed_through=through)
        until_ms = None if through is None else windows.start_ms(through + 1)
        state = PeriodState(Calendars(self.plan.window), "now", through_ms=until_ms)
        if self.held:
            state.take([Gained(0, 0, [], users=3)])
        self.schedule = PublicationSchedule(self.plan, self.sequencer, self.publisher, 1, through, 0, state)
        self.schedule.begin(0, PartitionState(0, 5_000), committed=True)
        self._offset = 0

    def read(self, *times_s: int) -> list[AskPeriod]:
        """Read records of these times; shards count at once what closes. The periods that are over."""
        self.sequencer.offer(whole(records_at(*times_s, first=self._offset)))
        self._offset += len(times_s)
        for step in self.sequencer.advance():
            if isinstance(step, Closed):
                self.schedule.close(step)
                gained = [Gained(0, step.window // 10 * 100_000, [], users=1)]
                texts = texts_of("a") if self.plan.decode.group_by else GroupTexts()
                self.schedule.answer(ShardCount(1, step.window, self._summaries(1), texts, gained=gained), 0)
        return list(self.schedule.over(at_end=False))

    def _summaries(self, count: int) -> list[object]:
        users = slice(0 if self.plan.decode.user_field else 1, None)
        return list(answer(count, count))[users]

    def asks(self, at_ms: int, *, reads: bool = True) -> list[AskPeriod]:
        return list(self.schedule.so_far(at_ms, reads=reads, all_closed=False))

    def says(self, count: int, *groups: str, running: bool = True, dropped: bool = False) -> None:
        """What the period at 0 comes to."""
        summaries, texts = self._summaries(count), GroupTexts()
        if groups:
            texts = texts_of(groups)
            summaries = [b"".join((count - at).to_bytes(8, "little") for at in range(len(groups)))]
        if dropped:
            summaries = [count.to_bytes(8, "little")]
        found = ShardCount(1, 0, summaries, texts, dropped, period=(0, 0), running=running)
        self.schedule.answer(found, 0)

    def out(self, at_ms: int, *, reads: bool = True) -> Publication | None:
        """What begins to be published at that time; it is out at once."""
        before = len(self.publisher.submitted)
        self.schedule.publish(at_ms, reads=reads, all_closed=False)
        self.schedule.collect(at_ms)
        fresh = self.publisher.submitted[before:]
        return fresh[0] if fresh else None

    def told(self, at_ms: int) -> list[tuple[bytes, bytes | None]]:
        """The records of what begins to be published."""
        found = self.out(at_ms)
        windows, fields = Windows(self.plan.window), self.plan.decode.group_by
        return [
            row for one in (found.running if found else ()) for row in render_running(windows, one, fields)
        ]


def texts_of(groups: Sequence[str]) -> GroupTexts:
    """Groups of one letter each, whose hashes are their letters."""
    ids = b"".join(ord(group).to_bytes(8, "little") for group in groups)
    texts = [f'["{group}"]'.encode() for group in groups]
    lengths = b"".join(len(text).to_bytes(4, "little") for text in texts)
    return GroupTexts(ids, ids, lengths, b"".join(texts))


def windows_of(publication: Publication | None) -> list[int] | None:
    return None if publication is None else [table.window for table in publication.windows]


def test_it_goes_out_with_the_windows_that_are_in_it() -> None:
    """::

    closed  0  1 | asked | 2      the answer is of 0 and 1, so 2 waits for the next publication
    """
    line = Line()
    line.read(6, 11, 21)
    assert line.asks(0) == [SO_FAR]
    assert line.out(0) is None, "the answer is waited for"
    line.read(31)
    assert line.asks(0) == [], "one question at a time"
    line.says(2)
    found = line.out(0)
    assert windows_of(found) == [0, 1]
    assert found is not None
    assert [row for one in found.running for row in render_running(Windows(WINDOW), one)] == [
        (
            b"100s 0",
            b'{"ts":0,"calendar":"100s","end":100,"cnt":2,"granularity":10,"records":2,"partial":false,"v":1,'
            b'"through":20,"final":false}',
        )
    ]
    assert windows_of(line.out(1_000)) == [2]


def test_nothing_is_asked_where_nobody_wants_to_know() -> None:
    line = Line(replace(PLAN, running=False))
    line.read(6, 11, 21)
    assert line.asks(0) == []
    found = line.out(0)
    assert windows_of(found) == [0, 1]
    assert found is not None
    assert found.running == ()


def test_what_took_long_rests_and_is_made_up_for() -> None:
    """::

    0 ms: asked   100: answered ... 1,100: window 1 goes out alone ... 2,200: it is told of
    """
    line = Line()
    line.read(6, 11)
    assert line.asks(0) == [SO_FAR]
    line.says(1)
    assert windows_of(line.out(100)) == [0]
    line.read(21)
    assert line.asks(1_100) == []
    found = line.out(1_100)
    assert windows_of(found) == [1]
    assert found is not None
    assert found.running == ()
    assert line.schedule.waiting, "a run with an end must not end here"
    assert line.asks(2_099) == []
    assert line.asks(2_200) == [SO_FAR]
    line.says(2)
    found = line.out(2_200)
    assert found is not None
    assert (found.windows, found.state) == ((), ())
    assert [one.table.window for one in found.running] == [1]
    assert not line.schedule.waiting
    assert line.asks(99_999) == []


def test_a_run_that_ends_does_not_rest() -> None:
    line = Line(replace(PLAN, bounded=True, keep_open=True))
    line.read(6, 11)
    assert line.asks(0) == [SO_FAR]
    line.says(1)
    line.out(100)
    line.read(21)
    assert line.asks(110, reads=False) == [SO_FAR]


def test_a_session_begins_with_what_the_one_before_may_have_left() -> None:
    line = Line(published_through=4, held=True)
    assert line.asks(0) == [SO_FAR]
    line.says(3)
    assert [key for key, _ in line.told(0)] == [b"100s 0"]
    assert line.asks(10_000) == []


def test_a_checkpoint_that_is_wanted_does_not_wait_for_answers() -> None:
    """As at the end of an instance: what is not answered is not told."""
    line = Line(published_through=4, held=True)
    line.sequencer.offer(whole([Record(0, reason="bad_json")]))
    assert not list(line.sequencer.advance())
    assert line.asks(0) == [SO_FAR]
    assert line.schedule.request_checkpoint()
    assert line.publisher.submitted[0].running == ()


def test_the_last_value_takes_the_place_of_all_others() -> None:
    """A period that ends while its answer is on the way is told once, as it ended."""
    line = Line()
    line.read(6, 91)
    assert line.asks(0) == [SO_FAR]
    assert line.read(101) == [AskPeriod(0, 0)]
    line.says(1)
    line.says(2, running=False)
    found = line.out(0)
    assert windows_of(found) == [0]
    assert found is not None
    assert [(one.table.window, one.final) for one in found.running] == [(0, False)]
    found = line.out(1_000)
    assert found is not None
    assert [table.window for table in found.tables] == [9, 9]
    ((key, value),) = [row for one in found.running for row in render_running(Windows(WINDOW), one)]
    assert key == b"100s 0"
    assert value is not None
    assert value.endswith(b'"through":100,"final":true}')


class TestGroups:
    def test_those_that_are_out_of_the_first_ones_are_removed(self) -> None:
        """At first all that there are: a session before may have told of any of them."""
        line = Line(replace(GROUPED, ceiling=CeilingSettings(top=1)))
        line.read(6, 11)
        line.asks(0)
        line.says(5, "a", "b", "c")
        assert [(key, bool(value)) for key, value in line.told(0)] == [
            (b"100s 0", True),
            (b'100s 0 ["a"]', True),
            (b'100s 0 ["b"]', False),
            (b'100s 0 ["c"]', False),
        ]
        line.read(21)
        line.asks(9_000)
        line.says(7, "b", "a", "c")
        told = {key: bool(value) for key, value in line.told(9_000)}
        assert told == {b"100s 0": True, b'100s 0 ["b"]': True, b'100s 0 ["a"]': False}

    def test_those_that_are_too_many_are_removed(self) -> None:
        """Also such as only sessions before have told of: shards still know them."""
        line = Line(replace(GROUPED, ceiling=CeilingSettings(max_groups=2, above_groups="totals")))
        line.read(6, 11)
        line.asks(0)
        line.says(5, "a", "b", dropped=True)
        told = dict(line.told(0))
        assert told.keys() == {b"100s 0", b'100s 0 ["a"]', b'100s 0 ["b"]'}
        assert b'"groups_dropped":true' in (told.pop(b"100s 0") or b"")
        assert set(told.values()) == {None}

    def test_what_will_be_refused_is_not_told(self) -> None:
        """The run stops at the end of the period, as it does without being asked."""
        line = Line(replace(GROUPED, ceiling=CeilingSettings(max_groups=2)))
        line.read(6, 11)
        line.asks(0)
        line.says(5, "a", "b", "c")
        found = line.out(0)
        assert windows_of(found) == [0]
        assert found is not None
        assert found.running == ()
