"""The recount and the core judge the same records alike, though they share no code."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from streamagg.core.partition_clock import PartitionClock, PartitionState
from streamagg.core.windows import Windows
from streamagg.model.columns import ROWS
from streamagg.model.settings import DecodeSettings, WindowSettings
from streamagg.tools.recount import PartitionRecount, Recount
from tests.support.blocks import users_in

WINDOW = WindowSettings(granularity_ms=10_000, max_lag_ms=2_000, max_jump_ms=12_000)

calm = st.integers(100, 140)
wild = st.one_of(calm, calm, st.integers(0, 300), st.sampled_from([5_000, 5_001, 5_009, 90_000]))
streams = st.lists(st.tuples(st.one_of(calm, wild), st.integers(0, 5), st.booleans()), max_size=120)


@given(streams)
def test_recount_and_core_agree(stream: list[tuple[int, int, bool]]) -> None:
    result = Recount()
    partition = PartitionRecount(WINDOW, DecodeSettings(), result)
    for time_s, user, live in stream:
        partition.add(b'{"ts":%d,"uid":%d}' % (time_s, user), time_s * 1_000, by_broker=live)
    partition.end()

    windows = Windows(WINDOW)
    clock = PartitionClock(windows, ROWS, PartitionState(0))
    columns = np.array(stream, np.int64).reshape(-1, 3)
    outcomes = [
        clock.feed(
            columns[:, 0] * 1_000,
            (columns[:, 1].astype(np.uint64),),
            np.arange(len(columns)),
            columns[:, 2].astype(np.bool_),
            len(columns),
        ),
        clock.end(),
    ]
    users: dict[int, set[int]] = {}
    for run in (run for outcome in outcomes for run in outcome.runs):
        for time_ms, user in zip(run.event_time_ms.tolist(), users_in(run.columns), strict=True):
            users.setdefault(windows.start_ms(windows.number(time_ms)), set()).add(user)

    assert {
        start_ms: {int(user) for user in window.users} for start_ms, window in result.windows.items()
    } == users
    assert result.late == sum(outcome.late for outcome in outcomes)
    assert result.rejected.get("future", 0) == sum(len(outcome.future) for outcome in outcomes)
