"""Sorted columns beside a Python set: time a row and memory a user."""

import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np

from streamagg.core.measures.user_set import UserSet
from streamagg.model.columns import UInt64Column

ROWS = 2_000_000
BLOCK_ROWS = 1_000
SEED = 1
FLOOD = 10_000_000

Count = Callable[[list[UInt64Column]], tuple[object, int]]
"""What counts blocks of users."""


def counted_by_columns(blocks: list[UInt64Column]) -> tuple[object, int]:
    """The columns and the number of distinct users in all blocks."""
    uniques = UserSet()
    for block in blocks:
        uniques.add(block)
    distinct = uniques.count()
    assert distinct is not None, "nobody has set a ceiling"
    return uniques, distinct


def counted_by_set(blocks: list[UInt64Column]) -> tuple[object, int]:
    """The same with a set of integers."""
    seen: set[int] = set()
    for block in blocks:
        seen.update(block.tolist())
    return seen, len(seen)


def measure(count: Count, rows: UInt64Column) -> dict[str, Any]:
    """ns a row, and bytes a user at rest and at most, without those of the rows."""
    users = rows * np.uint64(0x9E3779B97F4A7C15)
    blocks = [users[start : start + BLOCK_ROWS] for start in range(0, len(users), BLOCK_ROWS)]
    started = time.perf_counter()
    count(blocks)
    nanoseconds = (time.perf_counter() - started) / len(rows) * 1e9
    tracemalloc.start()
    kept, distinct = count(blocks)
    at_rest, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del kept
    return {
        "users": distinct,
        "way": "sorted columns" if count is counted_by_columns else "a Python set",
        "ns_a_row": nanoseconds,
        "bytes_a_user": at_rest / distinct,
        "bytes_a_user_at_most": peak / distinct,
    }


def measure_all() -> list[dict[str, Any]]:
    """Both ways for some numbers of users, and a flood of new ones."""
    draw = np.random.default_rng(SEED).integers
    drawn = [draw(0, users, ROWS).astype(np.uint64) for users in (10_000, 100_000, 1_000_000)]
    found = [measure(count, rows) for rows in drawn for count in (counted_by_columns, counted_by_set)]
    return [*found, measure(counted_by_columns, np.arange(FLOOD, dtype=np.uint64))]
