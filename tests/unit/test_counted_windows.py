"""Windows that wait to be published, a part at a time."""

from hypothesis import given
from hypothesis import strategies as st

from streamagg.core.counted_windows import CountedWindows
from streamagg.core.window_tables import WindowTables
from streamagg.model.results import WindowTable
from streamagg.model.settings import NO_CEILING, PLAIN
from tests.support.blocks import window_table

EMPTY = WindowTables(PLAIN, NO_CEILING).empty


def taken(counted: CountedWindows, after: int | None) -> list[list[int]]:
    """The numbers of the windows, part by part."""
    parts = []
    while windows := counted.take(after):
        parts.append([count.window for count in windows])
        after = parts[-1][-1]
    return parts


def count(window: int, *, partial: bool = False) -> WindowTable:
    return window_table(window, 1, 2, partial)


def test_a_gap_is_cut_into_parts() -> None:
    """::

    window   3   4  5  6  7  8      3 is published, 6 and 8 are counted
                 .  .  x  .  x
    parts       (4  5)(6  7)(8)
    """
    counted = CountedWindows(empty=EMPTY, most=2)
    counted.add([count(6), count(8)])
    assert taken(counted, 3) == [[4, 5], [6, 7], [8]]
    assert not counted


def test_a_gap_that_fills_a_part_leaves_its_end_for_the_next() -> None:
    counted = CountedWindows(empty=EMPTY, most=2)
    counted.add([count(5, partial=True)])
    assert counted.take(2) == (window_table(3, 0, 0, True), window_table(4, 0, 0, True))
    assert len(counted) == 1
    assert counted.take(4) == (count(5, partial=True),)


def test_nothing_is_empty_before_the_first_window_nor_where_that_is_not_wanted() -> None:
    first, sparse = CountedWindows(empty=EMPTY, most=9), CountedWindows(empty=None, most=9)
    first.add([count(1_000_000)])
    sparse.add([count(5), count(1_000_000)])
    assert taken(first, None) == [[1_000_000]]
    assert taken(sparse, 3) == [[5, 1_000_000]]


@given(st.lists(st.integers(0, 60), unique=True, min_size=1), st.integers(1, 8), st.booleans())
def test_parts_are_the_whole_in_order(windows: list[int], most: int, empty: bool) -> None:
    windows.sort()
    counted = CountedWindows(empty=EMPTY if empty else None, most=most)
    counted.add(map(count, windows))
    parts = taken(counted, windows[0] - 1)
    whole = list(range(windows[0], windows[-1] + 1)) if empty else windows
    assert [window for part in parts for window in part] == whole
    assert all(len(part) == most for part in parts[:-1])
