"""``count`` as a run: the same windows whatever does the work, and when workers die on the way."""

import gzip
import json
import os
import signal
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from streamagg.core.windows import Windows
from streamagg.engine.count import count
from streamagg.engine.reporting.stats import RunStats
from streamagg.engine.workers.supervisor import ProcessWorkers
from streamagg.errors import SettingsError, TooManyUsers
from streamagg.model.results import WindowTable
from streamagg.model.settings import CeilingSettings, CountSettings, PipelineSettings, WindowSettings
from streamagg.sinks.json_records import render
from streamagg.tools.generate import GenerateSettings, write
from streamagg.tools.recount import counted_users

WINDOW = WindowSettings(10_000, max_lag_ms=5_000, max_jump_ms=15_000)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """About 30 MB: several leases for every worker."""
    made = tmp_path_factory.mktemp("count") / "stream.jsonl"
    with made.open("wb") as out:
        settings = GenerateSettings(
            60_000, users=3_000, rate=100, size_bytes=500, disorder=0.05, corrupt=0.001
        )
        write(settings, out)
    return made


@pytest.fixture(scope="module")
def inline(path: Path) -> tuple[list[bytes], RunStats]:
    return counted(path)


def counted(
    *paths: Path, pipeline: PipelineSettings | None = None, **window: Any
) -> tuple[list[bytes], RunStats]:
    values: list[bytes] = []

    def emit(windows: Windows, counts: Sequence[WindowTable]) -> None:
        values.extend(value for table in counts for _, value in render(windows, table))

    settings = CountSettings(
        tuple(map(str, paths)),
        replace(WINDOW, **window),
        as_run=True,
        pipeline=pipeline or PipelineSettings(inline=True),
    )
    return values, count(settings, emit)


def same_counters(one: RunStats, other: RunStats) -> bool:
    return (one.records, one.counted, one.late, one.rejected, one.windows) == (
        other.records,
        other.counted,
        other.late,
        other.rejected,
        other.windows,
    )


@pytest.mark.slow
@pytest.mark.usefixtures("processes")
@pytest.mark.parametrize(("unmarshallers", "aggregators"), [(1, 1), (2, 3), (4, 2)])
def test_processes_count_as_inline_does(
    unmarshallers: int, aggregators: int, path: Path, inline: tuple[list[bytes], RunStats]
) -> None:
    pipeline = PipelineSettings(unmarshallers, aggregators)
    values, stats = counted(path, pipeline=pipeline)
    assert values == inline[0]
    assert same_counters(stats, inline[1])
    assert stats.records == 60_000
    assert stats.late > 0
    assert stats.restarts == 0


def test_a_stream_counts_as_a_file_does(
    path: Path, inline: tuple[list[bytes], RunStats], tmp_path: Path
) -> None:
    packed = tmp_path / "stream.gz"
    packed.write_bytes(gzip.compress(path.read_bytes(), 1))
    values, stats = counted(packed)
    assert values == inline[0]
    assert same_counters(stats, inline[1])


