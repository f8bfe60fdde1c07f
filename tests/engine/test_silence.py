"""When a partition is idle, when what it set aside is believed, and when it is held up.

Every time line is in seconds, with an idle time-out of 10 s. ``✓``: the end is where reading has come to.
"""

from streamagg.engine.session.silence import CaughtUp, Decision, Silence

READ = CaughtUp(7, believable=False)
ASIDE = CaughtUp(7, believable=True)


def silence(*partitions: int) -> Silence:
    """These begin at 0."""
    made = Silence(10_000, 30_000)
    for partition in partitions:
        made.begin(partition, None, 0)
    return made


def asked(of: Silence, at_s: float, *, end: int = 7, read: CaughtUp = READ) -> Decision | None:
    """What follows for partition 0 from an end that was asked for then."""
    return of.confirm({0: read}, {0: end}, int(at_s * 1_000)).get(0)


def test_an_end_is_asked_for_after_half_the_time_out() -> None:
    """::

    arrivals    0 ┃   1 ┃
    asked for              5: 0     6: both
    """
    both = silence(0, 1)
    both.arrived(1, 1_000)
    caught_up = {0: READ, 1: READ}
    assert both.quiet(caught_up, 4_999) == []
    assert both.quiet(caught_up, 5_000) == [0]
    assert both.quiet(caught_up, 6_000) == [0, 1]
    assert both.quiet({1: READ}, 6_000) == [1], "the other is not read to its end"


def test_a_partition_is_idle_after_the_time_out_and_half_of_it_confirmed() -> None:
    """::

    0 ┃ ── 5 ✓ ── 9.999 ✓ ── 10 ✓ idle
    0 ┃ ────────── 8 ✓ ───── 10 ✓ ── 12.999 ✓ ── 13 ✓ idle
    """
    soon = silence(0)
    assert [asked(soon, at_s) for at_s in (5, 9.999, 10)] == [None, None, "idle"]
    late = silence(0)
    assert [asked(late, at_s) for at_s in (8, 10, 12.999, 13)] == [None, None, None, "idle"]


def test_no_answer_and_an_end_that_has_moved_begin_it_again() -> None:
    """::

    0 ┃ ── 5 ✓ ── ? ── 60 ✓ ── 64.999 ✓ ── 65 ✓ idle
    0 ┃ ── 5 ✓ ── 8 moved ── 10 ✓ ──────── 15 ✓ idle
    """
    away = silence(0)
    assert asked(away, 5) is None
    away.ends_unknown()
    assert [asked(away, at_s) for at_s in (60, 64.999, 65)] == [None, None, "idle"]
    moved = silence(0)
    assert [asked(moved, 5), asked(moved, 8, end=8)] == [None, None]
    assert [asked(moved, at_s) for at_s in (10, 14.999, 15)] == [None, None, "idle"]


def test_an_end_that_was_not_answered_confirms_nothing() -> None:
    one = silence(0)
    assert [one.confirm({0: READ}, {}, at_ms) for at_ms in (5_000, 10_000)] == [{}, {}]
    assert asked(one, 12) is None


def test_an_arrival_begins_it_again_whenever_the_answer_comes() -> None:
    """::

    0 ┃ ── 5 ✓ ── 6 ┃ ── 9 ✓ of before the arrival ── 11 ✓ ── 15.999 ✓ ── 16 ✓ idle
    """
    one = silence(0)
    assert asked(one, 5) is None
    one.arrived(0, 6_000)
    assert [asked(one, at_s) for at_s in (9, 11, 15.999, 16)] == [None, None, None, "idle"]


def test_what_stands_for_the_time_out_is_believed_while_more_comes() -> None:
    """::

    0 ┃ set aside ── 9 ┃ another ── 9.999 ✓ ── 10 ✓ believe ── 18.999 ✓ believe ── 19 ✓ idle
    """
    one = silence(0)
    one.applied(0, 3)
    one.arrived(0, 9_000)
    one.applied(0, 3)
    decisions = [asked(one, at_s, read=ASIDE) for at_s in (9.999, 10, 18.999, 19)]
    assert decisions == [None, "believe", "believe", "idle"]


def test_what_is_set_aside_next_stands_since_it_came() -> None:
    """::

    0 ┃ 3 is set aside ── 6 ┃ 3 is decided, 5 set aside ── 10.999: not asked for ── 11: asked for
    """
    one = silence(0)
    one.applied(0, 3)
    one.arrived(0, 6_000)
    one.applied(0, 5)
    assert one.quiet({0: ASIDE}, 10_999) == []
    assert one.quiet({0: ASIDE}, 11_000) == [0]


def test_what_can_never_be_believed_does_not_stand() -> None:
    one = silence(0)
    one.applied(0, 3)
    one.arrived(0, 9_000)
    assert asked(one, 10) is None
    assert one.quiet({0: READ}, 13_999) == []


def test_silence_of_all_is_as_long_as_that_of_the_last() -> None:
    both = silence(0, 1)
    both.arrived(1, 3_000)
    assert [both.length_ms(now_ms) for now_ms in (2_000, 3_000, 7_500)] == [0, 0, 4_500]


def test_a_partition_that_cannot_be_read_to_its_end_is_told_once() -> None:
    """::

    end 9, read to 7   10 ── 39.999 ── 40 told ── 80
    read to 9          90                               and again behind 9: 100 ── 130 told
    """
    one = silence(0)
    told = [one.held_up({0: 7}, {0: 9}, at_ms) for at_ms in (10_000, 39_999, 40_000, 80_000)]
    assert told == [[], [], [0], []]
    assert one.held_up({0: 9}, {0: 9}, 90_000) == []
    assert [one.held_up({0: 9}, {0: 10}, at_ms) for at_ms in (100_000, 130_000)] == [[], [0]]
