"""Streams of one partition, and what its clock makes of each record."""

import random
from collections.abc import Iterator
from itertools import chain, pairwise
from typing import Any, Final

import numpy as np

from streamagg.core.partition_clock import Outcome, PartitionClock, PartitionState
from streamagg.core.windows import Windows
from streamagg.model.columns import NO_COLUMNS
from streamagg.model.settings import WindowSettings

_STREAMS: Final = 3_000
Record = tuple[int, int, bool]
"""Offset, event time in milliseconds, and whether it is live."""


def clocks() -> Iterator[dict[str, Any]]:
    """One object for each stream."""
    return map(_stream, range(_STREAMS))


def _stream(seed: int) -> dict[str, Any]:
    chance = random.Random(seed)
    settings = _settings(chance)
    records = _records(chance, settings)
    inside = chance.random() < 0.3
    state = PartitionState(records[0][0], began_inside=inside)
    clock = PartitionClock(Windows(settings), NO_COLUMNS, state, keep_late=True)
    silences = {
        place: _time_of_day(chance, records) for place in _cuts(chance, records) if chance.random() < 0.1
    }
    outcomes = list(_fed(clock, records, _cuts(chance, records) | silences.keys(), silences))
    ended = chance.random() < 0.3
    if ended:
        outcomes.append(clock.end())
    return {
        "windows": [settings.granularity_ms, settings.offset_ms, settings.max_lag_ms, settings.max_jump_ms],
        "inside": inside,
        "records": records,
        "silences": sorted(silences.items()),
        "ended": ended,
        **_told(outcomes),
        "state": _state(clock.state),
    }


def _settings(chance: random.Random) -> WindowSettings:
    granularity_ms = chance.choice([1_000, 60_000, 60_000, 3_600_000])
    return WindowSettings(
        granularity_ms,
        chance.choice([0, 0, granularity_ms // 3]),
        chance.choice([0, 5_000, 5_000, 90_000]),
        chance.choice([1, 6_000, 6_000, 6_001, 65_000]),
    )


def _records(chance: random.Random, settings: WindowSettings) -> list[Record]:
    """Disorder, gaps, clocks that are fast, flipped bits, and offsets that are not there."""
    reach_ms = settings.max_jump_ms
    pace_ms = chance.choice([1, 50, reach_ms // 3, reach_ms, 2 * reach_ms])
    fast, gaps = chance.choice([0, 0.01, 0.1, 0.4]), chance.choice([0, 0.002, 0.02])
    ahead_ms = chance.choice([reach_ms // 2, reach_ms, 2 * reach_ms, 10 * reach_ms, 3_600_000])
    live, flips = chance.choice([0, 0, 0.3, 1]), chance.choice([0, 0, 0.02])
    now, offset, made = chance.randrange(10**12), chance.randrange(10**6), list[Record]()
    for _ in range(chance.choice([1, 30, 100, 400])):
        now += chance.randrange(pace_ms + 1)
        if chance.random() < gaps:
            now += chance.randrange(1, 20 * reach_ms + 100_000)
        time_ms = now
        if chance.random() < fast:
            time_ms += chance.randrange(ahead_ms + 1)
        elif chance.random() < 0.2:
            time_ms -= chance.randrange(chance.choice([2, 6, 30]) * reach_ms)
        if chance.random() < flips:
            time_ms ^= 1 << chance.randrange(41)
        made.append((offset, max(0, time_ms), chance.random() < live))
        offset += 1 if chance.random() < 0.9 else chance.randrange(1, 5)
    return made


def _cuts(chance: random.Random, records: list[Record]) -> set[int]:
    """Numbers of records before which a block ends."""
    return {chance.randrange(1, len(records) + 1) for _ in range(chance.randrange(6))}


def _time_of_day(chance: random.Random, records: list[Record]) -> int:
    return chance.choice(records)[1] + chance.randrange(-10_000, 10_000)


def _fed(
    clock: PartitionClock, records: list[Record], cuts: set[int], silences: dict[int, int]
) -> Iterator[Outcome]:
    bounds = sorted({0, *cuts, len(records)})
    for first, stop in pairwise(bounds):
        block = records[first:stop]
        offset, time_ms, live = (np.array(column) for column in zip(*block, strict=True))
        yield clock.feed(time_ms, (), offset, live, block[-1][0] + 1)
        if stop in silences:
            yield clock.believe(silences[stop])


def _told(outcomes: list[Outcome]) -> dict[str, Any]:
    """By verdict, in their order: offset, clock, and the offset at which it was decided."""
    runs = chain.from_iterable(outcome.runs for outcome in outcomes)
    late = chain.from_iterable(outcome.late_rows for outcome in outcomes)
    return {
        "counted": [row for run in runs for row in _rows(run.offset, run.clocks_after(), run.step_offsets())],
        "late": [row for rows in late for row in _rows(rows.offset, rows.clock_ms, rows.step_offset)],
        "future": [offset for outcome in outcomes for offset in outcome.future],
        "jumps": [jump for outcome in outcomes for jump in outcome.jumps],
    }


def _rows(*columns: Any) -> list[tuple[int, ...]]:
    return list(zip(*(column.tolist() for column in columns), strict=True))


def _state(state: PartitionState) -> dict[str, Any]:
    return {
        "clock_ms": state.clock_ms,
        "agreement": state.agreement,
        "set_aside": [(record.offset, record.lead) for record in state.set_aside],
        "partial_through": state.partial_through,
    }
