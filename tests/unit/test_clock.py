"""Lateness and jumps of one partition, drawn as time lines.

Granularity 60 s, lag 5 s, so records up to 65 s ahead of the clock need no vote. In the drawings
a row is a record, in offset order, and stands below its event time.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamagg.core.clock import Outcome, PartitionClock, PartitionState, SetAside, TimestampsNeeded
from streamagg.core.windows import Windows
from streamagg.settings import WindowSettings
from tests.support.blocks import Record, records_at, whole
from tests.support.oracle import recount

SETTINGS = WindowSettings(60_000, 0, 5_000, 65_000)
FAR_S = 1_000_000


def clock_at(second: float | None, *set_aside: SetAside, **more: bool) -> PartitionClock:
    clock_ms = None if second is None else int(second * 1000)
    return PartitionClock(Windows(SETTINGS), PartitionState(0, clock_ms, set_aside, **more))


def feed(clock: PartitionClock, log: Sequence[Record], *, timestamps: bool = True) -> Outcome:
    block = whole(log, timestamps=timestamps)
    return clock.feed(block.event_times(), block.users(), block.offsets(), block.live_flags(), block.next)


def applied_s(*outcomes: Outcome) -> list[float]:
    """Event times of the applied rows, in the order in which they were applied."""
    return [int(t) / 1000 for outcome in outcomes for run in outcome.runs for t in run.event_time_ms]


def waiting_s(clock: PartitionClock) -> list[float]:
    return [record.event_time_ms / 1000 for record in clock.state.set_aside]


class TestLateness:
    """::

    seconds    0              60   65
               |------0-------|--1--
    clock                      ^64.999   59.999 is in time
    clock                       ^65      59.999 is late, 60 is not
    """

    def test_a_record_is_in_time_until_the_clock_closes_its_window(self) -> None:
        outcome = feed(clock_at(60), records_at(64.999, 59.999))
        assert (applied_s(outcome), outcome.late) == ([64.999, 59.999], 0)

    def test_a_record_is_late_from_the_closing_time_on(self) -> None:
        outcome = feed(clock_at(60), records_at(65, 59.999, 60))
        assert (applied_s(outcome), outcome.late) == ([65, 60], 1)

    def test_the_clock_before_the_block_counts(self) -> None:
        outcome = feed(clock_at(65), records_at(59.999))
        assert (outcome.runs, outcome.late) == ([], 1)

    def test_late_records_do_not_turn_the_clock_back(self) -> None:
        clock = clock_at(200)
        outcome = feed(clock, records_at(10, 199, 20))
        assert (applied_s(outcome), outcome.late, clock.state.clock_ms) == ([199], 2, 200_000)

    def test_the_first_record_sets_the_clock_once_it_is_confirmed(self) -> None:
        clock = clock_at(None)
        outcome = feed(clock, records_at(100, 101, 102))
        assert (applied_s(outcome), waiting_s(clock)) == ([], [100, 101, 102])
        outcome = feed(clock, records_at(103, first=3))
        assert (applied_s(outcome), waiting_s(clock)) == ([100, 101, 102, 103], [])


class TestJumps:
    """::

    seconds   100 101 102 103              1,000,000
    offset 0   x
           1                                   x      set aside: out of reach
           2       x                                  no vote for it
           3           x                              ...
    """

    def test_a_far_future_record_in_the_middle_moves_nothing(self) -> None:
        clock = clock_at(100)
        outcome = feed(clock, records_at(101, FAR_S, 102, 103))
        assert (applied_s(outcome), waiting_s(clock)) == ([101, 102, 103], [FAR_S])
        assert clock.state.clock_ms == 103_000

    @pytest.mark.parametrize(("voters", "rejected"), [(31, []), (32, [0])])
    def test_it_is_rejected_after_32_records_that_do_not_confirm_it(
        self, voters: int, rejected: list[int]
    ) -> None:
        clock = clock_at(100)
        outcome = feed(clock, records_at(FAR_S, *[101] * voters))
        assert outcome.future == rejected
        assert len(waiting_s(clock)) == 1 - len(rejected)
        assert applied_s(outcome) == [101] * voters

    def test_the_32nd_record_may_still_be_the_third_vote(self) -> None:
        clock = clock_at(100)
        outcome = feed(clock, records_at(FAR_S, FAR_S, FAR_S, *[101] * 29, FAR_S))
        # Only the first has three votes by then; it moves the clock, and the others are in reach.
        assert outcome.future == []
        assert applied_s(outcome)[29:] == [FAR_S] * 4

    def test_a_far_future_first_record_does_not_hold_up_the_honest_ones(self) -> None:
        clock = clock_at(None)
        outcome = feed(clock, records_at(FAR_S, 100, 101, 102, 103, 104))
        assert (applied_s(outcome), waiting_s(clock)) == ([100, 101, 102, 103, 104], [FAR_S])

    def test_two_corrupt_records_in_a_row_do_not_confirm_each_other(self) -> None:
        clock = clock_at(100)
        outcome = feed(clock, records_at(FAR_S, FAR_S + 1, *[101] * 33))
        assert (applied_s(outcome), outcome.future) == ([101] * 33, [0, 1])
        assert clock.state == PartitionState(35, 101_000)

    def test_an_honest_gap_is_crossed_at_the_third_vote_in_offset_order(self) -> None:
        """::

        seconds   100        ...       5000 5001 5002 5003
        offset 0   x
               1                        x                    votes: 2, 3, 4
               4                                       x     the clock moves, 1 to 4 are applied
        """
        clock = clock_at(90)
        log = records_at(100, 5_002, 5_000, 5_001, 5_003)
        outcome = feed(clock, log)
        assert applied_s(outcome) == [100, 5_002, 5_000, 5_001, 5_003]
        assert clock.state == PartitionState(5, 5_003_000)

    @pytest.mark.parametrize(("vote_s", "confirmed"), [(FAR_S - 65, True), (FAR_S - 65.001, False)])
    def test_a_vote_may_lie_max_jump_behind(self, vote_s: float, confirmed: bool) -> None:
        clock = clock_at(100)
        feed(clock, records_at(FAR_S, vote_s, vote_s, vote_s))
        assert (FAR_S not in waiting_s(clock)) is confirmed

    @pytest.mark.parametrize(("time_s", "needs_votes"), [(165, False), (165.001, True)])
    def test_reach_ends_exactly_at_max_jump(self, time_s: float, needs_votes: bool) -> None:
        clock = clock_at(100)
        outcome = feed(clock, records_at(time_s))
        assert waiting_s(clock) == ([time_s] if needs_votes else [])
        assert applied_s(outcome) == ([] if needs_votes else [time_s])

    def test_a_block_longer_than_max_jump_without_a_jump_stays_in_columns(self) -> None:
        clock = clock_at(0)
        outcome = feed(clock, records_at(*range(0, 600, 10)))
        assert [run.steps for run in outcome.runs] == [None]
        assert applied_s(outcome) == [*range(0, 600, 10)]

    def test_a_record_is_applied_as_soon_as_the_clock_has_come_near(self) -> None:
        clock = clock_at(100)
        outcome = feed(clock, records_at(200, 134.999, 135))
        assert applied_s(outcome) == [134.999, 135, 200]

    def test_a_live_record_needs_no_vote(self) -> None:
        clock = clock_at(100)
        outcome = feed(clock, records_at(FAR_S, live=True))
        assert (applied_s(outcome), clock.state.clock_ms) == ([FAR_S], FAR_S * 1000)

    def test_what_was_confirmed_too_late_is_late(self) -> None:
        """::

        seconds    100        5000                9000
        offset 0                x                         set aside
               1-2                                  xx    votes for 0 and waiting themselves
               3                                    x     live: the clock jumps over the window of 0
        """
        clock = clock_at(100)
        log = [*records_at(5_000, 9_000, 9_000), *records_at(9_000, first=3, live=True)]
        outcome = feed(clock, log)
        assert (applied_s(outcome), outcome.late, waiting_s(clock)) == ([9_000] * 3, 1, [])


class TestTimestamps:
    def test_they_are_asked_for_only_where_they_decide(self) -> None:
        waiting = SetAside(0, FAR_S * 1000, 7, 0, 0)
        clock = clock_at(100, waiting)
        outcome = feed(clock, records_at(101, 102, first=1), timestamps=False)
        assert applied_s(outcome) == [101, 102]
        assert clock.state.set_aside == (waiting._replace(seen=2),)

    @pytest.mark.parametrize("start_s", [None, 100])
    def test_asking_changes_nothing(self, start_s: float | None) -> None:
        clock = clock_at(start_s, SetAside(0, 999_000, 7, 5, 1))
        before = clock.state
        with pytest.raises(TimestampsNeeded):
            feed(clock, records_at(101, 102, 999_000, 103, first=1)[start_s is None :], timestamps=False)
        assert clock.state == before
        assert clock.state.set_aside == (SetAside(0, 999_000, 7, 5, 1),)


class TestTheEnd:
    def test_a_lone_record_is_applied(self) -> None:
        clock = clock_at(None)
        feed(clock, records_at(100))
        assert applied_s(clock.settle()) == [100]
        assert clock.state == PartitionState(1, 100_000)

    def test_the_last_records_after_a_gap_are_applied(self) -> None:
        clock = clock_at(100)
        feed(clock, records_at(5_000, 5_001))
        assert applied_s(clock.settle()) == [5_000, 5_001]

    def test_a_record_that_one_follower_contradicts_is_rejected(self) -> None:
        clock = clock_at(100)
        feed(clock, records_at(FAR_S, 101))
        outcome = clock.settle()
        assert (applied_s(outcome), outcome.future, clock.state.set_aside) == ([], [0], ())

    def test_nothing_waits_nothing_happens(self) -> None:
        clock = clock_at(100)
        assert clock.settle() == Outcome()
        assert clock.state == PartitionState(0, 100_000)


class TestBegunInside:
    @pytest.mark.parametrize(("inside", "partial_through"), [(False, None), (True, 2)])
    def test_the_window_of_the_first_record_is_remembered(
        self, inside: bool, partial_through: int | None
    ) -> None:
        clock = clock_at(None, began_inside=inside)
        feed(clock, records_at(130, 131, 190, 191, 192))
        assert clock.state.partial_through == partial_through


TIMES_S = st.lists(
    st.one_of(st.integers(0, 400), st.sampled_from([FAR_S, FAR_S + 50])), min_size=1, max_size=50
)


@given(TIMES_S, st.lists(st.booleans(), min_size=50, max_size=50), st.sets(st.integers(1, 49)))
def test_the_cut_of_the_blocks_has_no_say(times_s: list[int], live: list[bool], cuts: set[int]) -> None:
    log = [
        Record(r.offset, r.time_ms, r.user, believed)
        for r, believed in zip(records_at(*times_s), live, strict=False)
    ]
    borders = [0, *sorted(cut for cut in cuts if cut < len(log)), len(log)]
    pieces, at_once = clock_at(None), clock_at(None)
    cut = [feed(pieces, log[a:b]) for a, b in pairwise(borders)] + [pieces.settle()]
    one = [feed(at_once, log), at_once.settle()]
    assert pieces.state == at_once.state
    assert applied_s(*cut) == applied_s(*one)
    expected = recount([log], SETTINGS)
    assert sum(o.late for o in cut) == sum(o.late for o in one) == expected.late
    assert sum(len(o.future) for o in cut) == sum(len(o.future) for o in one) == expected.future
    assert len(applied_s(*one)) == sum(map(len, expected.users.values()))


@given(TIMES_S, st.integers(0, 300))
def test_reading_again_from_before_any_row_gives_that_row_and_all_behind_it(
    times_s: list[int], start_s: int
) -> None:
    clock = clock_at(start_s)
    log = records_at(*times_s)
    outcome = feed(clock, log)
    rows = [(run, row) for run in outcome.runs for row in range(len(run.user))]
    for number, (run, row) in enumerate(rows):
        again = PartitionClock(clock._windows, run.state_before(row))
        users = [int(u) for r in feed(again, log[again.state.offset :]).runs for u in r.user]
        expected = [int(r.user[i]) for r, i in rows[number:]]
        # Rows of one step have the same state before it, so some of its earlier rows may come again.
        assert users[len(users) - len(expected) :] == expected
        assert again.state == clock.state


@given(TIMES_S, st.integers(0, 300), st.data())
def test_the_halves_of_a_cut_run_know_the_same_states(
    times_s: list[int], start_s: int, data: st.DataObject
) -> None:
    clock = clock_at(start_s)
    for run in feed(clock, records_at(*times_s)).runs:
        states = [run.state_before(row) for row in range(len(run.user))]
        clocks = [run.clock_before(row) for row in range(len(run.user))]
        cut = data.draw(st.integers(0, len(states) - 1))
        halves = run.cut(cut) if cut else (run,)
        assert [half.state_before(row) for half in halves for row in range(len(half.user))] == states
        assert [half.clock_before(row) for half in halves for row in range(len(half.user))] == clocks
        assert np.concatenate([half.event_time_ms for half in halves]).tolist() == run.event_time_ms.tolist()
