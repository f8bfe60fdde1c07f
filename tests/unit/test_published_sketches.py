"""Sketches of windows, periods and groups, as other tools read them."""

from collections.abc import Sequence

import numpy as np
import pytest

from streamagg.core.closed_window import Answer, ClosedWindow
from streamagg.core.open_window import OpenWindow, Rules
from streamagg.core.sharding import shards_of
from streamagg.core.window_tables import WindowTables
from streamagg.core.windows import Windows
from streamagg.engine.workers.aggregator import Aggregator
from streamagg.model.groups import group_id, group_text, texts_of
from streamagg.model.messages import AggregatorSetup, AskPeriod, CloseWindow, WindowRows
from streamagg.model.results import PeriodName, WindowTable
from streamagg.model.settings import CalendarSettings, CeilingSettings, DecodeSettings, WindowSettings
from streamagg.sinks.json_records import render, render_sketches

datasketches = pytest.importorskip("datasketches", reason="no wheel for this Python")

GROUPED = DecodeSettings(group_by=("g",))
NO_TOP = CeilingSettings()
CALENDARS = WindowSettings(calendars=(CalendarSettings("hour", 3_600_000),))
NAMES = ("a", "b", "c")
TEXTS = [group_text([name]) for name in NAMES]
IDS = np.array([group_id(text) for text in TEXTS], np.uint64)


def some_users(count: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 2**64, count, np.uint64)


def rows(users: np.ndarray) -> tuple[np.ndarray, ...]:
    """Users that lie in a group or two, by what they are."""
    twice = np.concatenate([users, users[::4]])
    groups = IDS[(np.concatenate([users, users[::4] + np.uint64(1)]) % np.uint64(3)).astype(np.intp)]
    return twice, groups


def answered(
    columns: tuple[np.ndarray, ...],
    shards: int = 1,
    ceiling: CeilingSettings = NO_TOP,
    decode: DecodeSettings = GROUPED,
) -> list[Answer]:
    found = []
    for shard in range(shards):
        ours = shards_of(columns[0], shards) == shard
        window = OpenWindow(7, Rules(decode, ceiling, sketches=True))
        window.add(tuple(column[ours] for column in columns), int(ours.sum()), (texts_of(TEXTS),))
        found.append(window.answer())
    return found


def published(
    answers: Sequence[Answer],
    ceiling: CeilingSettings = NO_TOP,
    decode: DecodeSettings = GROUPED,
) -> WindowTable:
    tables = WindowTables(decode, ceiling, sketches=True)
    return tables.table(ClosedWindow(7, False), tables.combined(answers))


def written(table: WindowTable) -> dict[bytes, bytes]:
    return dict(render_sketches(Windows(CALENDARS), table))


def size(sketch: bytes) -> float:
    return float(datasketches.compact_theta_sketch.deserialize(sketch).get_estimate())


def check(table: WindowTable) -> None:
    """Every record of counts has a sketch with its key, which says what it says."""
    assert table.users is not None
    assert table.groups is not None
    found = written(table)
    assert list(found) == [key for key, _ in render(Windows(CALENDARS), table, ("g",))]
    counts = [table.users.count, *table.groups.columns["users"]]
    for count, sketch in zip(counts, found.values(), strict=True):
        assert count is not None
        assert size(sketch) == pytest.approx(count, rel=0 if count <= 4_096 else 0.06)


@pytest.mark.parametrize("users", [0, 1, 2, 900, 4_096, 4_097, 40_000])
def test_all_and_every_group(users: int) -> None:
    check(published(answered(rows(some_users(users)))))


@pytest.mark.parametrize("users", [3, 900, 40_000])
def test_neither_order_nor_shards_change_a_byte(users: int) -> None:
    twice, groups = rows(some_users(users))
    order = np.random.default_rng(2).permutation(len(twice))
    one = written(published(answered((twice, groups))))
    assert one == written(published(answered((twice[order], groups[order]))))
    for shards in (2, 5):
        parts = answered((twice, groups), shards)
        assert one == written(published(parts)) == written(published(parts[::-1]))


def test_users_without_groups() -> None:
    users = some_users(3_000)
    table = published(answered((users,), 3, decode=DecodeSettings()), decode=DecodeSettings())
    (sketch,) = written(table).values()
    assert size(sketch) == 3_000


def test_only_published_groups_have_one() -> None:
    columns, top = rows(some_users(100)), CeilingSettings(top=1)
    table = published(answered(columns, ceiling=top), top)
    check(table)
    assert len(written(table)) == 2


@pytest.mark.parametrize("shards", [1, 2])
def test_above_max_groups_only_all_have_one(shards: int) -> None:
    columns, totals = rows(some_users(100)), CeilingSettings(max_groups=2, above_groups="totals")
    found = written(published(answered(columns, shards, totals), totals))
    assert [size(sketch) for sketch in found.values()] == [100]


def test_nobody_makes_the_empty_sketch() -> None:
    tables = WindowTables(GROUPED, CeilingSettings(), sketches=True)
    assert [size(sketch) for sketch in written(tables.empty(7)).values()] == [0]


def test_without_sketches_nothing_of_them_is_there() -> None:
    window = OpenWindow(7, Rules(GROUPED, CeilingSettings()))
    window.add(rows(some_users(9)), 12, (texts_of(TEXTS),))
    assert window.answer().smallest is None
    tables = WindowTables(GROUPED, CeilingSettings())
    assert tables.table(ClosedWindow(7, False), window.answer()).sketches is None


@pytest.mark.parametrize("decode", [DecodeSettings(), GROUPED], ids=["all", "groups"])
def test_a_period_is_the_union_of_its_windows(decode: DecodeSettings) -> None:
    """Exactly, for what is below theta of the union is below that of every sketch."""
    aggregator = Aggregator(AggregatorSetup(8, decode=decode, window=CALENDARS, sketches=True))
    tables = WindowTables(decode, CeilingSettings(), sketches=True)
    users, unions = some_users(9_000), {}
    for window in range(3):
        columns = rows(users[window * 2_000 : window * 2_000 + 5_000])[: 2 if decode.group_by else 1]
        packed = tuple(column.tobytes() for column in columns)
        message = WindowRows([window], [len(columns[0])], packed, (texts_of(TEXTS),))
        assert not list(aggregator.handle(message))
        (count,) = aggregator.handle(CloseWindow(window))
        closed = ClosedWindow(window, False)
        closed.add(count, 0)
        for key, sketch in written(tables.table(closed, tables.combined(closed.answers))).items():
            union = unions.setdefault(key.partition(b" ")[2], datasketches.theta_union())
            union.update(datasketches.compact_theta_sketch.deserialize(sketch))
    (count,) = aggregator.handle(AskPeriod(0, 0))
    closed = ClosedWindow(2, False)
    closed.add(count, 0)
    table = tables.table(closed, tables.combined(closed.answers), PeriodName("hour", 0, 3_600_000))
    found = written(table)
    assert len(found) == len(unions) == (4 if decode.group_by else 1)
    for key, sketch in found.items():
        read = datasketches.compact_theta_sketch.deserialize(sketch)
        result = unions[key.removeprefix(b"hour 0").lstrip()].get_result()
        assert result.get_lower_bound(3) <= read.get_estimate() <= result.get_upper_bound(3)
    assert table.users is not None
    assert table.users.count == 9_000
