"""``count`` in any order, against plain sets: any cut, any room in memory, whatever does the work."""

import gzip
import json
import os
import random
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamagg.core.windows import Windows
from streamagg.decode import Decoder
from streamagg.engine import any_order as module
from streamagg.engine import count as counting
from streamagg.engine.any_order import AnyOrder
from streamagg.engine.count import count
from streamagg.engine.pair_store import PairStore
from streamagg.engine.reporting.stats import RunStats
from streamagg.engine.session.leases import LeaseSize
from streamagg.engine.workers.inline import InlineWorkers
from streamagg.engine.workers.supervisor import ProcessWorkers
from streamagg.engine.workers.unmarshaller import open_unmarshaller
from streamagg.errors import SettingsError, TooManyUsers
from streamagg.model.messages import UnmarshallerSetup
from streamagg.model.results import USERS, WindowTable
from streamagg.model.settings import (
    CeilingSettings,
    CountSettings,
    DecodeSettings,
    PipelineSettings,
    SourceSettings,
    WindowSettings,
)
from streamagg.sinks.json_records import render
from streamagg.tools.generate import GenerateSettings, write
from streamagg.tools.recount import counted_users

WINDOW = WindowSettings(10_000, max_lag_ms=5_000, max_jump_ms=15_000)
INLINE = PipelineSettings(inline=True)
MINUTES = WindowSettings()

Row = tuple[int, str]
"""Event time in seconds, and user."""


class Outcome(NamedTuple):
    """What was handed out, batch by batch, and the counters."""

    batches: list[list[bytes]]
    stats: RunStats

    @property
    def values(self) -> list[bytes]:
        return [value for batch in self.batches for value in batch]

    @property
    def windows(self) -> dict[int, tuple[int, int]]:
        """Users and records by start of window, in seconds."""
        rows = [json.loads(value) for value in self.values]
        assert [row["ts"] for row in rows] == sorted({row["ts"] for row in rows})
        return {row["ts"]: (row["cnt"], row["records"]) for row in rows}


def counted(
    *paths: Path, pipeline: PipelineSettings = INLINE, as_run: bool = False, **window: Any
) -> Outcome:
    batches: list[list[bytes]] = []

    def emit(windows: Windows, counts: Sequence[WindowTable]) -> None:
        batches.append([value for table in counts for _, value in render(windows, table)])

    given = CountSettings(tuple(map(str, paths)), replace(WINDOW, **window), as_run=as_run, pipeline=pipeline)
    return Outcome(batches, count(given, emit))


def line(row: Row) -> bytes:
    return b'{"ts":%d,"uid":"%s"}\n' % (row[0], row[1].encode())


def written(path: Path, rows: Sequence[Row]) -> Path:
    path.write_bytes(b"".join(map(line, rows)))
    return path


