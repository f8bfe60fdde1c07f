"""Which late records are reported, drawn as time lines, and what is written of them.

Granularity 60 s, lag 5 s: window ``w`` is ``[60 w, 60 w + 60)`` and closes at ``60 w + 65`` seconds.
"""

import json
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from streamagg.core.late_references import MOST_LATE, LateBook, LateReferences
from streamagg.core.partition_clock import LateRows, PartitionState
from streamagg.core.sequencer import Sequencer
from streamagg.core.windows import Windows
from streamagg.model.settings import WindowSettings
from streamagg.sinks.json_records import render_late
from tests.support.blocks import Record, block, records_at, set_aside, whole

TIME_OF_DAY_MS = 1 << 50
"""Behind every event time."""

SETTINGS = WindowSettings(60_000, 0, 5_000, 65_000)
WINDOWS = Windows(SETTINGS)
Told = tuple[int, int, int, int, bool]
"""Partition, offset, event time and clock in milliseconds, closed early."""
PAGE = (Path(__file__).parents[2] / "docs" / "lateness.md").read_text("utf-8")


def sequencer(state: PartitionState, *, read_before: int = 0, most: int = 100) -> Sequencer:
    """One partition, number 3."""
    return Sequencer(WINDOWS, 64, {3: state}, read_before={3: read_before}, most_late=most)


def give(seq: Sequencer, log: Sequence[Record]) -> None:
    """Offer a log as one block, and apply it."""
    seq.offer(whole(log, partition=3))
    list(seq.advance())


def told(references: Sequence[LateReferences]) -> list[Told]:
    return [
        (each.partition, offset, time_ms, clock_ms, each.closed_early)
        for each in references
        for offset, time_ms, clock_ms in zip(
            each.offset.tolist(), each.event_time_ms.tolist(), each.clock_ms.tolist(), strict=True
        )
    ]


class TestWhichAreTold:
    def test_late_records_with_the_clock_just_before_them(self) -> None:
        """::

        seconds    0              60   65            120  125
        offset 0                       |
               1              59 x                              late: the clock is at 65
               2                                          |
               3                    63 x                        late: the clock is at 125
               4                                    119 x       late: the same
        """
        seq = sequencer(PartitionState(0, 60_000))
        give(seq, records_at(65, 59, 125, 63, 119))
        assert told(seq.late.take()) == [
            (3, 1, 59_000, 65_000, False),
            (3, 3, 63_000, 125_000, False),
            (3, 4, 119_000, 125_000, False),
        ]
        assert seq.partitions[3].counts.late == 3

    def test_each_is_taken_once(self) -> None:
        seq = sequencer(PartitionState(0, 65_000))
        give(seq, records_at(59))
        assert (seq.late.waiting, len(seq.late.take()), seq.late.waiting) == (1, 1, 0)
        assert seq.late.take() == ()

    def test_nothing_is_kept_that_nobody_wants(self) -> None:
        seq = sequencer(PartitionState(0, 65_000), most=0)
        give(seq, records_at(59))
        assert (seq.partitions[3].counts.late, seq.late.waiting, seq.late.full) == (1, 0, False)

    def test_what_had_been_read_before_has_been_told(self) -> None:
        """Read again from offset 0; the offsets below 2 had been applied at the checkpoint."""
        seq = sequencer(PartitionState(0, 65_000), read_before=2)
        give(seq, records_at(57, 58, 59))
        assert [offset for _, offset, *_ in told(seq.late.take())] == [2]
        assert seq.partitions[3].counts.late == 3

    def test_one_set_aside_is_told_where_it_was_decided(self) -> None:
        """The offset 1 had been read, and the record at 1 was decided at 4: after the checkpoint.

        ::

            offset  1  set aside at 300
                    2, 3, 4  live, at 1000: the clock goes there, and 300 is in reach of it and late
        """
        state = PartitionState(2, 60_000, (set_aside(1, 300_000, 7),))
        seq = sequencer(state, read_before=2)
        give(seq, records_at(1_000, first=2, live=True))
        assert told(seq.late.take()) == [(3, 1, 300_000, 1_000_000, False)]

    def test_records_of_windows_closed_in_silence(self) -> None:
        """Reported with the clock of their own partition, by which they are not late at all."""
        seq = sequencer(PartitionState(0, 60_000))
        give(seq, records_at(70, 130))
        seq.set_idle(3, TIME_OF_DAY_MS)
        list(seq.advance(59_000))
        give(seq, records_at(179, 184, first=2))
        assert told(seq.late.take()) == [(3, 2, 179_000, 130_000, True)]
        assert seq.partitions[3].counts.closed_early == 1

    def test_not_those_of_windows_published_before(self) -> None:
        seq = Sequencer(
            WINDOWS, 64, {3: PartitionState(0, 60_000)}, closed_through=1, read_before={3: 1}, most_late=9
        )
        give(seq, records_at(70, 71))
        assert told(seq.late.take()) == [(3, 1, 71_000, 70_000, True)]


