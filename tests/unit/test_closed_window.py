"""What the answers of shards add up to, below, at and above the ceiling."""

from itertools import permutations

import numpy as np
import pytest

from streamagg.core.closed_window import ClosedWindow
from streamagg.core.measures.contract import Summary
from streamagg.core.open_window import OpenWindow, Rules
from streamagg.core.window_tables import WindowTables, named
from streamagg.core.windows import Windows
from streamagg.errors import ExitCode, TooManyUsers
from streamagg.model.groups import group_text, texts_of
from streamagg.model.messages import ShardCount
from streamagg.model.results import RECORDS, USERS, WindowTable
from streamagg.model.settings import NO_CEILING, PLAIN, CeilingSettings, DecodeSettings, WindowSettings
from tests.support.blocks import answer, window_table

WINDOWS = Windows(WindowSettings())


class Closed:
    """A window that some shards have answered for, and what it comes to."""

    def __init__(self, answers: list[list[Summary]], ceiling: CeilingSettings = NO_CEILING) -> None:
        self._tables = WindowTables(PLAIN, ceiling)
        self._window = ClosedWindow(5, False, set(range(len(answers))))
        for shard, summaries in enumerate(answers):
            assert self._window.missing
            self._window.add(ShardCount(1, 5, summaries), shard)
        assert not self._window.missing
        self._found = self._tables.combined(self._window.answers)

    def table(self) -> WindowTable:
        return self._tables.table(self._window, self._found)

    def refusal(self) -> TooManyUsers | None:
        return self._tables.refusal(self._found, named("window", WINDOWS.start_ms(5)))


def closed(*uniques: int | None, ceiling: CeilingSettings = NO_CEILING) -> Closed:
    return Closed([answer(unique, 33) for unique in uniques], ceiling)


def test_shards_add_up() -> None:
    assert closed(3, 0, 4).table() == window_table(5, 7, 99)


@pytest.mark.parametrize(
    ("uniques", "stops"), [((10,), False), ((11,), True), ((5, 5), False), ((5, 6), True), ((None, 1), True)]
)
def test_what_counts_is_the_sum(uniques: tuple[int | None, ...], stops: bool) -> None:
    closing = closed(*uniques, ceiling=CeilingSettings(10))
    assert (closing.refusal() is not None) == stops


def test_without_a_ceiling_nothing_stops() -> None:
    assert closed(1 << 40).refusal() is None


def test_the_refusal_names_the_window_and_the_way_out() -> None:
    error = closed(None, ceiling=CeilingSettings(1_000)).refusal()
    assert error is not None
    assert error.exit_code == ExitCode.TOO_MANY_USERS == 6
    assert str(error) == (
        "The window of 1970-01-01T00:05:00Z has more than 1,000 unique users, so neither it nor a later one"
        " is published. Run again with a higher --max-users, or with --above-max-users approximate."
    )


def test_above_the_ceiling_it_is_an_estimate_with_its_error() -> None:
    pytest.importorskip("datasketches", reason="no wheel for this Python")
    users = np.sort(np.random.default_rng(1).integers(0, 2**64, 200_000, dtype=np.uint64))

    def closed_at(most: int) -> Closed:
        halves = enumerate(np.array_split(users, 2))
        answers = [answer(len(half), 49 + shard, half[:65_537].tobytes()) for shard, half in halves]
        closing = Closed(answers, CeilingSettings(most, "approximate"))
        assert closing.refusal() is None
        return closing

    table = closed_at(150_000).table()
    found = table.row[USERS]
    assert found.error == pytest.approx(0.0096, abs=0.0002)
    assert found.count != 200_000
    assert abs(found.count / 200_000 - 1) < found.error
    assert table.records == 99
    assert closed_at(200_000).table() == window_table(5, 200_000, 99)


def test_a_window_that_nobody_hit_is_a_table_of_zeros() -> None:
    assert WindowTables(PLAIN, NO_CEILING).empty(5, True) == window_table(5, 0, 0, partial=True)


@pytest.mark.parametrize("order", [*permutations(range(3))])
def test_groups_have_their_own_counts_in_whatever_order_they_come(order: tuple[int, ...]) -> None:
    """Places are given as they come; here there is one shard, which gives them."""
    decode = DecodeSettings(user_field=None, group_by=("g",))
    texts = texts_of(group_text([name]) for name in "abc")
    window = OpenWindow(5, Rules(decode, NO_CEILING))
    for number in order:
        window.add((np.repeat(texts.id_column[number : number + 1], 1 + number),), 1 + number, (texts,))
    tables = WindowTables(decode, NO_CEILING)
    groups = tables.table(ClosedWindow(5, False), tables.combined([window.answer()])).groups
    assert groups is not None
    assert dict(zip(groups.texts, groups.columns[RECORDS], strict=True)) == {
        b'["a"]': 1,
        b'["b"]': 2,
        b'["c"]': 3,
    }
