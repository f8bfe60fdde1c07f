"""Slots that are used again.

::

    slots       0   1   2
    windows    12  10  11      window 13 needs the slot of window 10 until that is freed
"""

import pytest

from streamagg.core.measures import uniques as module
from streamagg.core.open_window import Rules
from streamagg.core.ring import Ring
from streamagg.model.settings import NO_CEILING, PLAIN, CeilingSettings
from tests.support.blocks import columns_of

Counts = tuple[int | None, int]


def ring_of_three(ceiling: CeilingSettings = NO_CEILING) -> Ring:
    return Ring(3, Rules(PLAIN, ceiling))


def add(ring: Ring, window: int, *users: int) -> None:
    ring.add(window, columns_of(users), len(users))


def counts(ring: Ring, *windows: int) -> list[Counts]:
    """Users and records of windows."""
    found = []
    for window in windows:
        users, records = ring.window(window).answer().summaries
        found.append((users[0], int.from_bytes(records, "little")))
    return found


def smallest(ring: Ring, window: int) -> bytes:
    users, _ = ring.window(window).answer().summaries
    hashes: bytes = users[1]
    return hashes


def test_windows_are_counted_apart() -> None:
    ring = ring_of_three()
    add(ring, 10, 1, 2, 2)
    add(ring, 12, 1)
    add(ring, 10, 2, 3)
    assert counts(ring, 10, 11, 12) == [(3, 5), (0, 0), (1, 1)]


def test_a_slot_is_taken_until_its_window_is_freed() -> None:
    ring = ring_of_three()
    add(ring, 10, 1, 2)
    with pytest.raises(ValueError, match="window 13 needs the slot of window 10"):
        add(ring, 13, 9)
    assert counts(ring, 10) == [(2, 2)]
    ring.free(10)
    add(ring, 13, 9)
    assert counts(ring, 10, 13) == [(0, 0), (1, 1)]


def test_freeing_a_window_leaves_another_one_in_its_slot_alone() -> None:
    ring = ring_of_three()
    add(ring, 13, 9)
    ring.free(10)
    assert counts(ring, 13) == [(1, 1)]


def test_above_the_ceiling_a_window_has_no_count() -> None:
    ring = ring_of_three(CeilingSettings(2))
    add(ring, 10, 1, 2, 2)
    add(ring, 11, 1, 2, 3)
    assert counts(ring, 10, 11, 12) == [(2, 3), (None, 3), (0, 0)]
    assert smallest(ring, 11) == b"", "nobody asks for a sketch"


def test_what_a_sketch_needs_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT_USERS", 2)
    ring = ring_of_three(CeilingSettings(2, "approximate"))
    add(ring, 10, 7)
    add(ring, 11, 5, 3, 9)
    expected = [columns_of(those)[0].tobytes() for those in ([7], [3, 5], [])]
    assert [smallest(ring, window) for window in (10, 11, 12)] == expected


def test_windows_before_the_epoch_have_slots_too() -> None:
    ring = ring_of_three()
    for window in (-1, 0, 1):
        add(ring, window, *range(window + 2))
    assert counts(ring, -1, 0, 1) == [(1, 1), (2, 2), (3, 3)]
