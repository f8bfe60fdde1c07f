"""What an aggregator tells of itself; that it counts right is tested with the whole pipeline."""

import numpy as np

from streamagg.engine.workers.aggregator import Aggregator
from streamagg.model.messages import AggregatorSetup, CloseWindow, FreeWindow, Reset, WindowRows


def rows(**users: list[int]) -> WindowRows:
    """Rows by window: ``rows(w7=[1, 2])``."""
    column = np.array([user for those in users.values() for user in those], np.uint64)
    return WindowRows([int(name[1:]) for name in users], list(map(len, users.values())), (column.tobytes(),))


def given(*messages: WindowRows | CloseWindow | FreeWindow | Reset) -> Aggregator:
    aggregator = Aggregator(AggregatorSetup(slots=8))
    for message in messages:
        list(aggregator.handle(message))
    return aggregator


def test_users_are_held_by_window_until_it_is_freed() -> None:
    aggregator = given(rows(w7=[1, 2, 3], w8=[4]))
    assert aggregator.users() == {7: 3, 8: 1}
    assert aggregator.held_bytes >= 4 * 8
    list(aggregator.handle(FreeWindow(7)))
    assert aggregator.users() == {8: 1}


def test_rows_count_until_they_are_merged() -> None:
    """Then users do, each once."""
    aggregator = given(rows(w7=[1, 1, 1, 2]))
    assert aggregator.users() == {7: 4}
    list(aggregator.handle(CloseWindow(7)))
    assert aggregator.users() == {7: 2}
    assert aggregator.held_bytes == (2 + 1) * 8, "and a number of records"


def test_nothing_is_held_after_a_reset() -> None:
    aggregator = given(rows(w7=[1]), Reset(2))
    assert (aggregator.users(), aggregator.held_bytes) == ({}, 0)


def test_a_message_with_rows_is_a_batch() -> None:
    aggregator = given(rows(w7=[1]), rows(w7=[1], w8=[2]), CloseWindow(7), FreeWindow(7), Reset(1))
    assert {stage: sum(times.counts) for stage, times in aggregator.times.by_stage.items()} == {"add": 2}