class TestTheBound:
    def test_nothing_is_applied_while_too_many_wait(self) -> None:
        seq = sequencer(PartitionState(0, 200_000), most=3)
        log = records_at(1, 2, 3, 4, 5, 201)
        for first in range(0, 6, 2):
            seq.offer(block(log, first, first + 2, partition=3))
        assert list(seq.advance()) == []
        assert (seq.late.full, seq.late.waiting, seq.partitions[3].position) == (True, 4, 4)
        list(seq.advance())
        assert seq.partitions[3].position == 4
        assert len(told(seq.late.take())) == 4
        list(seq.advance())
        assert (seq.late.full, seq.late.waiting, seq.partitions[3].position) == (False, 1, 6)

    def test_nor_while_too_many_are_rejected_as_future(self) -> None:
        """The record that is contradicted by the 24th behind it as well."""
        seq = Sequencer(WINDOWS, 64, {3: PartitionState(0, 60_000)}, most_future=2)
        log = records_at(9_000, 9_999, *[61] * 32, 62)
        seq.offer(block(log, 0, 34, partition=3))
        seq.offer(block(log, 34, 35, partition=3))
        list(seq.advance())
        assert (seq.full, seq.untold, seq.partitions[3].position) == (True, True, 34)
        assert seq.take_future() == ((3, 1), (3, 0))
        list(seq.advance())
        assert (seq.full, seq.untold, seq.partitions[3].position) == (False, False, 35)

    def test_an_empty_share_takes_no_place(self) -> None:
        book = LateBook(5)
        column = np.array([1, 2], np.int64)
        book.add(0, LateRows(column, column, column, column), read_before=3)
        assert (book.waiting, book.take()) == (0, ())


@given(
    st.lists(st.integers(0, 400), min_size=1, max_size=50),
    st.lists(st.booleans(), min_size=50, max_size=50),
    st.sets(st.integers(1, 49)),
)
def test_the_cut_of_the_blocks_has_no_say(times_s: list[int], live: list[bool], cuts: set[int]) -> None:
    log = [
        Record(r.offset, r.time_ms, r.user, believed)
        for r, believed in zip(records_at(*times_s), live, strict=False)
    ]
    pieces, at_once = sequencer(PartitionState(0, 100_000)), sequencer(PartitionState(0, 100_000))
    borders = [0, *sorted(cut for cut in cuts if cut < len(log)), len(log)]
    for first, stop in pairwise(borders):
        pieces.offer(block(log, first, stop, partition=3))
        list(pieces.advance())
    give(at_once, log)
    for seq in (pieces, at_once):
        seq.set_idle(3, TIME_OF_DAY_MS)
    cut, one = told(pieces.late.take()), told(at_once.late.take())
    assert cut == one
    assert len(one) == at_once.partitions[3].counts.late
    for _, offset, time_ms, clock_ms, _ in one:
        assert time_ms == log[offset].time_ms
        assert WINDOWS.closes_at_ms(WINDOWS.number(time_ms)) <= clock_ms


def test_the_page_names_what_is_written() -> None:
    column = np.array([1], np.int64)
    ((_, value),) = render_late("t", WINDOWS, LateReferences(0, column, column, column, closed_early=False))
    section = PAGE.split("## The late topic")[1].split("\n## ")[0]
    cells = re.findall(r"^\| (`.+?) \|", section, re.MULTILINE)
    assert re.findall("`([^`]+)`", " ".join(cells)) == list(json.loads(value))
    example = section.split("```json\n")[1].split("```")[0]
    assert list(json.loads(example)) == list(json.loads(value))
    assert f"{MOST_LATE:,}" in section


def test_what_is_written() -> None:
    """Times like those of published windows: in seconds, whole ones as integers."""
    windows = Windows(WindowSettings(1_500, 0, 0, 1_500))
    column = np.array([[7, 4_200, 9_000], [8, 3_000, 4_500]], np.int64).T
    rows = list(render_late("visits", windows, LateReferences(2, *column, closed_early=False)))
    assert [key for key, _ in rows] == [b"2:7", b"2:8"]
    assert [json.loads(value) for _, value in rows] == [
        {
            "topic": "visits",
            "partition": 2,
            "offset": 7,
            "time": 4.2,
            "window": 3,
            "late_ms": 4_500,
            "closed_early": False,
            "v": 1,
        },
        {
            "topic": "visits",
            "partition": 2,
            "offset": 8,
            "time": 3,
            "window": 3,
            "late_ms": 0,
            "closed_early": False,
            "v": 1,
        },
    ]
