"""Lateness and jumps of one partition, drawn as time lines.

Granularity 60 s, lag 5 s, max jump 6 s: records up to 6 s ahead of the clock need no vote, those more than
3 s behind it say that it is ahead, and those more than 30 s behind it say nothing. In the drawings a row is a
record, in offset order, and stands below its event time.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamagg.core import partition_clock as clock_module
from streamagg.core.ballot import LEAD, ROOM, SetAside
from streamagg.core.partition_clock import LateRows, Outcome, PartitionClock, PartitionState, TimestampsNeeded
from streamagg.core.windows import Windows
from streamagg.model.columns import ROWS, Schema
from streamagg.model.settings import WindowSettings
from tests.support.blocks import Record, records_at, set_aside, users_in, whole
from tests.support.oracle import recount

SETTINGS = WindowSettings(60_000, 0, 5_000, 6_000)
FAR_S = 1_000_000


def clock_at(second: float | None, *waiting: SetAside, **more: bool) -> PartitionClock:
    clock_ms = None if second is None else int(second * 1000)
    return PartitionClock(Windows(SETTINGS), ROWS, PartitionState(0, clock_ms, waiting, **more))


def feed(clock: PartitionClock, log: Sequence[Record], *, timestamps: bool = True) -> Outcome:
    block = whole(log, timestamps=timestamps)
    return clock.feed(
        block.event_times(),
        ROWS.view(block.columns),
        block.offsets(),
        block.live_flags(),
        block.next,
    )


def applied_s(*outcomes: Outcome) -> list[float]:
    """Event times of the applied rows, in the order in which they were applied."""
    return [int(t) / 1000 for outcome in outcomes for run in outcome.runs for t in run.event_time_ms]


def waiting_s(clock: PartitionClock) -> list[float]:
    return [record.event_time_ms / 1000 for record in clock.state.set_aside]


@dataclass(frozen=True)
class Found:
    """What feeding a clock came to; times in seconds."""

    applied: list[float]
    clock: float | None
    waiting: list[float] = field(default_factory=list)
    late: int = 0
    future: list[int] = field(default_factory=list)
    jumps: list[tuple[int, int]] = field(default_factory=list)


def found(clock: PartitionClock, outcome: Outcome) -> Found:
    at_s = None if clock.state.clock_ms is None else clock.state.clock_ms / 1_000
    return Found(applied_s(outcome), at_s, waiting_s(clock), outcome.late, outcome.future, outcome.jumps)


class TestLateness:
    """::

    seconds    0              60   65
               |------0-------|--1--
    clock                      ^64.999   59.999 is in time
    clock                       ^65      59.999 is late, 60 is not
    """

    def test_a_record_is_in_time_until_the_clock_closes_its_window(self) -> None:
        clock = clock_at(60)
        outcome = feed(clock, records_at(64.999, 59.999))
        assert found(clock, outcome) == Found([64.999, 59.999], clock=64.999)

    def test_a_record_is_late_from_the_closing_time_on(self) -> None:
        clock = clock_at(60)
        outcome = feed(clock, records_at(65, 59.999, 60))
        assert found(clock, outcome) == Found([65, 60], clock=65, late=1)

    def test_the_clock_before_the_block_counts(self) -> None:
        clock = clock_at(65)
        outcome = feed(clock, records_at(59.999))
        assert found(clock, outcome) == Found([], clock=65, late=1)
        assert outcome.runs == []

    def test_late_records_do_not_turn_the_clock_back(self) -> None:
        clock = clock_at(200)
        outcome = feed(clock, records_at(10, 199, 20))
        assert found(clock, outcome) == Found([199], clock=200, late=2)

    def test_the_first_record_sets_the_clock_once_it_is_confirmed(self) -> None:
        clock = clock_at(None)
        outcome = feed(clock, records_at(100, *[101] * 23))
        assert found(clock, outcome) == Found([], clock=None, waiting=[100, *[101] * 23])
        outcome = feed(clock, records_at(103, first=24))
        assert found(clock, outcome) == Found([100, *[101] * 23, 103], clock=103)


class TestJumps:
    """::

    seconds   100 101 102 103              1,000,000
    offset 0   x
           1                                   x      set aside: out of reach
           2       x                                  a vote against it
           3           x                              ...
    """

    def test_a_far_future_record_in_the_middle_moves_nothing(self) -> None:
        clock = clock_at(100)
        outcome = feed(clock, records_at(101, FAR_S, 102, 103))
        assert found(clock, outcome) == Found([101, 102, 103], clock=103, waiting=[FAR_S])

    @pytest.mark.parametrize(("against", "rejected"), [(LEAD - 1, []), (LEAD, [0])])
    def test_it_is_rejected_once_24_more_contradict_it_than_support_it(
        self, against: int, rejected: list[int]
    ) -> None:
        clock = clock_at(100)
        outcome = feed(clock, records_at(FAR_S, *[101] * against))
        assert outcome.future == rejected
        assert waiting_s(clock) == [FAR_S] * (1 - len(rejected))
        assert applied_s(outcome) == [101] * against

    @pytest.mark.parametrize(("support", "confirmed"), [(LEAD, False), (LEAD + 1, True)])
    def test_it_is_believed_once_24_more_support_it_than_contradict_it(
        self, support: int, confirmed: bool
    ) -> None:
        clock = clock_at(100)
        outcome = feed(clock, records_at(FAR_S, 101, *[FAR_S] * support))
        assert (clock.state.clock_ms == FAR_S * 1_000) is confirmed
        assert len(applied_s(outcome)) == (support + 2 if confirmed else 1)

    def test_a_far_future_first_record_does_not_hold_up_the_honest_ones(self) -> None:
        clock = clock_at(None)
        outcome = feed(clock, records_at(FAR_S, *[100] * 25))
        assert found(clock, outcome) == Found([100] * 25, clock=100, future=[0])

    def test_a_burst_of_twenty_does_not_confirm_itself(self) -> None:
        clock = clock_at(100)
        outcome = feed(clock, records_at(*[FAR_S] * 20, *[101] * 44))
        assert (applied_s(outcome), sorted(outcome.future)) == ([101] * 44, [*range(20)])
        assert clock.state == PartitionState(64, 101_000)

    def test_an_honest_gap_is_crossed_in_offset_order(self) -> None:
        """::

        seconds   100        ...       5000 5001 5002 5003
        offset 0   x
               1                                 x         votes: 2, 3, 4 to 25
               2                        x
               3                             x
            4-25                                  x        at the last the clock moves, all are applied
        """
        clock = clock_at(90)
        log = records_at(91, 5_002, 5_000, 5_001, *[5_003] * 22)
        outcome = feed(clock, log)
        applied = [91, 5_002, 5_000, 5_001, *[5_003] * 22]
        assert found(clock, outcome) == Found(applied, clock=5_003, jumps=[(91_000, 5_002_000)])
        assert clock.state == PartitionState(26, 5_003_000)

    def test_sparse_records_are_believed_one_by_one(self) -> None:
        """Each lies 8 s behind the last: each is set aside, and believed when 24 others have come."""
        clock = clock_at(0)
        outcome = feed(clock, records_at(*range(8, 8 * 41, 8)))
        assert applied_s(outcome) == [*range(8, 8 * 17, 8)]
        assert len(waiting_s(clock)) == 24

    @pytest.mark.parametrize(("vote_s", "confirmed"), [(FAR_S - 6, True), (FAR_S - 6.001, False)])
    def test_a_vote_for_it_may_lie_max_jump_behind(self, vote_s: float, confirmed: bool) -> None:
        clock = clock_at(100)
        outcome = feed(clock, records_at(FAR_S, *[vote_s] * 24))
        assert (FAR_S in applied_s(outcome), outcome.future) == (confirmed, [] if confirmed else [0])

    @pytest.mark.parametrize(("time_s", "needs_votes"), [(106, False), (106.001, True)])
    def test_reach_ends_exactly_at_max_jump(self, time_s: float, needs_votes: bool) -> None:
        clock = clock_at(100)
        outcome = feed(clock, records_at(time_s))
        assert waiting_s(clock) == ([time_s] if needs_votes else [])
        assert applied_s(outcome) == ([] if needs_votes else [time_s])

    @pytest.mark.parametrize(("behind_s", "votes"), [(30, True), (30.001, False)])
    def test_what_is_far_behind_the_clock_has_no_vote(self, behind_s: float, votes: bool) -> None:
        clock = clock_at(100, set_aside(0, 200_000, 7, 3))
        feed(clock, records_at(100 - behind_s, first=1))
        (waiting,) = clock.state.set_aside
        assert (waiting.lead, clock.state.agreement) == ((2, LEAD - 1) if votes else (3, LEAD))

    def test_of_more_than_there_is_room_for_the_furthest_ahead_is_rejected(self) -> None:
        """Half of the records are from the future, so that no vote ends; offset 31 is the furthest ahead."""
        waiting = tuple(set_aside(i, (900 + i) * 1_000, 7, 0) for i in range(ROOM))
        clock = clock_at(100, *waiting)
        outcome = feed(clock, records_at(930.9, first=ROOM))
        waits = [*range(900, 900 + ROOM - 1), 930.9]
        assert found(clock, outcome) == Found([], clock=100, waiting=waits, future=[31])
        again = feed(clock, records_at(930.9, first=ROOM + 1))
        assert again.future == [ROOM + 1], "of equals, the last"

    def test_a_block_longer_than_max_jump_without_a_jump_stays_in_columns(self) -> None:
        clock = clock_at(0)
        outcome = feed(clock, records_at(*range(0, 600, 5)))
        assert [run.steps for run in outcome.runs] == [None]
        assert applied_s(outcome) == [*range(0, 600, 5)]

    def test_a_record_is_applied_as_soon_as_the_clock_has_come_near(self) -> None:
        clock = clock_at(100)
        outcome = feed(clock, records_at(110, 103.999, 104))
        assert applied_s(outcome) == [103.999, 104, 110]

    def test_a_live_record_needs_no_vote(self) -> None:
        clock = clock_at(100)
        outcome = feed(clock, records_at(FAR_S, live=True))
        assert found(clock, outcome) == Found([FAR_S], clock=FAR_S, jumps=[(100_000, FAR_S * 1_000)])

    def test_what_was_confirmed_too_late_is_late(self) -> None:
        """::

        seconds    100        5000                9000
        offset 0                x                         set aside
            1-23                                  x       votes for 0 and waiting themselves
              24                                  x       live: the clock jumps over the window of 0
        """
        clock = clock_at(100)
        log = [*records_at(5_000, *[9_000] * 23), *records_at(9_000, first=24, live=True)]
        outcome = feed(clock, log)
        jumps = [(100_000, 9_000_000)]
        assert found(clock, outcome) == Found([9_000] * 24, clock=9_000, late=1, jumps=jumps)


class TestTheClockStands:
    """While most records are more than 3 s behind it, the clock stands; what comes within reach is counted::

    seconds     100                105   109
    0-23         xxxxxxxxxxxxxxx           each is more than 3 s behind the clock of 105
    24                                x    counted, and does not move the clock
    """

    def stood(self, behind: int) -> PartitionClock:
        clock = clock_at(105)
        feed(clock, records_at(*[100] * behind))
        return clock

    @pytest.mark.parametrize(("behind", "clock_s"), [(LEAD - 1, 109), (LEAD, 105)])
    def test_once_24_more_are_behind_it_than_close(self, behind: int, clock_s: int) -> None:
        clock = self.stood(behind)
        outcome = feed(clock, records_at(109, first=behind))
        assert found(clock, outcome) == Found([109], clock=clock_s)

    def test_not_for_a_live_record_either(self) -> None:
        """Blocks do not always say which records within reach are live, so that may not decide anything."""
        clock = self.stood(LEAD)
        feed(clock, records_at(109, first=LEAD, live=True))
        assert clock.state.clock_ms == 105_000

    def test_until_most_are_close_again(self) -> None:
        clock = self.stood(LEAD + 2)
        outcome = feed(clock, records_at(109, 102, 102, 108, first=LEAD + 2))
        assert found(clock, outcome) == Found([109, 102, 102, 108], clock=108)

    def test_many_small_steps_do_not_add_up(self) -> None:
        """A tenth of the records is up to a minute fast, each in reach of where the last put the clock."""
        honest = [100 + i / 1_000 for i in range(4_000)]
        log = records_at(*(time + (i // 10) % 60 if i % 10 == 0 else time for i, time in enumerate(honest)))
        clock = clock_at(100)
        feed(clock, log)
        assert clock.state.clock_ms is not None
        assert clock.state.clock_ms <= (honest[-1] + 9) * 1_000

    def test_rows_that_do_not_move_the_clock_know_it(self) -> None:
        clock = self.stood(LEAD + 2)
        run = feed(clock, records_at(109, 107, first=LEAD + 2)).runs[0]
        assert run.clocks_before().tolist() == [105_000, 105_000]
        assert run.clock_after_first() == 105_000
        assert [part.clock_after_first() for part in run.cut(1)] == [105_000, 105_000]


class TestTimestamps:
    def test_they_are_asked_for_only_where_they_decide(self) -> None:
        waiting = set_aside(0, FAR_S * 1000, 7, 0)
        clock = clock_at(100, waiting)
        outcome = feed(clock, records_at(101, 102, first=1), timestamps=False)
        assert applied_s(outcome) == [101, 102]
        assert clock.state.set_aside == (waiting._replace(lead=-2),)

    @pytest.mark.parametrize("start_s", [None, 100])
    def test_asking_changes_nothing(self, start_s: float | None) -> None:
        clock = clock_at(start_s, set_aside(0, 999_000, 7, -3))
        before = clock.state
        with pytest.raises(TimestampsNeeded):
            feed(clock, records_at(101, 102, 999_000, 103, first=1)[start_s is None :], timestamps=False)
        assert clock.state == before
        assert clock.state.set_aside == (set_aside(0, 999_000, 7, -3),)


class TestTheEnd:
    def test_a_lone_record_is_applied(self) -> None:
        clock = clock_at(None)
        feed(clock, records_at(100))
        assert applied_s(clock.end()) == [100]
        assert clock.state == PartitionState(1, 100_000)

    def test_the_last_records_after_a_gap_are_applied(self) -> None:
        clock = clock_at(100)
        feed(clock, records_at(5_000, 5_001))
        assert applied_s(clock.end()) == [5_000, 5_001]

    @pytest.mark.parametrize(("behind_it", "believed"), [([101], False), ([101, FAR_S], True)])
    def test_a_record_that_a_majority_contradicts_is_rejected(
        self, behind_it: list[float], believed: bool
    ) -> None:
        clock = clock_at(100)
        feed(clock, records_at(FAR_S, *behind_it))
        outcome = clock.end()
        assert (FAR_S in applied_s(outcome), outcome.future == [0]) == (believed, not believed)
        assert clock.state.set_aside == ()

    def test_nothing_waits_nothing_happens(self) -> None:
        clock = clock_at(100)
        assert clock.end() == Outcome()
        assert clock.state == PartitionState(0, 100_000)


class TestSilence:
    """At 5,000 s by the clock on the wall: what is more than max jump ahead of that stays set aside."""

    NOW_MS = 5_000_000

    @pytest.mark.parametrize(("time_s", "believed"), [(5_006, True), (5_006.001, False)])
    def test_a_record_is_believed_unless_it_is_ahead_of_the_present(
        self, time_s: float, believed: bool
    ) -> None:
        clock = clock_at(100)
        feed(clock, records_at(time_s))
        assert clock.believes(self.NOW_MS) is believed
        outcome = clock.believe(self.NOW_MS)
        assert waiting_s(clock) == ([] if believed else [time_s])
        assert (applied_s(outcome), outcome.future) == ([time_s] if believed else [], [])

    def test_one_that_a_majority_contradicts_stays_set_aside(self) -> None:
        clock = clock_at(100)
        feed(clock, records_at(4_000, 101))
        assert not clock.believes(self.NOW_MS)
        assert clock.believe(self.NOW_MS) == Outcome()
        assert waiting_s(clock) == [4_000]

    def test_sparse_records_are_believed_together(self) -> None:
        clock = clock_at(100)
        feed(clock, records_at(108, 116, 5_100))
        assert applied_s(clock.believe(self.NOW_MS)) == [108, 116]
        assert waiting_s(clock) == [5_100]


class TestBegunInside:
    @pytest.mark.parametrize(("inside", "partial_through"), [(False, None), (True, 2)])
    def test_the_window_of_the_first_record_is_remembered(
        self, inside: bool, partial_through: int | None
    ) -> None:
        clock = clock_at(None, began_inside=inside)
        feed(clock, records_at(130, *[131] * 24, 190))
        assert clock.state.partial_through == partial_through


TIMES_S = st.builds(
    lambda stretches: [time for stretch in stretches for time in stretch],
    st.lists(
        st.one_of(
            st.lists(st.one_of(st.integers(0, 400), st.sampled_from([FAR_S, FAR_S + 50])), min_size=1),
            # So many in a row decide votes, and let the clock stand.
            st.builds(
                lambda time, count: [time] * count,
                st.sampled_from([1, 90, 95, 400, FAR_S]),
                st.integers(1, 60),
            ),
            st.builds(
                lambda time, step: [*range(time, time + 40 * step, step)],
                st.integers(0, 400),
                st.integers(1, 9),
            ),
        ),
        min_size=1,
        max_size=5,
    ),
)


@given(TIMES_S, st.randoms(use_true_random=False), st.sets(st.integers(1, 200)))
def test_the_cut_of_the_blocks_has_no_say(times_s: list[int], chance: random.Random, cuts: set[int]) -> None:
    share = chance.choice((0, 0, 0.02, 0.5))
    log = [Record(r.offset, r.time_ms, r.user, chance.random() < share) for r in records_at(*times_s)]
    borders = [0, *sorted(cut for cut in cuts if cut < len(log)), len(log)]
    pieces, at_once = clock_at(None), clock_at(None)
    cut = [feed(pieces, log[a:b]) for a, b in pairwise(borders)] + [pieces.end()]
    one = [feed(at_once, log), at_once.end()]
    assert pieces.state == at_once.state
    assert applied_s(*cut) == applied_s(*one)
    expected = recount([log], SETTINGS)
    assert sum(o.late for o in cut) == sum(o.late for o in one) == expected.late
    assert sum(len(o.future) for o in cut) == sum(len(o.future) for o in one) == expected.future
    assert len(applied_s(*one)) == sum(map(len, expected.users.values()))


@pytest.mark.skipif(clock_module.stepper is None, reason="there was no compiler")
@given(TIMES_S, st.randoms(use_true_random=False), st.booleans())
def test_c_and_python_say_the_same(times_s: list[int], chance: random.Random, inside: bool) -> None:
    share = chance.choice((0, 0, 0.02))
    log = [Record(r.offset, r.time_ms, r.user, chance.random() < share) for r in records_at(*times_s)]

    def told(stepper: Any) -> tuple[Any, ...]:
        with patch.object(clock_module, "stepper", stepper):
            state = PartitionState(0, began_inside=inside)
            clock = PartitionClock(Windows(SETTINGS), ROWS, state, keep_late=True)
            outcome = feed(clock, log)
            rows = [
                (
                    run.state_before(row),
                    run.clock_before(row),
                    int(run.offset[row]),
                    users_in(run.columns)[row],
                )
                for run in outcome.runs
                for row in range(len(run))
            ]
            after = [int(at) for run in outcome.runs for at in run.clocks_after()]
            steps = [int(at) for run in outcome.runs for at in run.step_offsets()]
            late = [row for part in outcome.late_rows for row in zip(*columns(part), strict=True)]
            return rows, after, steps, outcome.late, late, outcome.future, outcome.jumps, clock.state

    assert told(clock_module.stepper) == told(None)


WIDE: Final = Schema(user=np.uint64, group=np.uint16, price=np.float64)


@pytest.mark.parametrize("stepper", dict.fromkeys((clock_module.stepper, None)))
@given(TIMES_S, st.randoms(use_true_random=False), st.integers(1, 60))
def test_what_rows_carry_goes_with_them_and_decides_nothing(
    stepper: Any, times_s: list[int], chance: random.Random, cut: int
) -> None:
    share = chance.choice((0, 0, 0.02))
    log = [Record(r.offset, r.time_ms, r.user, chance.random() < share) for r in records_at(*times_s)]
    plain, carrying = clock_at(None), PartitionClock(Windows(SETTINGS), WIDE, PartitionState(0))
    for first in range(0, len(log), cut):
        piece = log[first : first + cut]
        users = np.array([record.user for record in piece], np.uint64)
        block, wide = whole(piece), (users, users.astype(np.uint16), users / 8)
        with patch.object(clock_module, "stepper", stepper):
            expected = feed(plain, piece)
            outcome = carrying.feed(
                block.event_times(), wide, block.offsets(), block.live_flags(), block.next
            )
        assert [run.offset.tolist() for run in outcome.runs] == [run.offset.tolist() for run in expected.runs]
        for run, like in zip(outcome.runs, expected.runs, strict=True):
            of_user = [(user, user & 0xFFFF, user / 8) for user in users_in(like.columns)]
            assert list(zip(*(column.tolist() for column in run.columns), strict=True)) == of_user
    waiting = [WIDE.unpack(record.row)[0].item() for record in carrying.state.set_aside]
    assert waiting == [ROWS.unpack(record.row)[0].item() for record in plain.state.set_aside]
    bare = [record._replace(row=b"") for record in carrying.state.set_aside]
    assert bare == [record._replace(row=b"") for record in plain.state.set_aside]


def columns(rows: LateRows) -> list[list[int]]:
    return [each.tolist() for each in (rows.offset, rows.event_time_ms, rows.clock_ms, rows.step_offset)]


@given(TIMES_S, st.integers(0, 300))
def test_reading_again_from_before_any_row_gives_that_row_and_all_behind_it(
    times_s: list[int], start_s: int
) -> None:
    clock = clock_at(start_s)
    log = records_at(*times_s)
    outcome = feed(clock, log)
    rows = [(run, row) for run in outcome.runs for row in range(len(run))]
    for number, (run, row) in enumerate(rows):
        again = PartitionClock(clock._windows, ROWS, run.state_before(row))
        users = [u for r in feed(again, log[again.state.offset :]).runs for u in users_in(r.columns)]
        expected = [users_in(r.columns)[i] for r, i in rows[number:]]
        # Rows of one step have the same state before it, so some of its earlier rows may come again.
        assert users[len(users) - len(expected) :] == expected
        assert again.state == clock.state


@given(TIMES_S, st.integers(0, 300), st.data())
def test_the_halves_of_a_cut_run_know_the_same_states(
    times_s: list[int], start_s: int, data: st.DataObject
) -> None:
    clock = clock_at(start_s)
    for run in feed(clock, records_at(*times_s)).runs:
        states = [run.state_before(row) for row in range(len(run))]
        clocks = [run.clock_before(row) for row in range(len(run))]
        cut = data.draw(st.integers(0, len(states) - 1))
        halves = run.cut(cut) if cut else (run,)
        assert [half.state_before(row) for half in halves for row in range(len(half))] == states
        assert [half.clock_before(row) for half in halves for row in range(len(half))] == clocks
        assert np.concatenate([half.event_time_ms for half in halves]).tolist() == run.event_time_ms.tolist()
