"""Rows on their way to the aggregators, with what names their groups."""

import numpy as np
import pytest

from streamagg.engine.session.shard_router import ShardRouter
from streamagg.model.columns import Columns, delivered_schema_of
from streamagg.model.groups import GroupTexts, group_text, texts_of
from streamagg.model.messages import WindowRows
from streamagg.model.settings import DecodeSettings, MeasureSettings

GROUPED = DecodeSettings(group_by=("g",))
UPPER = 1 << 63
"""Of hashes in the second of two shards."""


class Outlet:
    def __init__(self) -> None:
        self.messages: list[WindowRows] = []

    def post(self, message: WindowRows) -> None:
        self.messages.append(message)


def router(decode: DecodeSettings) -> tuple[ShardRouter, list[Outlet]]:
    outlets = [Outlet(), Outlet()]
    return ShardRouter(outlets, delivered_schema_of(decode)), outlets


def uint64(*values: int) -> Columns:
    return (np.array(values, np.uint64),)


def texts(name: str) -> GroupTexts:
    return texts_of([group_text([name])])


def test_what_names_groups_goes_once_with_each_message() -> None:
    """Two windows have rows of one block; what is sent later needs it no more."""
    to, outlets = router(GROUPED)
    a, b = texts("a"), texts("b")
    to.add(1, (*uint64(1, UPPER), *uint64(7, 8)), (a,))
    to.add(2, (*uint64(2), *uint64(7)), (a, b))
    to.flush()
    to.add(2, (*uint64(3), *uint64(9)), (b,))
    to.flush()
    assert [message.groups for message in outlets[0].messages] == [(a, b), (b,)]
    assert [message.groups for message in outlets[1].messages] == [(a, b)]
    assert [(m.windows, m.counts) for m in outlets[0].messages] == [([1, 2], [1, 1]), ([2], [1])]


@pytest.mark.parametrize(
    ("decode", "columns"),
    [
        (GROUPED, (*uint64(1, 1, UPPER), *uint64(UPPER, 1, 1))),
        (DecodeSettings(user_field=None, group_by=("g",)), uint64(1, 1, UPPER)),
    ],
)
def test_users_decide_where_rows_go_and_without_them_groups(decode: DecodeSettings, columns: Columns) -> None:
    to, outlets = router(decode)
    to.add(1, columns, (texts("a"),))
    to.flush()
    assert [message.counts for outlet in outlets for message in outlet.messages] == [[2], [1]]


def test_without_either_there_is_one_way() -> None:
    measures = (MeasureSettings("n", "count", "v"),)
    to, outlets = router(DecodeSettings(user_field=None, measures=measures))
    to.add(1, (np.array([1.0, np.nan]),))
    to.add(2, (np.array([2.0]),))
    to.flush()
    assert [message.counts for message in outlets[0].messages] == [[2, 1]]
    assert outlets[1].messages == []
