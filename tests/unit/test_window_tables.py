"""What is published of a window: which groups, in which order, and when none."""

from typing import get_args

import numpy as np
import orjson
import pytest

from streamagg.core.closed_window import Answer, ClosedWindow
from streamagg.core.open_window import OpenWindow, Rules
from streamagg.core.window_tables import WindowTables, named
from streamagg.core.windows import Windows
from streamagg.errors import ExitCode, TooManyGroups
from streamagg.model.groups import group_id, group_text, texts_of
from streamagg.model.results import RECORDS, USERS, Groups, Value, WindowTable
from streamagg.model.settings import (
    NO_CEILING,
    CeilingSettings,
    DecodeSettings,
    MeasureOp,
    MeasureSettings,
    WindowSettings,
)
from streamagg.sinks.json_records import render
from tests.support.blocks import columns_of
from tests.support.published import faults

DECODE = DecodeSettings(group_by=("g",))
WINDOWS = Windows(WindowSettings())
Hit = tuple[str, int]
"""Group and user."""


def answer(hits: list[Hit], ceiling: CeilingSettings = NO_CEILING, decode: DecodeSettings = DECODE) -> Answer:
    """Of a shard that has seen these, one by one."""
    window = OpenWindow(7, Rules(decode, ceiling))
    for name, user in hits:
        text = group_text([name])
        groups = np.array([group_id(text)], np.uint64)
        columns = (*columns_of([user]), groups) if decode.user_field else (groups,)
        window.add(columns, 1, (texts_of([text]),))
    return window.answer()


def table(
    *shards: list[Hit], ceiling: CeilingSettings = NO_CEILING, decode: DecodeSettings = DECODE
) -> WindowTable:
    tables = WindowTables(decode, ceiling)
    found = tables.combined([answer(hits, ceiling, decode) for hits in shards])
    assert tables.refusal(found, "the window") is None
    return tables.table(ClosedWindow(7, False), found)


def names(groups: Groups | None) -> list[str]:
    assert groups is not None
    return [orjson.loads(text)[0] for text in groups.texts]


SHARDS = [
    [("few", 1), ("b", 2), ("a", 2), ("many", 1), ("many", 4)],
    [("many", 11), ("b", 12), ("a", 12), ("records", 11), ("records", 12), ("records", 12)],
]
"""Users of each group: many 3, a and b and records 2, few 1."""


def test_most_users_come_first_then_most_records_then_the_text() -> None:
    found = table(*SHARDS)
    assert names(found.groups) == ["many", "records", "a", "b", "few"]
    assert found.groups is not None
    assert found.groups.columns == {USERS: [3, 2, 2, 2, 1], RECORDS: [3, 3, 2, 2, 1]}
    assert found.groups.found == 5
    assert found.row == {USERS: Value(5), RECORDS: Value(11)}
    assert table(*SHARDS[::-1]) == found


def test_without_users_most_records_come_first() -> None:
    found = table(*SHARDS, decode=DecodeSettings(user_field=None, group_by=("g",)))
    assert names(found.groups) == ["many", "records", "a", "b", "few"]
    assert found.users is None
    assert found.row == {RECORDS: Value(11)}


@pytest.mark.parametrize("top", [1, 3, 5, 9])
def test_the_top_is_the_beginning_of_that_and_counts_all_groups(top: int) -> None:
    found, every = table(*SHARDS, ceiling=CeilingSettings(top=top)), table(*SHARDS)
    assert found.row == every.row
    assert names(found.groups) == names(every.groups)[:top]
    assert found.groups is not None
    assert found.groups.found == 5


@pytest.mark.parametrize("shards", [SHARDS, [SHARDS[0] + SHARDS[1]], [*SHARDS, []]])
def test_above_max_groups_there_are_totals(shards: list[list[Hit]]) -> None:
    """Also where no shard has more than that by itself."""
    found = table(*shards, ceiling=CeilingSettings(max_groups=4, above_groups="totals"))
    assert found.groups == Groups(None, [], {})
    assert found.row == {USERS: Value(5), RECORDS: Value(11)}
    (record,) = render(WINDOWS, found, ("g",))
    assert orjson.loads(record[1])["groups_dropped"] is True
    assert table(*shards, ceiling=CeilingSettings(max_groups=5, above_groups="totals")).groups is not None


def test_or_nothing_more_is_published() -> None:
    ceiling = CeilingSettings(max_groups=4)
    tables = WindowTables(DECODE, ceiling)
    found = tables.combined([answer(hits, ceiling) for hits in SHARDS])
    refusal = tables.refusal(found, named("window", WINDOWS.start_ms(7)))
    assert isinstance(refusal, TooManyGroups)
    assert refusal.exit_code == ExitCode.TOO_MANY_USERS == 6
    assert str(refusal) == (
        "The window of 1970-01-01T00:07:00Z has more than 4 groups, so neither it nor a later one is"
        " published. Run again with a higher --max-groups, or with --above-max-groups totals."
    )


def test_a_window_that_nobody_hit_has_no_groups_and_no_values() -> None:
    without = dict.fromkeys(("sum", "avg", "min", "max", "first", "last"))
    values = {**without, "count": 0, "uniques": 0}
    measures = tuple(MeasureSettings(op, op, "v") for op in get_args(MeasureOp))
    decode = DecodeSettings(group_by=("g",), measures=measures)
    empty = WindowTables(decode, NO_CEILING).empty(7)
    (record,) = render(WINDOWS, empty, ("g",))
    value = orjson.loads(record[1])
    assert faults(value, "window") == []
    assert (value["cnt"], value["records"], value["groups"]) == (0, 0, 0)
    assert {name: value[name] for name in values} == values
    assert {*values} == {*get_args(MeasureOp)}
