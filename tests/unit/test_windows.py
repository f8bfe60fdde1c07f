"""Numbers, borders and closing of windows.

::

    seconds   0         60        120  125
              |----0----|----1----|----2---
    window 1            [         )    closes here with a lag of 5 s
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamagg.core.windows import Windows
from streamagg.model.settings import WindowSettings

MINUTES = Windows(WindowSettings(granularity_ms=60_000, max_lag_ms=5_000))


@pytest.mark.parametrize(
    ("time_ms", "window"),
    [(0, 0), (59_999, 0), (60_000, 1), (119_999, 1), (120_000, 2), (253_402_300_799_999, 4_223_371_679)],
)
def test_a_window_holds_its_start_and_not_its_end(time_ms: int, window: int) -> None:
    assert MINUTES.number(time_ms) == window
    assert MINUTES.start_ms(window) <= time_ms < MINUTES.start_ms(window + 1)


@pytest.mark.parametrize(("time_ms", "window"), [(0, -1), (6_999, -1), (7_000, 0), (66_999, 0), (67_000, 1)])
def test_an_offset_moves_every_border(time_ms: int, window: int) -> None:
    windows = Windows(WindowSettings(granularity_ms=60_000, offset_ms=7_000))
    assert windows.number(time_ms) == window
    assert windows.start_ms(window) == window * 60_000 + 7_000


@pytest.mark.parametrize(("clock_ms", "closed"), [(124_999, 0), (125_000, 1), (184_999, 1), (185_000, 2)])
def test_a_window_closes_exactly_max_lag_after_its_end(clock_ms: int, closed: int) -> None:
    assert MINUTES.last_closed(clock_ms) == closed


def test_columns_get_the_same_answers_as_single_times() -> None:
    times = np.array([0, 59_999, 60_000, 124_999, 125_000], np.int64)
    assert MINUTES.number(times).tolist() == [0, 0, 1, 2, 2]
    assert MINUTES.last_closed(times).tolist() == [-2, -1, -1, 0, 1]


@given(
    st.integers(1, 10**8),
    st.integers(0, 10**8),
    st.integers(0, 10**8),
    st.integers(-(10**6), 10**6),
    st.data(),
)
def test_last_closed_is_the_greatest_window_that_closes_by_then(
    granularity_ms: int, lag_ms: int, shift_ms: int, window: int, data: st.DataObject
) -> None:
    windows = Windows(WindowSettings(granularity_ms, shift_ms % granularity_ms, lag_ms))
    closes_at_ms = windows.closes_at_ms(window)
    assert windows.last_closed(closes_at_ms - 1) == window - 1
    assert windows.last_closed(closes_at_ms + data.draw(st.integers(0, granularity_ms - 1))) == window


@pytest.mark.parametrize("lag_ms", [0, 1, 5_000, 60_000, 60_001, 300_000])
def test_the_fewest_slots_hold_all_windows_that_can_be_open_at_once(lag_ms: int) -> None:
    settings = WindowSettings(60_000, 0, lag_ms)
    windows = Windows(settings)
    # One partition alone, its clock in the last millisecond before a window closes; and it stands.
    clock_ms = windows.closes_at_ms(10) - 1
    open_windows = range(
        windows.last_closed(clock_ms) + 1, windows.number(clock_ms + windows.max_jump_ms) + 1
    )
    assert 0 < len(open_windows) < settings.fewest_slots <= len(open_windows) + 2


@given(
    st.lists(st.integers(-(10**6), 10**6), min_size=1, max_size=40),
    st.integers(1, 10**6),
    st.integers(0, 10**6),
    st.data(),
)
def test_a_record_is_timely_whose_window_its_clock_has_not_closed(
    clocks: list[int], granularity_ms: int, lag_ms: int, data: st.DataObject
) -> None:
    windows = Windows(WindowSettings(granularity_ms, 7 % granularity_ms, lag_ms))
    clocks.sort()
    borders = [windows.start_ms(windows.last_closed(clock) + 1) for clock in clocks]
    near = st.sampled_from([-granularity_ms, -1, 0, 1])
    times = [border + data.draw(near | st.integers(-(10**6), 10**6)) for border in borders]
    expected = [
        windows.number(time) > windows.last_closed(clock) for time, clock in zip(times, clocks, strict=True)
    ]
    assert windows.timely(np.array(times, np.int64), np.array(clocks, np.int64)).tolist() == expected


def test_a_window_holds_what_has_its_number() -> None:
    times = np.array([-1, 0, 59_999, 60_000, 119_999, 120_000], np.int64)
    assert MINUTES.holds(1, times).tolist() == (MINUTES.number(times) == 1).tolist()
