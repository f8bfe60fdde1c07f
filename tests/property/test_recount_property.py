"""The recount and the core judge the same records alike, though they share no code."""

import math
from datetime import UTC, datetime, timedelta
from typing import get_args
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from xxhash import xxh3_64_intdigest

from streamagg.core.calendars import Calendars
from streamagg.core.measures.published import measures_of
from streamagg.core.partition_clock import PartitionClock, PartitionState
from streamagg.core.windows import Windows
from streamagg.model.columns import ROWS
from streamagg.model.groups import group_text as orjson_text
from streamagg.model.settings import (
    CLOCK_CALENDARS,
    NO_CEILING,
    CalendarSettings,
    DecodeSettings,
    MeasureOp,
    MeasureSettings,
    WindowSettings,
)
from streamagg.tools.periods import Periods
from streamagg.tools.published import group_text
from streamagg.tools.recount import Event, PartitionRecount, Recount, window_of
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


MEASURED = DecodeSettings(
    user_field=None,
    measures=tuple(MeasureSettings(op, op, "text" if op == "uniques" else "n") for op in get_args(MeasureOp)),
)
numbers = st.one_of(
    st.none(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(2**63), 2**63).map(float),
    st.sampled_from([0.0, -0.0, 0.1, 0.2, -0.3, 5e-324, 1e308, -1e308]),
)
rows = st.lists(
    st.tuples(numbers, st.one_of(st.none(), st.sampled_from("abc")), st.integers(0, 3), st.integers(0, 2)),
    max_size=40,
)


@given(rows)
def test_measures_agree(given_rows: list[tuple[float | None, str | None, int, int]]) -> None:
    window = window_of(MEASURED.measures)
    for offset, (number, text, time_ms, partition) in enumerate(given_rows):
        values = tuple(text if measure.op == "uniques" else number for measure in MEASURED.measures)
        window.add(Event(time_ms, None, (), values, (), (partition, offset)))

    number, text, time_ms, partition = zip(*given_rows, strict=True) if given_rows else ((), (), (), ())
    columns = (
        np.array([math.nan if value is None else value for value in number], np.float64),
        np.array([0 if value is None else xxh3_64_intdigest(value.encode()) for value in text], np.uint64),
        np.array(time_ms, np.int64),
        np.array(partition, np.int64),
        np.arange(len(given_rows)),
    )
    _, *measures = measures_of(MEASURED, NO_CEILING)
    for measure, measured in zip(measures, window.measured, strict=True):
        state = measure.initialize()
        state.update(columns, len(given_rows), None, 1)
        published = measure.finish(measure.combine([(state.summary(), None)], 1)).all.number
        assert repr(measured.result()) == repr(published), measure.name


CALENDARS = tuple(CalendarSettings(name, length_ms) for name, length_ms in CLOCK_CALENDARS.items())


@pytest.mark.parametrize(
    "zone",
    [
        "UTC",
        "Europe/Berlin",
        "America/Havana",
        "America/St_Johns",
        "Australia/Lord_Howe",
        "Pacific/Apia",
        "Asia/Kathmandu",
        "Africa/Casablanca",
        "Antarctica/Troll",
        "Africa/Monrovia",
    ],
)
def test_periods_agree_around_every_change_of_a_clock(zone: str) -> None:
    window = WindowSettings(granularity_ms=900_000, calendars=CALENDARS, time_zone=zone)
    core, periods, windows = Calendars(window), Periods(window), Windows(window)
    start, clock = datetime(1980, 1, 1, tzinfo=UTC), ZoneInfo(zone)
    days = [start + timedelta(days) for days in range(366 * 60)]
    changes = [
        day
        for day in days
        if day.astimezone(clock).utcoffset() != (day - timedelta(1)).astimezone(clock).utcoffset()
    ]
    for change in [*changes[:: max(1, len(changes) // 12)], start]:
        for quarter in range(-140, 40, 3):
            start_ms = int((change + timedelta(minutes=15 * quarter)).timestamp() * 1_000)
            number = windows.number(start_ms)
            assert [(one.start_ms, one.end_ms) for one in periods.of(start_ms)] == [
                tuple(core.period(calendar, number)) for calendar in range(len(CALENDARS))
            ]


@given(st.lists(st.one_of(st.none(), st.text()), max_size=4))
def test_the_texts_of_groups_agree(group: list[str | None]) -> None:
    assert group_text(tuple(group)).encode() == orjson_text(group)
