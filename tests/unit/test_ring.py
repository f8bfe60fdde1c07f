"""Slots that are used again.

::

    slots       0   1   2
    windows    12  10  11      window 13 needs the slot of window 10 until that is freed
"""

import numpy as np
import pytest

from streamagg.core import ring as module
from streamagg.core.ring import Ring
from streamagg.model.settings import CeilingSettings


def users(*numbers: int) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    return np.array(numbers, np.uint64)


def test_windows_are_counted_apart() -> None:
    ring = Ring(3)
    ring.add(10, users(1, 2, 2))
    ring.add(12, users(1))
    ring.add(10, users(2, 3))
    assert [ring.count(window) for window in (10, 11, 12)] == [3, 0, 1]


def test_a_slot_is_taken_until_its_window_is_freed() -> None:
    ring = Ring(3)
    ring.add(10, users(1, 2))
    with pytest.raises(ValueError, match="window 13 needs the slot of window 10"):
        ring.add(13, users(9))
    assert ring.count(10) == 2
    ring.free(10)
    ring.add(13, users(9))
    assert [ring.count(10), ring.count(13)] == [0, 1]


def test_freeing_a_window_leaves_another_one_in_its_slot_alone() -> None:
    ring = Ring(3)
    ring.add(13, users(9))
    ring.free(10)
    assert ring.count(13) == 1


def test_above_the_ceiling_a_window_has_no_count() -> None:
    ring = Ring(3, CeilingSettings(2))
    ring.add(10, users(1, 2, 2))
    ring.add(11, users(1, 2, 3))
    assert [ring.count(window) for window in (10, 11, 12)] == [2, None, 0]
    assert ring.smallest(11) is None, "nobody asks for a sketch"


def test_what_a_sketch_needs_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT_USERS", 2)
    ring = Ring(3, CeilingSettings(2, "approximate"))
    ring.add(10, users(7))
    ring.add(11, users(5, 3, 9))
    found = [ring.smallest(window) for window in (10, 11, 12)]
    assert [None if column is None else column.tolist() for column in found] == [[7], [3, 5], None]


def test_windows_before_the_epoch_have_slots_too() -> None:
    ring = Ring(3)
    for window in (-1, 0, 1):
        ring.add(window, users(*range(window + 2)))
    assert [ring.count(window) for window in (-1, 0, 1)] == [1, 2, 3]
