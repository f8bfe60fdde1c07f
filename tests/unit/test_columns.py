"""What a row carries: raw between processes, packed where it is kept by itself."""

from typing import Any

import numpy as np
import pytest

from streamagg.model.columns import NO_COLUMNS, ROWS, Columns, Schema, selected

WIDE = Schema(user=np.uint64, group=np.uint32, price=np.float64, paid=np.bool_)


def rows_of(schema: Schema, count: int) -> Columns:
    chance = np.random.default_rng(count)
    whole: Columns = (
        chance.integers(0, 2**64, count, np.uint64),
        chance.integers(0, 9, count, np.uint32),
        chance.random(count),
        chance.random(count) < 0.5,
    )
    return whole[: len(schema.names)]


def listed(columns: Columns) -> list[list[Any]]:
    return [column.tolist() for column in columns]


@pytest.mark.parametrize(("schema", "width"), [(NO_COLUMNS, 0), (ROWS, 8), (WIDE, 21)])
@pytest.mark.parametrize("count", [0, 1, 7])
def test_rows_are_packed_and_unpacked(schema: Schema, width: int, count: int) -> None:
    columns = rows_of(schema, count)
    packed = schema.pack(columns)
    assert (schema.width, len(packed)) == (width, width * count)
    assert listed(schema.unpack(bytes(packed))) == listed(columns)


def test_a_row_has_the_same_bytes_wherever_it_stands() -> None:
    columns = rows_of(WIDE, 7)
    packed = WIDE.pack(columns)
    alone = [bytes(WIDE.pack(selected(columns, slice(row, row + 1)))) for row in range(7)]
    assert bytes(packed) == b"".join(alone)


def test_raw_columns_are_looked_at_and_not_copied() -> None:
    columns = rows_of(WIDE, 7)
    raw = [column.tobytes() for column in columns]
    seen = WIDE.view(raw)
    assert listed(seen) == listed(columns)
    assert not any(column.flags.owndata for column in seen)


def test_a_single_column_is_packed_as_it_lies_there() -> None:
    (users,) = columns = rows_of(ROWS, 7)
    assert np.shares_memory(np.frombuffer(ROWS.pack(columns), np.uint64), users)


def test_a_message_with_other_columns_is_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        ROWS.view([b"", b""])


def test_no_rows_have_all_columns() -> None:
    assert [(column.dtype, len(column)) for column in ROWS.none()] == [(np.dtype(np.uint64), 0)]