def expected(rows: Sequence[Row], window: WindowSettings = WINDOW) -> dict[int, tuple[int, int]]:
    users: dict[int, list[str]] = {}
    length = window.granularity_ms // 1_000
    for second, user in rows:
        users.setdefault(second // length * length, []).append(user)
    return {start: (len(set(those)), len(those)) for start, those in sorted(users.items())}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """About 30 MB: several leases for every worker."""
    made = tmp_path_factory.mktemp("any") / "stream.jsonl"
    with made.open("wb") as out:
        write(GenerateSettings(60_000, users=3_000, rate=100, size_bytes=500), out)
    return made


@pytest.fixture(scope="module")
def shuffled(path: Path) -> Path:
    lines = path.read_bytes().splitlines(keepends=True)
    random.Random(3).shuffle(lines)
    made = path.with_name("shuffled.jsonl")
    made.write_bytes(b"".join(lines))
    return made


TIMES = st.one_of(st.integers(0, 40), st.integers(0, 2_000_000_000))
LINES = st.lists(st.one_of(st.tuples(TIMES, st.sampled_from("abcdef")), st.none()), max_size=50)


@settings(deadline=None)
@given(
    files=st.lists(LINES, min_size=1, max_size=3),
    most=st.integers(1, 60),
    workers=st.integers(1, 3),
    lease=st.integers(20, 400),
)
def test_any_order_any_cut_any_room(
    files: list[list[Row | None]],
    most: int,
    workers: int,
    lease: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """None is a line that is no record."""
    directory = tmp_path_factory.mktemp("files")
    paths = [directory / f"{number}.jsonl" for number in range(len(files))]
    for path, lines in zip(paths, files, strict=True):
        path.write_bytes(b"".join(b"{\n" if row is None else line(row) for row in lines))
    setup = UnmarshallerSetup(DecodeSettings(), 1, SourceSettings(files=tuple(map(str, paths))))
    opened = InlineWorkers([open_unmarshaller(setup, Decoder(setup.decode)) for _ in range(workers)], [])
    store = PairStore(most)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BYTES", LeaseSize(lease, 16))
        reading = AnyOrder(WINDOW, [path.stat().st_size for path in paths], opened, store)
    while not reading.finished:
        reading.turn(0)
    found = list(reading.counted(empty_windows=False))
    store.close()
    opened.close()
    rows = [row for lines in files for row in lines if row is not None]
    assert {one.window * 10: (one.row[USERS].number, one.records) for one in found} == expected(rows)
    assert [one.window for one in found] == sorted(one.window for one in found)
    for number, lines in enumerate(files):
        good = sum(row is not None for row in lines)
        counts = reading.counts[number]
        assert (counts.consumed, counts.counted) == (len(lines), good)
        assert counts.rejected == ({"bad_json": len(lines) - good} if good < len(lines) else {})


def test_what_is_in_order_counts_byte_for_byte_as_a_run_does(path: Path) -> None:
    as_run, found = counted(path, as_run=True), counted(path)
    assert as_run.stats.late == 0
    assert found.values == as_run.values
    ignored = {"seconds": 0.0, "records_per_second": 0.0, "peak_rss_bytes": 0}
    assert replace(found.stats, **ignored) == replace(as_run.stats, **ignored)


def test_order_changes_nothing(path: Path, shuffled: Path) -> None:
    found = counted(shuffled)
    assert found.values == counted(path).values
    assert (found.stats.counted, found.stats.late, found.stats.rejected) == (60_000, 0, {})
    assert counted(shuffled, as_run=True).stats.counted < 30_000


def test_a_table_ordered_by_month_as_text(tmp_path: Path) -> None:
    """1, 10, 11, 12, 2, 3 …: of such a public table of flights two thirds were late."""
    months = sorted(range(1, 13), key=str)
    rows = [
        (month * 30 * 86_400 + number * 1_000, f"plane {number % 40}")
        for month in months
        for number in range(2_000)
    ]
    path = written(tmp_path / "flights.jsonl", rows)
    found = counted(path, granularity_ms=3_600_000)
    assert found.windows == expected(rows, WindowSettings(3_600_000))
    assert (found.stats.records, found.stats.counted, found.stats.late) == (24_000, 24_000, 0)
    as_run = counted(path, as_run=True, granularity_ms=3_600_000, max_jump_ms=3_600_000)
    assert as_run.stats.late == 16_000


def test_400_days_in_random_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """576,000 minutes, of which only a part is in memory at any time."""
    monkeypatch.setattr(counting, "PairStore", lambda: PairStore(8_000))
    chance = random.Random(400)
    seconds = 400 * 86_400
    rows = [(1_468_195_200 + chance.randrange(seconds), f"{chance.randrange(9)}") for _ in range(80_000)]
    found = counted(written(tmp_path / "days.jsonl", rows), granularity_ms=60_000)
    assert found.windows == expected(rows, MINUTES)
    assert len(found.windows) > 70_000


@pytest.mark.slow
@pytest.mark.usefixtures("processes")
@pytest.mark.parametrize("unmarshallers", [1, 3])
def test_processes_count_as_inline_does(unmarshallers: int, path: Path, shuffled: Path) -> None:
    found = counted(shuffled, path, pipeline=PipelineSettings(unmarshallers, 2))
    one = counted(path)
    assert {start: (cnt, 2 * records) for start, (cnt, records) in one.windows.items()} == found.windows
    assert (found.stats.records, found.stats.counted, found.stats.restarts) == (120_000, 120_000, 0)


@pytest.mark.slow
@pytest.mark.usefixtures("processes")
def test_an_unmarshaller_dies_on_the_way(path: Path, shuffled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is killed when blocks have come, so in the middle of the work."""
    killed: list[int] = []
    poll = ProcessWorkers.poll

    def killing(self: ProcessWorkers, timeout_ms: int) -> Any:
        events = poll(self, timeout_ms)
        if events and not killed:
            killed.append(self._unmarshallers[0].process.pid)
            os.kill(killed[0], signal.SIGKILL)
        return events

    monkeypatch.setattr(ProcessWorkers, "poll", killing)
    found = counted(shuffled, pipeline=PipelineSettings(2, 1))
    assert killed
    assert found.values == counted(path).values


@pytest.mark.slow
@pytest.mark.usefixtures("processes")
def test_a_record_that_kills_its_readers_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMAGG_FAULT", "poison:deadly")
    rows = [(second, "u") for second in range(50)]
    rows[20] = (20, "deadly")
    found = counted(written(tmp_path / "poison.jsonl", rows), pipeline=PipelineSettings(2, 1))
    assert found.windows == expected([row for row in rows if row[1] == "u"])
    assert (found.stats.counted, found.stats.rejected) == (49, {"poison": 1})


def test_compressed_files_and_empty_ones(path: Path, shuffled: Path, tmp_path: Path) -> None:
    packed, empty = tmp_path / "stream.gz", tmp_path / "empty"
    packed.write_bytes(gzip.compress(shuffled.read_bytes(), 1))
    empty.write_bytes(b"\n\n")
    assert counted(empty, packed).values == counted(path).values
    assert counted(empty).batches == []


def test_a_year_without_records_is_handed_out_as_it_arises(tmp_path: Path) -> None:
    path = written(tmp_path / "gap.jsonl", [(365 * 86_400, "b"), (0, "a")])
    found = counted(path, granularity_ms=3_600_000, empty_windows=True)
    assert max(map(len, found.batches)) <= 1_000
    assert len(found.values) == found.stats.windows == 365 * 24 + 1
    assert sum(b'"cnt":0' in value for value in found.values) == 365 * 24 - 1
    assert found.stats.counted == 2


@pytest.fixture(scope="module")
def flood(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One user, then 100,000, then one, in windows of their own; the last of them first."""
    rows = [(25, "0"), *((15, str(number)) for number in range(100_000)), (5, "0")]
    return written(tmp_path_factory.mktemp("flood") / "flood.jsonl", rows)


def above(path: Path, ceiling: CeilingSettings, **window: Any) -> CountSettings:
    return CountSettings((str(path),), replace(WINDOW, **window), pipeline=INLINE, ceiling=ceiling)


@pytest.mark.parametrize("empty_windows", [True, False])
def test_a_flood_stops_before_its_window(flood: Path, empty_windows: bool) -> None:
    found: list[WindowTable] = []
    with pytest.raises(TooManyUsers, match="1970-01-01T00:00:10Z has more than 70,000 unique users"):
        count(
            above(flood, CeilingSettings(70_000), empty_windows=empty_windows),
            lambda windows, counts: found.extend(counts),
        )
    assert [(one.window, one.row[USERS].number) for one in found] == [(0, 1)]


@pytest.mark.parametrize("most", [1 << 20, 30_000])
def test_a_flood_is_estimated_as_in_a_run(flood: Path, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("datasketches", reason="no wheel for this Python")
    monkeypatch.setattr(counting, "PairStore", lambda: PairStore(most))
    ceiling = CeilingSettings(70_000, "approximate")
    about, _ = counted_users({str(number) for number in range(100_000)}, ceiling)
    found: list[WindowTable] = []
    count(above(flood, ceiling), lambda windows, counts: found.extend(counts))
    assert [one.row[USERS].number for one in found] == [1, about, 1]
    assert [one.users.error is None for one in found] == [True, False, True]


def test_many_windows_need_no_slots(tmp_path: Path) -> None:
    rows = [(second, "u") for second in reversed(range(0, 90_000, 10))]
    found = counted(written(tmp_path / "back.jsonl", rows), pipeline=PipelineSettings(inline=True, slots=2))
    assert found.windows == expected(rows)


def test_the_store_is_closed_whatever_happens(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[PairStore] = []
    close: Callable[[PairStore], None] = PairStore.close

    def noted(self: PairStore) -> None:
        closed.append(self)
        close(self)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(PairStore, "close", noted)
    with pytest.raises(KeyboardInterrupt):
        count(CountSettings((str(path),), WINDOW, pipeline=INLINE), interrupted)
    assert len(closed) == 1


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="gone"):
        counted(tmp_path / "gone")
