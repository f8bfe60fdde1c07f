"""Sorted columns beside a Python set: time a row and memory a user, ``python -m bench.uniques``."""

import time
import tracemalloc
from collections.abc import Callable

import numpy as np

from streamagg.core.uniques import Uniques
from streamagg.records import UInt64Column

ROWS = 2_000_000
BLOCK_ROWS = 1_000
SEED = 1


def counted_by_columns(blocks: list[UInt64Column]) -> tuple[object, int]:
    """The columns and the number of distinct users in all blocks."""
    uniques = Uniques()
    for block in blocks:
        uniques.add(block)
    return uniques, uniques.count()


def counted_by_set(blocks: list[UInt64Column]) -> tuple[object, int]:
    """The same with a set of integers."""
    seen: set[int] = set()
    for block in blocks:
        seen.update(block.tolist())
    return seen, len(seen)


def measure(count: Callable[[list[UInt64Column]], tuple[object, int]], users: int) -> str:
    """One line of the table."""
    rows = np.random.default_rng(SEED).integers(0, users, ROWS).astype(np.uint64) * np.uint64(
        0x9E3779B97F4A7C15
    )
    blocks = [rows[start : start + BLOCK_ROWS] for start in range(0, ROWS, BLOCK_ROWS)]
    started = time.perf_counter()
    count(blocks)
    nanoseconds = (time.perf_counter() - started) / ROWS * 1e9
    tracemalloc.start()
    kept, distinct = count(blocks)
    at_rest, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del kept
    name = count.__name__.removeprefix("counted_by_")
    return f"{name:8} {distinct:10,} {nanoseconds:10.0f} {at_rest / distinct:10.1f} {peak / distinct:10.1f}"


def main() -> None:
    """Print the table."""
    print(f"{'':8} {'users':>10} {'ns a row':>10} {'B a user':>10} {'at most':>10}")
    for users in (10_000, 100_000, 1_000_000):
        for count in (counted_by_columns, counted_by_set):
            print(measure(count, users))


if __name__ == "__main__":
    main()
