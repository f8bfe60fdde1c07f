"""Order, holding, closing, silence and checkpoints across partitions, drawn as time lines.

Granularity 60 s, lag 5 s: window ``w`` is ``[60 w, 60 w + 60)`` and closes at ``60 w + 65`` seconds.
"""

from collections.abc import Mapping, Sequence

import pytest

from streamagg.core.partition_clock import PartitionState
from streamagg.core.sequencer import Closed, Reread, Rows, Sequencer, Step
from streamagg.core.windows import FEW, Windows
from streamagg.model.counters import Counters
from streamagg.model.settings import WindowSettings
from tests.support.blocks import Record, block, records_at, set_aside, users_in, whole

TIME_OF_DAY_MS = 1 << 50
"""Behind every event time."""

WINDOW = WindowSettings(60_000, 0, 5_000, 65_000)
WINDOWS = Windows(WINDOW)
FAR_S = 1_000_000


def sequencer(
    clocks_s: Mapping[int, int | None], *, slots: int = 64, closed_through: int | None = None
) -> Sequencer:
    """Partitions at offset 0 with these clocks."""
    states = {p: PartitionState(0, None if clock is None else clock * 1000) for p, clock in clocks_s.items()}
    return Sequencer(WINDOWS, slots, states, closed_through=closed_through)


def give(
    sequencer: Sequencer, partition: int, log: Sequence[Record], *, timestamps: bool = True
) -> list[Step]:
    """Offer a log as one block and apply what can be applied."""
    sequencer.offer(whole(log, partition=partition, timestamps=timestamps))
    return list(sequencer.advance())


def rows(steps: Sequence[Step]) -> list[int]:
    """Windows of the rows, one entry for each row."""
    return [step.window for step in steps if isinstance(step, Rows) for _ in users_in(step.columns)]


def closed(steps: Sequence[Step]) -> list[int]:
    return [step.window for step in steps if isinstance(step, Closed)]


def close_all(sequencer: Sequencer) -> list[int]:
    sequencer.close_all()
    return closed(list(sequencer.advance()))


