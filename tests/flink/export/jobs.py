"""Settings of runs, as a job gets them."""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from streamagg.model.settings import (
    CalendarSettings,
    CeilingSettings,
    DecodeSettings,
    KafkaSettings,
    MeasureSettings,
    PipelineSettings,
    RunSettings,
    StartAt,
    WindowSettings,
)

_RUNS: Final = (
    RunSettings("visits", "visitors"),
    RunSettings(
        "in",
        "out",
        WindowSettings(
            1_000, 250, 3_000, 4_000, True, (CalendarSettings("day", 86_400_000),), "Asia/Tokyo", "ab"
        ),
        CeilingSettings(9, "approximate", 7, "totals", 5),
        DecodeSettings(
            "t",
            None,
            "iso8601",
            99,
            "registry",
            ("a", "b.0"),
            (MeasureSettings("m", "uniques", "x"),),
            2**64 - 1,
        ),
        KafkaSettings("host:1", {"client.id": "x"}, "group"),
        PipelineSettings(idle_timeout_ms=123),
        StartAt("time", 17),
        until_end=True,
        keep_open=True,
        delivery="at-least-once",
        dead_letter="dead",
        late_topic="late",
        state_topic="state",
    ),
)


def jobs() -> Iterator[dict[str, Any]]:
    """One object for each run: its settings, and parts of them again, one by one."""
    for run in _RUNS:
        yield {"job": msgspec.json.encode(run).decode(), "expect": list(map(_text, _values(run)))}


def _values(run: RunSettings) -> Iterator[object]:
    window, ceiling, decode = run.window, run.ceiling, run.decode
    yield from (run.input, run.output)
    yield from (window.granularity_ms, window.offset_ms, window.max_lag_ms, window.max_jump_ms)
    yield from (window.empty_windows, window.time_zone, window.zone_data)
    yield from ([f"{calendar.name} {calendar.length_ms}" for calendar in window.calendars])
    yield from (ceiling.max_users, ceiling.above, ceiling.max_groups, ceiling.above_groups, ceiling.top)
    yield from (decode.time_field, decode.user_field, decode.time_unit, decode.max_record_bytes)
    yield from (decode.framing, *decode.group_by, decode.hash_seed)
    yield from ([f"{measure.name} {measure.op} {measure.path}" for measure in decode.measures])
    yield from (
        run.kafka.bootstrap_servers,
        run.kafka.group,
        *(f"{name}={value}" for name, value in run.kafka.client.items()),
    )
    yield from (run.pipeline.idle_timeout_ms, run.start.kind, run.start.time_ms)
    yield from (run.until_end, run.keep_open, run.delivery, run.dead_letter, run.late_topic, run.state_topic)


def _text(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
