"""Periods of calendars, from files: whatever the rules, the order and the number of shards."""

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from streamagg.core.windows import Windows
from streamagg.engine.count import count
from streamagg.model.results import WindowTable
from streamagg.model.settings import (
    CalendarSettings,
    CountSettings,
    DecodeSettings,
    MeasureSettings,
    PipelineSettings,
    WindowSettings,
)
from streamagg.settings.resolve import Resolver
from streamagg.sinks.json_records import render
from tests.support.published import check_published

ZONE = "Europe/Berlin"
MEASURES = (
    MeasureSettings("bytes", "sum", "bytes"),
    MeasureSettings("mean", "avg", "bytes"),
    MeasureSettings("least", "min", "bytes"),
    MeasureSettings("last", "last", "bytes"),
    MeasureSettings("kinds", "uniques", "kind"),
)
DECODE = DecodeSettings(group_by=("country",), measures=MEASURES)


def window(*calendars: str) -> WindowSettings:
    given = {"calendar": list(calendars), "time_zone": ZONE, "granularity": "15m", "max_lag": "0s"}
    return Resolver(given, {}).window()


def records(seed: int) -> list[dict[str, Any]]:
    """In order, over the change of clocks of 27 March 2016, with hours that nobody hit."""
    chance = random.Random(seed)
    now = datetime(2016, 3, 26, 20, 0, tzinfo=ZoneInfo(ZONE)).timestamp()
    found = []
    for _ in range(120):
        now += chance.choice((1, 40, 900, 9_000))
        record = {"ts": int(now), "uid": f"u{chance.randrange(40)}", "kind": chance.randrange(5)}
        record["country"] = chance.choice(("DE", "FR", None))
        record["bytes"] = chance.choice((1, 0.1, 2**53, -0.3, 1e300))
        found.append(record)
    return found


def counted(
    path: Path, *calendars: str, as_run: bool, shards: int = 1, settings: WindowSettings | None = None
) -> list[tuple[bytes, bytes]]:
    found: list[tuple[bytes, bytes]] = []

    def emit(windows: Windows, tables: Sequence[WindowTable]) -> None:
        found.extend(row for table in tables for row in render(windows, table, DECODE.group_by))

    pipeline = PipelineSettings(1, shards, inline=True)
    count(CountSettings((str(path),), settings or window(*calendars), as_run, DECODE, pipeline), emit)
    return found


def spans(rows: list[dict[str, Any]]) -> Iterator[tuple[str, int, int, list[dict[str, Any]]]]:
    """By plain arithmetic: windows, hours and days that have records."""
    zone = ZoneInfo(ZONE)
    for calendar in ("", "hour", "day"):
        starts: dict[tuple[int, int], list[dict[str, Any]]] = {}
        for row in rows:
            if calendar != "day":
                length = 3_600 if calendar else 900
                start, end = row["ts"] // length * length, row["ts"] // length * length + length
            else:
                here = datetime.fromtimestamp(row["ts"], zone)
                start = int(datetime(here.year, here.month, here.day, tzinfo=zone).timestamp())
                tomorrow = date(here.year, here.month, here.day) + timedelta(days=1)
                end = int(datetime.combine(tomorrow, time(), tzinfo=zone).timestamp())
            starts.setdefault((start, end), []).append(row)
        for (start, end), those in starts.items():
            yield calendar, start, end, those


def expected(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    found = {}
    for calendar, start, end, those in spans(rows):
        key = f"{calendar} {start}".strip()
        found[key] = _numbers(those) | ({"calendar": calendar, "end": end} if calendar else {})
        for country in {row["country"] for row in those}:
            name = json.dumps([country], separators=(",", ":"))
            found[f"{key} {name}"] = _numbers([row for row in those if row["country"] == country])
    return found


def _numbers(rows: list[dict[str, Any]]) -> dict[str, Any]:
    total = sum(Fraction(row["bytes"]) for row in rows)
    return {
        "cnt": len({row["uid"] for row in rows}),
        "records": len(rows),
        "bytes": int(total) if total.denominator == 1 and abs(total) < 2**63 else float(total),
        "mean": float(total / len(rows)),
        "least": min(row["bytes"] for row in rows),
        "last": rows[-1]["bytes"],
        "kinds": len({row["kind"] for row in rows}),
    }


@pytest.mark.parametrize("seed", range(2))
def test_whatever_the_order_and_the_shards(seed: int, tmp_path: Path) -> None:
    rows = records(seed)
    path, shuffled = tmp_path / "rows", tmp_path / "shuffled"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    found = counted(path, "hour", "day", as_run=False)
    assert found == counted(path, "day", "hour", as_run=False)
    assert sorted(found) == sorted(counted(path, "hour", "day", as_run=True))
    assert sorted(found) == sorted(counted(path, "hour", "day", as_run=True, shards=3))
    random.Random(seed).shuffle(rows)
    shuffled.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    same = [(key, value) for key, value in counted(shuffled, "hour", "day", as_run=False)]
    assert [key for key, _ in same] == [key for key, _ in found]


@pytest.mark.parametrize("seed", range(2))
def test_every_number_is_that_of_plain_sets(seed: int, tmp_path: Path) -> None:
    rows = records(seed)
    path = tmp_path / "rows"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    found = counted(path, "hour", "day", as_run=True, shards=2)
    check_published([value for key, value in found if b" " not in key], "window")
    values = {key.decode(): json.loads(value) for key, value in found}
    wanted = expected(rows)
    assert values.keys() == wanted.keys()
    for key, numbers in wanted.items():
        assert {name: values[key][name] for name in numbers} == numbers, key


def test_a_period_follows_its_last_window(tmp_path: Path) -> None:
    path = tmp_path / "rows"
    path.write_text("".join(json.dumps(row) + "\n" for row in records(1)), "utf-8")
    ends = []
    for key, value in counted(path, "hour", "day", as_run=False):
        if key.count(b" ") == key.count(b"["):
            start = json.loads(value)["ts"]
            assert all(end > start for end in ends), "a period before one of its windows"
        elif b"[" not in key:
            ends.append(json.loads(value)["end"])
            ends = [end for end in ends if end > json.loads(value)["end"]]


def test_there_are_no_empty_windows_behind_the_last_one(tmp_path: Path) -> None:
    """Though the day goes on."""
    path = tmp_path / "rows"
    path.write_text("".join(json.dumps(row) + "\n" for row in records(2)), "utf-8")
    empty = replace(window("hour", "day"), empty_windows=True)
    found = [counted(path, as_run=as_run, settings=empty) for as_run in (True, False)]
    windows = [[int(key) for key, _ in one if b" " not in key] for one in found]
    assert windows[0] == windows[1] == list(range(windows[0][0], windows[0][-1] + 1, 900))
    assert sorted(found[0]) == sorted(found[1])


def test_calendars_are_those_of_the_settings() -> None:
    assert window("day", "hour").calendars == (
        CalendarSettings("hour", 3_600_000),
        CalendarSettings("day", 86_400_000),
    )
