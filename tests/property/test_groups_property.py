"""Groups and measures against plain dicts: any order, any cut, any number of shards, the same bytes."""

import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from unittest.mock import patch

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from xxhash import xxh3_64_intdigest

from streamagg.core import window_store
from streamagg.core.closed_window import Answer, ClosedWindow
from streamagg.core.measures import sketch, uniques
from streamagg.core.window_store import WindowStore
from streamagg.core.window_tables import WindowTables
from streamagg.core.windows import Windows
from streamagg.engine.session.shard_router import ShardRouter
from streamagg.engine.workers.aggregator import Aggregator
from streamagg.model.columns import Columns, delivered_schema_of, selected
from streamagg.model.groups import NO_TEXTS, GroupTexts, group_id, group_text, texts_of
from streamagg.model.messages import AggregatorSetup, CloseWindow, WindowRows
from streamagg.model.settings import DecodeSettings, WindowSettings
from streamagg.sinks.json_records import render
from tests.simulation.table_oracle import Published, Row, records
from tests.simulation.tables import Asked, Speech, asked

WINDOWS = Windows(WindowSettings(1_000))
FIRST, STOP = 40, 43


def hashed(text: str | None) -> int:
    return 0 if text is None else xxh3_64_intdigest(text.encode()) or 1


def named(row: Row, decode: DecodeSettings) -> bytes:
    return group_text([row.fields[path].group for path in decode.group_by])


def column(name: str, rows: Sequence[Row], decode: DecodeSettings) -> Iterable[float | int | None]:
    kind, _, path = name.partition(":")
    match kind:
        case "user":
            return (hashed(row.user) for row in rows)
        case "group":
            return (group_id(named(row, decode), decode.hash_seed) for row in rows)
        case "number":
            return (row.fields[path].number for row in rows)
        case "hash":
            return (hashed(row.fields[path].identity) for row in rows)
        case _:
            return (getattr(row, "time_ms" if name == "event_time_ms" else name) for row in rows)