def test_a_jump_far_into_a_stream(tmp_path: Path) -> None:
    """Behind the first lease, where nobody asks for timestamps, and a stream cannot be read again."""
    rows = [b'{"ts":%d,"uid":"%d","x":"%s"}' % (1000 + i // 100, i % 7, b"x" * 2_000) for i in range(9_000)]
    rows += [b'{"ts":%d,"uid":"u"}' % (500_000 + i) for i in range(10)]
    plain, packed = tmp_path / "a.jsonl", tmp_path / "a.gz"
    plain.write_bytes(b"\n".join(rows))
    packed.write_bytes(gzip.compress(b"\n".join(rows), 1))
    values, stats = counted(packed)
    assert stats.records == stats.counted == 9_010
    assert values == counted(plain)[0]


@pytest.mark.slow
@pytest.mark.usefixtures("processes")
@pytest.mark.parametrize("kind", ["_unmarshallers", "_aggregators"])
def test_a_worker_dies_on_the_way(
    kind: str, path: Path, inline: tuple[list[bytes], RunStats], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is killed when the first window is out, so in the middle of the work."""
    opened: list[ProcessWorkers] = []
    begin = ProcessWorkers.__init__

    def remembered(self: ProcessWorkers, *args: Any, **options: Any) -> None:
        begin(self, *args, **options)
        opened.append(self)

    monkeypatch.setattr(ProcessWorkers, "__init__", remembered)
    values: list[bytes] = []

    def emit(windows: Windows, counts: Sequence[WindowTable]) -> None:
        if not values:
            os.kill(getattr(opened[0], kind)[0].process.pid, signal.SIGKILL)
        values.extend(value for table in counts for _, value in render(windows, table))

    stats = count(CountSettings((str(path),), WINDOW, as_run=True, pipeline=PipelineSettings(2, 2)), emit)
    assert values == inline[0]
    assert sum(opened[0].sample().restarts.values()) == 1
    assert stats.windows == inline[1].windows
    assert stats.restarts == (kind == "_aggregators")


def test_several_files_are_partitions(path: Path, tmp_path: Path) -> None:
    """The order of files is not the order in time: none is late because of another."""
    rows = path.read_bytes().splitlines(keepends=True)[:4_000]
    halves = [tmp_path / "b.jsonl", tmp_path / "a.jsonl"]
    halves[0].write_bytes(b"".join(rows[2_000:]))
    halves[1].write_bytes(b"".join(rows[:2_000]))
    one_way, stats = counted(*halves)
    other_way, _ = counted(*reversed(halves))
    assert one_way == other_way
    assert stats.records == 4_000


def test_a_pipe(tmp_path: Path, path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    content = b"".join(path.read_bytes().splitlines(keepends=True)[:3_000])
    writer = threading.Thread(target=pipe.write_bytes, args=(content,))
    writer.start()
    values, stats = counted(pipe)
    writer.join()
    plain = tmp_path / "plain.jsonl"
    plain.write_bytes(content)
    assert values == counted(plain)[0]
    assert stats.records == 3_000


@pytest.mark.parametrize("content", [b"", b"\n\n", b'{"ts":1,"uid":"u"}'])
def test_almost_nothing(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    values, stats = counted(file)
    assert len(values) == stats.records == (1 if content.strip() else 0)


def test_empty_windows(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"".join(b'{"ts":%d,"uid":"u"}\n' % ts for ts in [0, 45, 46, 47, 48]))
    values, _ = counted(file, empty_windows=True)
    assert [b'"cnt":0' in value for value in values] == [False, True, True, True, False]


@pytest.fixture(scope="module")
def flood(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One user, then 100,000, then one, in windows of their own."""
    made = tmp_path_factory.mktemp("flood") / "flood.jsonl"
    users = [(5, 0), *((15, number) for number in range(100_000)), (25, 0)]
    made.write_bytes(b"".join(b'{"ts":%d,"uid":"user-%d"}\n' % row for row in users))
    return made


def counted_above(path: Path, pipeline: PipelineSettings, ceiling: CeilingSettings) -> list[dict[str, Any]]:
    """The rows that came out, until the run ended or stopped."""
    values: list[bytes] = []

    def emit(windows: Windows, counts: Sequence[WindowTable]) -> None:
        values.extend(value for table in counts for _, value in render(windows, table))

    settings = CountSettings((str(path),), WINDOW, as_run=True, pipeline=pipeline, ceiling=ceiling)
    if ceiling.above == "stop":
        with pytest.raises(TooManyUsers, match="1970-01-01T00:00:10Z has more than 70,000 unique users"):
            count(settings, emit)
    else:
        count(settings, emit)
    return [json.loads(value) for value in values]


PIPELINES = [PipelineSettings(1, 1), PipelineSettings(2, 3), PipelineSettings(inline=True)]


@pytest.mark.slow
@pytest.mark.usefixtures("processes")
@pytest.mark.parametrize("pipeline", PIPELINES)
def test_a_flood_stops_the_run_whatever_does_the_work(pipeline: PipelineSettings, flood: Path) -> None:
    rows = counted_above(flood, pipeline, CeilingSettings(70_000))
    assert [(row["ts"], row["cnt"]) for row in rows] == [(0, 1)]


@pytest.mark.slow
@pytest.mark.usefixtures("processes")
@pytest.mark.parametrize("pipeline", PIPELINES)
def test_a_flood_is_estimated_the_same_whatever_does_the_work(
    pipeline: PipelineSettings, flood: Path
) -> None:
    pytest.importorskip("datasketches", reason="no wheel for this Python")
    ceiling = CeilingSettings(70_000, "approximate")
    about, _ = counted_users({f"user-{number}" for number in range(100_000)}, ceiling)
    rows = counted_above(flood, pipeline, ceiling)
    assert [row["cnt"] for row in rows] == [1, about, 1]
    assert [row.get("approximate") for row in rows] == [None, True, None]
    assert abs(about / 100_000 - 1) < rows[1]["error"] < 0.008


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="gone"):
        counted(tmp_path / "gone")


def test_the_end_tells_what_is_in_no_count(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Two files, of one of which three lines in ten are broken."""
    good = [json.dumps({"ts": 1_468_244_380 + second, "uid": "u"}) for second in range(10)]
    paths = [tmp_path / "good", tmp_path / "bad"]
    paths[0].write_text("\n".join(good) + "\n")
    paths[1].write_text("\n".join([*good[:7], "{", "{", "{"]) + "\n")
    counted(paths[0])
    assert caplog.records == []
    counted(*paths)
    (told,) = caplog.records
    fields = vars(told)["fields"]
    assert vars(told)["event"] == "uncounted_total"
    assert (fields["records"], fields["rejected"], fields["partition"], fields["share"]) == (20, 3, 1, 0.3)
