"""The judge of the chaos run: it must find what is wrong, or its tables mean nothing."""

import gzip
from pathlib import Path
from random import Random
from typing import get_args

import pytest

from streamagg.model.settings import CalendarSettings
from tests.chaos.faults import scenarios
from tests.chaos.files import Habit, Writer
from tests.chaos.outcome import Outcome, Verdict, compare, compare_all, parse
from tests.chaos.shape import Shape
from tests.chaos.truth import Count, Truth

SHAPE = Shape()
RIGHT = {10_000: [Count(2, 3)], 11_000: [Count(1, 1)]}


def told(shape: Shape = SHAPE) -> Truth:
    """Two partitions; granularity 1 s, max lag 2 s.

    partition 0   10.0 a   10.5 a   11.2 b             14.0 x
    partition 1   10.1 b                     13.9 x    14.1 x   10.2 c ✗ late   14.0 x
    watermark                                                                    └ closes 10 and 11
    """
    truth = Truth(shape.window, 2)
    for partition, time_ms, user in (
        (0, 10_000, "a"),
        (0, 10_500, "a"),
        (0, 11_200, "b"),
        (1, 10_100, "b"),
        (1, 13_900, "x"),
        (1, 14_100, "x"),
        (1, 10_200, "c"),
        (0, 14_000, "x"),
    ):
        truth.add(partition, time_ms, user)
    return truth


def test_the_truth_counts_users_by_the_clock_of_their_partition() -> None:
    truth = told()
    assert truth.closed() == {10_000: Count(2, 3), 11_000: Count(1, 1)}
    assert truth.open() == {13_000: Count(1, 1), 14_000: Count(1, 2)}
    assert truth.late == 1


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({}, (2, 0, 0, 0)),
        ({10_000: [Count(3, 3)]}, (2, 1, 0, 0)),
        ({10_000: [Count(2, 4)]}, (2, 1, 0, 0)),
        ({10_000: [Count(2, 3)] * 2}, (2, 0, 1, 0)),
        ({10_000: [Count(2, 3), Count(1, 3)]}, (2, 1, 0, 0)),
        ({10_000: []}, (2, 0, 0, 1)),
        ({13_000: [Count(1, 1)]}, (3, 0, 0, 0)),
        ({13_000: [Count(1, 2)]}, (3, 1, 0, 0)),
        ({99_000: [Count(1, 1)]}, (3, 1, 0, 0)),
    ],
)
def test_every_difference_is_found(
    change: dict[int, list[Count]], verdict: tuple[int, int, int, int]
) -> None:
    found = compare(RIGHT | change, told())
    assert (found.windows, found.wrong, found.doubled, found.lost) == verdict


def test_records_of_the_output_topic_are_read() -> None:
    rows = [(b"10", b'{"ts":10,"cnt":2,"records":3}'), (b"10.5", b'{"ts":10.5,"cnt":1,"records":1}')]
    assert parse(rows) == {10_000: [Count(2, 3)], 10_500: [Count(1, 1)]}


def test_periods_are_compared_with_the_truth_of_their_own() -> None:
    calendar = CalendarSettings("2s", 2_000)
    truth = told(Shape(calendars=(calendar,)))
    assert truth.calendars == ("", "2s")
    assert truth.closed("2s") == {10_000: Count(2, 4)}
    rows = [(b"10", b'{"cnt":2,"records":3}'), (b"11", b'{"cnt":1,"records":1}')]
    period = b"2s 10", b'{"cnt":2,"records":4}'
    assert compare_all([*rows, period], truth).good
    assert compare_all(rows, truth).lost == 1
    assert compare_all([*rows, period, period], truth).doubled == 1
    assert compare_all([*rows, (b"2s 10", b'{"cnt":3,"records":4}')], truth).wrong == 1
    assert compare_all([*rows, period], truth).windows == 3


def test_a_line_is_good_only_if_something_was_broken_and_checked() -> None:
    verdict = Verdict(windows=3)
    assert Outcome("a", "a", 1, verdict).good
    assert not Outcome("a", "a", 0, verdict).good
    assert not Outcome("a", "a", 1, Verdict()).good
    assert not Outcome("a", "a", 1, Verdict(3, lost=1)).good
    assert not Outcome("a", "a", 1, verdict, problems=["an orphan"]).good


def test_scenarios_have_names_of_their_own() -> None:
    names = [scenario.name for scenario in scenarios()]
    assert len(set(names)) == len(names)
    assert any(scenario.quick for scenario in scenarios())


@pytest.mark.parametrize("habit", get_args(Habit))
def test_what_is_written_into_files_is_there_once_and_in_order(habit: Habit, tmp_path: Path) -> None:
    """Whatever a writer's habit is: the truth is told each line when the writer is given it."""
    writer = Writer(tmp_path / "00", habit, Random(5))
    lines = [b'{"n":%d}' % number for number in range(400)]
    for number, line in enumerate(lines):
        writer.add(line)
        if number % 2:
            writer.step()
    writer.end()
    found = [path.read_bytes() for path in writer.finished]
    assert len(found) > 1
    assert writer.finished == sorted(path for path in tmp_path.rglob("*") if path.is_file())
    plain = found if writer.is_plain else [gzip.decompress(content) for content in found]
    assert b"".join(plain).splitlines() == lines