@dataclass
class Block:
    windows: list[int]
    columns: Columns
    texts: GroupTexts

    @classmethod
    def of(cls, rows: Sequence[Row], decode: DecodeSettings) -> "Block":
        schema = delivered_schema_of(decode)
        columns = schema.empty(len(rows))
        for name, filled in zip(schema.names, columns, strict=True):
            filled[:] = [np.nan if value is None else value for value in column(name, rows, decode)]
        texts = NO_TEXTS
        if decode.group_by:
            texts = texts_of(sorted({named(row, decode) for row in rows}), decode.hash_seed)
        return cls([row.time_ms // 1_000 for row in rows], columns, texts)


def drawn(chance: random.Random) -> tuple[Asked, list[Row]]:
    table = asked(chance)
    while table.decode.plain:
        table = asked(chance)
    speech, rows = Speech(table, chance), []
    for number in range(chance.choice((1, 5, 60, 300))):
        time_ms = chance.randrange(1_000 * FIRST, 1_000 * STOP, chance.choice((1, 500)))
        user = f"u{chance.randrange(12)}"
        rows.append(Row(time_ms, chance.randrange(2), number, user, speech.fields()[1]))
    return table, rows


def expected(table: Asked, rows: Sequence[Row]) -> list[Published]:
    found: list[Published] = []
    for window in sorted({row.time_ms // 1_000 for row in rows}):
        here = [row for row in rows if row.time_ms // 1_000 == window]
        found += records(here, table.decode, table.ceiling, 1_000 * window, 1_000, partial=False)
    return found


def published(table: Asked, closed: Iterable[ClosedWindow]) -> list[Published]:
    tables, found = WindowTables(table.decode, table.ceiling), []
    for window in closed:
        whole = tables.table(window, tables.combined(window.answers))
        found += render(WINDOWS, whole, table.decode.group_by)
    return found


def cut(rows: list[Row], chance: random.Random, decode: DecodeSettings) -> list[Block]:
    """In another order, in pieces."""
    rows = chance.sample(rows, len(rows))
    at = sorted({0, len(rows), *(chance.randrange(len(rows)) for _ in range(chance.choice((0, 1, 6, 40))))})
    return [Block.of(rows[start:stop], decode) for start, stop in pairwise(at)]


class Shard:
    """An aggregator at the end of its link."""

    def __init__(self, table: Asked) -> None:
        self._aggregator = Aggregator(AggregatorSetup(8, table.ceiling, table.decode))

    def post(self, message: WindowRows) -> None:
        assert list(self._aggregator.handle(message)) == []

    def answer(self, window: int) -> Answer:
        (count,) = self._aggregator.handle(CloseWindow(window))
        return Answer(count.summaries, count.groups, count.dropped)


def by_shards(table: Asked, blocks: Sequence[Block], chance: random.Random) -> list[Published]:
    """As a run does it."""
    shards = [Shard(table) for _ in range(chance.choice((1, 2, 3)))]
    router = ShardRouter(shards, delivered_schema_of(table.decode))
    for block in blocks:
        for window in sorted({*block.windows}):
            here = np.array(block.windows) == window
            router.add(window, selected(block.columns, here), (block.texts,))
        if chance.random() < 0.5:
            router.flush()
    router.flush()
    hit = sorted({window for block in blocks for window in block.windows})
    closed = []
    for window in hit:
        answers = [shard.answer(window) for shard in shards]
        closed.append(ClosedWindow(window, False, answers=chance.sample(answers, len(answers))))
    return published(table, closed)


def by_store(table: Asked, blocks: Sequence[Block], gathered: int) -> list[Published]:
    """As ``count`` does it where no order matters."""
    store = WindowStore(table.decode, table.ceiling)
    with patch.object(window_store, "_GATHERED", gathered):
        for block in blocks:
            store.add(np.array(block.windows), block.columns, block.texts)
    closed = (ClosedWindow(one.number, False, answers=[one.answer()]) for one in store.windows())
    return published(table, closed)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.integers(0, 2**32 - 1))
def test_any_order_any_cut_any_shards(seed: int) -> None:
    chance = random.Random(seed)
    table, rows = drawn(chance)
    wanted = expected(table, rows)
    for _ in range(2):
        blocks = cut(rows, chance, table.decode)
        assert by_shards(table, blocks, chance) == wanted
        assert by_store(table, blocks, chance.choice((1, 30, 1 << 18))) == wanted


MOST, KEPT = 6, 5


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(0, 2**32 - 1))
def test_above_a_ceiling_the_total_is_estimated_and_groups_are_exact(seed: int) -> None:
    """The estimate is that of the users, however they came; all else is as it is without a ceiling."""
    chance = random.Random(seed)
    table, rows = drawn(chance)
    while table.decode.user_field is None:
        table, rows = drawn(chance)
    wanted = expected(table, rows)
    low = replace(table, ceiling=replace(table.ceiling, max_users=MOST, above="approximate"))
    few = patch.object(sketch, "KEPT_USERS", KEPT), patch.object(uniques, "KEPT_USERS", KEPT)
    totals = set()
    with few[0], few[1]:
        for _ in range(3):
            blocks = cut(rows, chance, table.decode)
            for found in (by_shards(low, blocks, chance), by_store(low, blocks, 30)):
                totals.add(tuple(row for row in found if row not in wanted))
                assert [exactly(row, wanted) for row in found] == wanted
    assert len(totals) == 1


def exactly(row: Published, wanted: list[Published]) -> Published:
    """The record without its estimate; that there is one, and how good it is, is checked."""
    (right,) = (each for each in wanted if each[0] == row[0])
    if row == right:
        return row
    value, count = json.loads(row[1]), json.loads(right[1])["cnt"]
    assert b" " not in row[0]
    assert count > MOST
    assert value.pop("approximate")
    assert abs(value["cnt"] - count) <= value.pop("error") * value["cnt"] + 0.5
    return row[0], json.dumps(value | {"cnt": count}, separators=(",", ":")).encode()