class TestOrder:
    def test_blocks_wait_for_those_before_them(self) -> None:
        seq = sequencer({0: 60})
        log = records_at(61, 62, 63)
        seq.offer(block(log, 1, 3))
        assert list(seq.advance()) == []
        assert (seq.partitions[0].position, seq.partitions[0].drained) == (0, False)
        assert seq.partitions[0].parked_rows() == 2
        seq.offer(block(log, 0, 1))
        assert [
            user for step in seq.advance() if isinstance(step, Rows) for user in users_in(step.columns)
        ] == [
            100,
            101,
            102,
        ]
        assert (seq.partitions[0].position, seq.partitions[0].drained) == (3, True)

    def test_gaps_and_rejected_records_move_the_position(self) -> None:
        seq = sequencer({0: 60})
        log = [Record(3, reason="bad_json"), Record(5, reason="bad_json"), Record(6, reason="tombstone")]
        seq.offer(block(log, 0, 9, end=9))
        assert list(seq.advance()) == []
        part = seq.partitions[0]
        assert (part.position, part.caught_up) == (9, True)
        assert part.counts == Counters(consumed=3, rejected={"bad_json": 2, "tombstone": 1})

    def test_an_empty_block_tells_that_the_reader_has_caught_up(self) -> None:
        seq = sequencer({0: 60})
        seq.offer(block([], 0, 0, end=0))
        list(seq.advance())
        part = seq.partitions[0]
        assert (part.position, part.caught_up, part.drained) == (0, True, True)

    def test_rows_of_one_block_are_split_by_window(self) -> None:
        steps = give(sequencer({0: 60}), 0, records_at(119, 121, 118, 61, 122))
        assert [(s.window, users_in(s.columns)) for s in steps if isinstance(s, Rows)] == [
            (1, [100, 102, 103]),
            (2, [101, 104]),
        ]

    @pytest.mark.parametrize("last", [2, 4, FEW, FEW + 1, FEW + 2, 40])
    def test_rows_of_few_and_of_many_windows(self, last: int) -> None:
        wide = Windows(WindowSettings(60_000, 0, max_lag_ms=3_600_000, max_jump_ms=36_000_000))
        seq = Sequencer(wide, 100, {0: PartitionState(0, 60_000)})
        late_first = [60 * window + at for at in (59.999, 0) for window in range(last, 0, -1) if window != 3]
        steps = give(seq, 0, records_at(*late_first))
        windows = [int(second // 60) for second in late_first]
        assert {s.window: users_in(s.columns) for s in steps if isinstance(s, Rows)} == {
            window: [100 + row for row, other in enumerate(windows) if other == window]
            for window in sorted(set(windows))
        }
        touched = {window: state.offset for window, state in seq.partitions[0].first_touch.items()}
        assert touched == {window: windows.index(window) for window in set(windows)}


class TestClosing:
    """::

    seconds       60        120  125      180  185
                  |----1----|----|---2----|----
    partition 0       x              x           x      clock 190
    partition 1          x       x                      clock 125: closes window 1, not 2
    """

    def test_the_slowest_partition_decides(self) -> None:
        seq = sequencer({0: 60, 1: 60})
        assert closed(give(seq, 0, records_at(70, 130, 190))) == []
        assert closed(give(seq, 1, records_at(80, 124.999))) == []
        assert closed(give(seq, 1, records_at(125, first=2))) == [1]

    def test_nothing_closes_while_a_partition_has_no_clock(self) -> None:
        seq = sequencer({0: 60, 1: None})
        assert give(seq, 0, records_at(70, 130, 190)) == []
        assert seq.partitions[0].counts.waiting == 3
        steps = give(seq, 1, records_at(186, live=True))
        assert (sorted(rows(steps)), closed(steps)) == ([1, 2, 3, 3], [1, 2])

    def test_a_record_is_judged_by_the_clock_of_its_own_partition(self) -> None:
        """Partition 1 is slow: its record of window 1 is in time, however far partition 0 is."""
        seq = sequencer({0: 60, 1: 60})
        give(seq, 0, records_at(120, 180, 240, 300))
        assert rows(give(seq, 1, records_at(119))) == [1]
        assert seq.partitions[1].counts.late == 0

    def test_closed_tells_the_number_of_records(self) -> None:
        steps = give(sequencer({0: 60}), 0, records_at(61, 62, 119, 120, 125))
        assert [s for s in steps if isinstance(s, Closed)] == [Closed(1, False)]

    def test_close_all_closes_what_is_open_and_no_more(self) -> None:
        seq = sequencer({0: 60})
        give(seq, 0, records_at(70, 124))
        assert close_all(seq) == [1, 2]
        assert seq.closed_through == 2
        assert close_all(seq) == []

    def test_a_partition_that_is_added_holds_the_watermark(self) -> None:
        seq = sequencer({0: 60})
        give(seq, 0, records_at(70))
        seq.add_partition(1, PartitionState(0), 0)
        assert closed(give(seq, 0, records_at(130, first=1))) == []
        assert closed(give(seq, 1, records_at(131, live=True))) == [1]


class TestPartialWindows:
    """::

    seconds     60        120       180
                |----1----|----2----|----3
    reading began inside  :  x   x     x       window 2 is partial, 3 is not
    """

    @pytest.mark.parametrize(
        ("inside", "partial"), [(True, {2: True, 3: False}), (False, {2: False, 3: False})]
    )
    def test_the_window_in_which_reading_began(self, inside: bool, partial: dict[int, bool]) -> None:
        seq = Sequencer(WINDOWS, 64, {0: PartitionState(40, began_inside=inside)})
        steps = give(seq, 0, records_at(130, *[131] * 24, 190, 191, 245, 250, first=40))
        assert {s.window: s.partial for s in steps if isinstance(s, Closed)} == partial

    def test_the_partition_that_began_last_decides(self) -> None:
        seq = Sequencer(WINDOWS, 64, {p: PartitionState(9, began_inside=True) for p in (0, 1)})
        give(seq, 0, records_at(130, 190, 250, 310, first=9, live=True))
        steps = give(seq, 1, records_at(190, 250, 310, first=9, live=True))
        assert [(s.window, s.partial) for s in steps if isinstance(s, Closed)] == [
            (2, True),
            (3, True),
            (4, False),
        ]


class TestHolding:
    """Three slots::

    window        1     2     3     4     5
    partition 0   x     x     x     x     x      4 waits until 1 is published and freed
    partition 1   x
    """

    def ahead(self) -> Sequencer:
        seq = sequencer({0: 60, 1: 60}, slots=3)
        assert rows(give(seq, 0, records_at(70, 130, 190, 250, 310))) == [1, 2]
        return seq

    def test_a_partition_that_runs_ahead_waits(self) -> None:
        """Nothing of window 0 is closed yet at 60 s, so its slot is kept for partition 1."""
        seq = self.ahead()
        part = seq.partitions[0]
        assert (part.counts.counted, part.counts.waiting, part.parked_rows(), part.drained) == (
            2,
            3,
            3,
            False,
        )
        assert rows(give(seq, 1, records_at(65))) == [1, 3]

    def test_it_applies_no_further_block_meanwhile(self) -> None:
        seq = self.ahead()
        assert give(seq, 0, records_at(311, first=5)) == []
        assert (seq.partitions[0].position, seq.partitions[0].counts.consumed) == (5, 5)

    def test_a_slot_is_kept_until_its_window_is_freed(self) -> None:
        seq = self.ahead()
        steps = give(seq, 1, records_at(125, 185))
        assert (sorted(rows(steps)), closed(steps)) == ([2, 3, 3], [1, 2])
        assert list(seq.advance()) == []
        seq.free(2)
        assert list(seq.advance()) == []
        seq.free(1)
        assert rows(list(seq.advance())) == [4, 5]

    def test_the_slowest_partition_always_finds_a_slot(self) -> None:
        """Two windows may be open with a lag of 5 s; windows are freed as they close."""
        fewest = WINDOW.fewest_slots
        seq = sequencer({0: 60, 1: 60}, slots=fewest)
        give(seq, 0, records_at(*range(70, 3_000, 40)))
        published = []
        for first, second in enumerate(range(70, 3_000, 60)):
            steps = give(seq, 1, records_at(second, first=first))
            assert seq.partitions[1].drained
            for window in closed(steps):
                published.append(window)
                seq.free(window)
        assert published == list(range(1, published[-1] + 1))
        assert published[-1] > 40

    def test_held_rows_hold_the_watermark_even_when_their_partition_is_idle(self) -> None:
        seq = sequencer({0: 60, 1: 400}, slots=3)
        assert rows(give(seq, 0, records_at(70, 130, 190, 250, 310))) == [1, 2, 3]
        seq.set_idle(0, TIME_OF_DAY_MS)
        assert (list(seq.advance()), seq.watermark_ms) == ([], 250_000)
        for window in (1, 2, 3):
            seq.free(window)
        assert rows(list(seq.advance())) == [4, 5]
        assert seq.partitions[0].counts == Counters(consumed=5, counted=5)

    def test_a_checkpoint_stands_before_what_is_held(self) -> None:
        seq = self.ahead()
        give(seq, 1, records_at(125, 185))
        assert seq.partitions[0].position == 5
        assert seq.checkpoint(2)[0] == PartitionState(2, 130_000)
        assert seq.checkpoint(3)[0] == PartitionState(3, 190_000)
        for window in (1, 2):
            seq.free(window)
        list(seq.advance())
        assert seq.checkpoint(4)[0] == PartitionState(4, 250_000)


class TestRereading:
    def test_a_record_out_of_reach_is_read_again_with_timestamps(self) -> None:
        seq = sequencer({0: 60})
        log = records_at(61, 62, FAR_S, 63, 64)
        seq.offer(block(log, 0, 2, timestamps=False))
        seq.offer(block(log, 2, 4, timestamps=False))
        seq.offer(block(log, 4, 5, timestamps=False))
        steps = list(seq.advance())
        assert rows(steps) == [1, 1]
        assert steps[-1] == Reread(0, 2)
        part = seq.partitions[0]
        assert (part.position, part.counts.consumed, part.parked_rows()) == (2, 2, 0)
        assert rows(give(seq, 0, log[2:])) == [1, 1]
        assert part.counts == Counters(consumed=5, counted=4, set_aside=1)

    def test_other_partitions_go_on(self) -> None:
        seq = sequencer({0: 60, 1: 60})
        seq.offer(whole(records_at(FAR_S), partition=0, timestamps=False))
        seq.offer(whole(records_at(61), partition=1, timestamps=False))
        steps = list(seq.advance())
        assert (rows(steps), [s for s in steps if isinstance(s, Reread)]) == ([1], [Reread(0, 0)])


class TestSilence:
    """::

    seconds       60        120  125      180  185
                  |----1----|----|---2----|----|
    partition 0        x           x                 clock 130, then silent
    wall clock                     0 .......... 55   after 55 s of silence window 2 closes
    """

    def silent(self) -> Sequencer:
        seq = sequencer({0: 60})
        assert closed(give(seq, 0, records_at(70, 130))) == [1]
        seq.set_idle(0, TIME_OF_DAY_MS)
        return seq

    def test_an_idle_partition_does_not_hold_the_watermark(self) -> None:
        seq = sequencer({0: 60, 1: 60, 2: None})
        give(seq, 0, records_at(70, 130))
        seq.set_idle(1, TIME_OF_DAY_MS)
        assert list(seq.advance()) == []
        seq.set_idle(2, TIME_OF_DAY_MS)
        assert closed(list(seq.advance())) == [1]

    def test_time_runs_on_with_the_wall_clock(self) -> None:
        seq = self.silent()
        assert closed(list(seq.advance(54_999))) == []
        assert closed(list(seq.advance(55_000))) == [2]

    def test_without_idleness_the_wall_clock_has_no_say(self) -> None:
        seq = sequencer({0: 60})
        give(seq, 0, records_at(70, 130))
        assert list(seq.advance(10**9)) == []

    def test_it_runs_no_further_than_the_last_window_needs(self) -> None:
        """A day of silence, then the next record: its window is open."""
        seq = self.silent()
        assert closed(list(seq.advance(86_400_000))) == [2]
        assert rows(give(seq, 0, records_at(186, first=2))) == [3]

    def test_a_record_of_a_window_closed_in_silence_is_closed_early(self) -> None:
        seq = self.silent()
        list(seq.advance(59_000))
        assert rows(give(seq, 0, records_at(179, 184, first=2))) == [3]
        counts = seq.partitions[0].counts
        assert counts == Counters(consumed=4, counted=3, late=1, closed_early=1)

    def test_a_record_wakes_its_partition_and_it_holds_again(self) -> None:
        seq = sequencer({0: 60, 1: 60})
        give(seq, 0, records_at(70, 100))
        seq.set_idle(1, TIME_OF_DAY_MS)
        give(seq, 1, records_at(65))
        assert not seq.partitions[1].idle
        assert closed(give(seq, 0, records_at(130, first=2))) == []

    def test_rejected_records_wake_it_too_and_an_empty_block_does_not(self) -> None:
        seq = self.silent()
        seq.offer(block([], 2, 2, end=2))
        assert seq.partitions[0].idle
        seq.offer(whole([Record(2, reason="bad_json")]))
        assert not seq.partitions[0].idle

    def test_what_was_set_aside_is_decided(self) -> None:
        seq = sequencer({0: 60, 1: 60})
        give(seq, 0, records_at(70, FAR_S))
        give(seq, 1, records_at(FAR_S, 70))
        for partition in (0, 1):
            seq.set_ended(partition)
        assert closed(list(seq.advance())) == [1]
        seq.free(1)
        assert rows(list(seq.advance())) == [FAR_S // 60]
        assert seq.partitions[0].counts == Counters(consumed=2, counted=2)
        assert seq.partitions[1].counts == Counters(consumed=2, counted=1, rejected={"future": 1})


class TestCheckpoints:
    """::

    window           1       2
    offset 0, 1, 2   x x     |
    offset 3                 x       window 2 begins: state before offset 3
    offset 4         x               out of order
    offset 5                   x     closes window 1
    """

    LOG = records_at(70, 80, 110, 121, 119, 130)

    def test_it_stands_before_the_first_record_of_the_first_open_window(self) -> None:
        seq = sequencer({0: 60})
        give(seq, 0, self.LOG)
        assert seq.checkpoint(None)[0] == PartitionState(0, 60_000)
        assert seq.checkpoint(1)[0] == PartitionState(3, 110_000)
        assert seq.checkpoint(2)[0] == PartitionState(6, 130_000)

    def test_the_smallest_offset_counts_not_the_lowest_window(self) -> None:
        """::

        window      1     2
        offset 0          x     the first record of window 2 comes before that of window 1
        offset 1    x
        """
        seq = sequencer({0: 115})
        give(seq, 0, records_at(121, 119))
        assert seq.checkpoint(0)[0] == PartitionState(0, 115_000)

    def test_a_closed_window_that_is_not_published_counts_as_open(self) -> None:
        seq = sequencer({0: 60})
        steps = give(seq, 0, [*self.LOG, *records_at(190, first=6)])
        assert closed(steps) == [1, 2]
        for _ in range(2):
            assert seq.checkpoint(1)[0] == PartitionState(3, 110_000)

    def test_a_partition_without_a_part_in_any_window_stands_where_it_is(self) -> None:
        seq = sequencer({0: 60, 1: 600})
        give(seq, 0, records_at(70))
        give(seq, 1, records_at(10, 20))
        assert seq.checkpoint(None)[1] == PartitionState(2, 600_000)

    def test_the_state_holds_what_was_set_aside_before_the_window_began(self) -> None:
        seq = sequencer({0: 60})
        give(seq, 0, records_at(110, FAR_S, 121, 126))
        waiting = set_aside(1, FAR_S * 1000, 101)
        assert seq.checkpoint(1)[0] == PartitionState(2, 110_000, (waiting,))

    def test_what_silence_decided_is_decided_again(self) -> None:
        seq = sequencer({0: 60})
        give(seq, 0, records_at(FAR_S))
        seq.set_idle(0, TIME_OF_DAY_MS)
        list(seq.advance())
        state = seq.checkpoint(None)[0]
        assert state == PartitionState(1, 60_000, (set_aside(0, FAR_S * 1000, 100),))
        again = Sequencer(WINDOWS, 64, {0: state}, read_before={0: 1})
        again.set_idle(0, TIME_OF_DAY_MS)
        assert rows(list(again.advance())) == [FAR_S // 60]


class TestReadingAgain:
    def restarted(self) -> Sequencer:
        """Windows up to 1 are published; reading goes on before offset 3, and had come to offset 6."""
        state = PartitionState(3, 110_000)
        return Sequencer(WINDOWS, 64, {0: state}, closed_through=1, read_before={0: 6})

    def test_records_of_published_windows_are_skipped_and_not_late(self) -> None:
        seq = self.restarted()
        steps = give(seq, 0, TestCheckpoints.LOG[3:])
        assert (rows(steps), closed(steps)) == ([2, 2], [])
        assert seq.partitions[0].counts == Counters(consumed=3, counted=2, published_before=1)

    def test_beyond_the_place_reached_before_they_are_closed_early(self) -> None:
        seq = self.restarted()
        give(seq, 0, [*TestCheckpoints.LOG[3:5], *records_at(124, 118, 119, first=5)])
        assert seq.partitions[0].counts == Counters(
            consumed=5, counted=2, published_before=1, late=2, closed_early=2
        )

    def test_what_silence_decided_and_was_published_is_not_closed_early(self) -> None:
        waiting = set_aside(0, FAR_S * 1000, 7)
        state = PartitionState(1, 60_000, (waiting,))
        seq = Sequencer(WINDOWS, 64, {0: state}, closed_through=FAR_S // 60, read_before={0: 1})
        seq.set_idle(0, TIME_OF_DAY_MS)
        assert list(seq.advance()) == []
        assert seq.partitions[0].counts == Counters(consumed=1, published_before=1)

    def test_rows_are_handed_out_before_there_is_a_watermark(self) -> None:
        """``closed_through`` alone says which slots are free."""
        states = {0: PartitionState(0, 110_000), 1: PartitionState(0)}
        seq = Sequencer(WINDOWS, 3, states, closed_through=1)
        assert rows(give(seq, 0, records_at(121, 181, 241, 301))) == [2, 3, 4]
        assert seq.watermark_ms is None
