"""``advise``: what it says a max lag loses is what ``count`` loses with it."""

import gzip
import json
import os
import random
import re
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from streamagg.cli import execute
from streamagg.cli.advise import print_advice
from streamagg.engine.advise import Advice, advise, extents
from streamagg.engine.count import count
from streamagg.engine.workers.supervisor import ProcessWorkers
from streamagg.errors import ExitCode, SettingsError
from streamagg.model.settings import (
    AdviseSettings,
    CountSettings,
    DecodeSettings,
    MeasureSettings,
    PipelineSettings,
    WindowSettings,
)
from streamagg.tools.generate import GenerateSettings, write
from streamagg.tools.recount import Recounter, Rejected

WINDOW = WindowSettings(10_000, 3_000, max_lag_ms=4_000, max_jump_ms=15_000)
INLINE = PipelineSettings(inline=True)
VISITS = DecodeSettings(
    group_by=("country", "page.section"), measures=(MeasureSettings("bytes", "sum", "bytes"),)
)


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two partitions of disordered records, some of them broken; 6 MB in all."""
    made = []
    for seed in (1, 2):
        made.append(tmp_path_factory.mktemp("advise") / f"{seed}.jsonl")
        settings = GenerateSettings(
            15_000,
            users=500,
            rate=100,
            size_bytes=200,
            disorder=0.1,
            max_delay_s=90,
            corrupt=0.005,
            seed=seed,
        )
        with made[-1].open("wb") as out:
            write(settings, out)
    return made


def advice_on(*paths: Path, pipeline: PipelineSettings = INLINE, **window: Any) -> Advice:
    settings = AdviseSettings(None, tuple(map(str, paths)), replace(WINDOW, **window), pipeline=pipeline)
    return advise(settings, extents(settings), lambda done, records: None)


def findings(advice: Advice) -> tuple[object, ...]:
    """All but the time it took."""
    lateness = advice.lateness
    smallest = [lateness.smallest_max_lag_ms(one_in) for one_in in (100, 1_000, None)]
    jumps = advice.losses(WINDOW), [(number, ahead.records) for number, ahead in advice.fast()]
    return advice.records, advice.rejected, lateness.lost(), lateness.behind(), smallest, jumps


def test_each_max_lag_loses_what_a_count_with_it_loses(paths: list[Path]) -> None:
    advice = advice_on(*paths)
    lost = advice.lateness.lost()
    assert lost[0] > lost[4_000] > lost[60_000] > 0
    for max_lag_ms in (0, 1_000, 4_000, 30_000, 60_000, 120_000):
        counted = count(
            CountSettings(
                tuple(map(str, paths)),
                replace(WINDOW, max_lag_ms=max_lag_ms),
                as_run=True,
                pipeline=INLINE,
            ),
            lambda windows, counts: None,
        )
        assert counted.late == lost[max_lag_ms]
        assert counted.counted + counted.late == advice.lateness.accepted
        assert (counted.records, counted.rejected) == (advice.records, advice.rejected)


@pytest.fixture(scope="module")
def fast(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two partitions, a hundred records a second; of the second one 1 % are an hour ahead; a gap in both."""
    rng, made = random.Random(3), []
    for share in (0.0, 0.01):
        made.append(tmp_path_factory.mktemp("fast") / f"{share}.jsonl")
        with made[-1].open("w") as out:
            for number in range(8_000):
                time_s = 1_700_000_000 + number / 100 + 9_000 * (number >= 4_000)
                time_s += 3_600 * (rng.random() < share)
                out.write(json.dumps({"ts": round(time_s, 3), "uid": "u"}) + "\n")
    return made


def test_each_max_jump_brings_what_a_count_with_it_brings(fast: list[Path]) -> None:
    losses = advice_on(*fast).losses(WINDOW)
    assert list(losses) == [4_000, 15_000, 60_000, 3_600_000, 86_400_000]
    for max_jump_ms, loss in losses.items():
        counted = count(
            CountSettings(
                tuple(map(str, fast)), replace(WINDOW, max_jump_ms=max_jump_ms), pipeline=INLINE, as_run=True
            ),
            lambda windows, counts: None,
        )
        assert (loss.late, loss.future) == (counted.late, counted.rejected.get("future", 0))
    assert losses[86_400_000].late > 6_000


def test_the_cause_is_named(fast: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["advise", *map(str, fast), *FLAGS]) == ExitCode.OK
    out = capsys.readouterr().out
    (sentence,) = (line for line in out.splitlines() if "ahead of the others" in line)
    share, _, rest = sentence.partition(" % of the records of ")
    assert float(share) == pytest.approx(1, rel=0.3)
    assert rest == f"{fast[1]} are about 3,600 s ahead of the others"
    late = advice_on(*fast).losses(WINDOW)[3_600_000].late
    assert ["1h", f"{late:,}"] in [line.split()[:2] for line in out.splitlines()]


def test_a_program_reads_the_cause(fast: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["advise", *map(str, fast), *FLAGS, "--json"]) == ExitCode.OK
    found = json.loads(capsys.readouterr().out)
    (ahead,) = found["ahead"]
    assert (ahead["partition"], round(ahead["median"])) == (1, 3_600)
    assert ahead["records"] == round(ahead["share"] * 8_000)
    losses = advice_on(*fast).losses(WINDOW)
    assert found["max_jumps"] == [
        {"max_jump": max_jump_ms / 1_000, "late": loss.late, "future": loss.future}
        for max_jump_ms, loss in losses.items()
    ]


def test_of_many_partitions_ten_are_told(fast: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["advise", *[str(fast[1])] * 12]) == ExitCode.OK
    lines = capsys.readouterr().out.splitlines()
    assert len([line for line in lines if "ahead of the others" in line]) == 10
    assert "and so are some of 2 more partitions" in lines


@pytest.mark.usefixtures("processes")
def test_processes_find_the_same(paths: list[Path]) -> None:
    with_processes = advice_on(*paths, pipeline=PipelineSettings(unmarshallers=3))
    assert findings(with_processes) == findings(advice_on(*paths))


@pytest.mark.usefixtures("processes")
def test_an_unmarshaller_that_dies_changes_nothing(
    paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    killed: list[int] = []
    poll = ProcessWorkers.poll

    def killing(self: ProcessWorkers, timeout_ms: int) -> Any:
        if not killed:
            killed.append(self._unmarshallers[0].process.pid)
            os.kill(killed[0], signal.SIGKILL)
        return poll(self, timeout_ms)

    monkeypatch.setattr(ProcessWorkers, "poll", killing)
    with_processes = advice_on(*paths, pipeline=PipelineSettings(unmarshallers=2))
    assert killed
    assert findings(with_processes) == findings(advice_on(*paths))


def test_compressed_files_and_empty_ones(paths: list[Path], tmp_path: Path) -> None:
    packed, empty = tmp_path / "1.jsonl.gz", tmp_path / "empty"
    packed.write_bytes(gzip.compress(paths[0].read_bytes()))
    empty.touch()
    assert findings(advice_on(packed, paths[1], empty)) == findings(advice_on(*paths))
    assert advice_on(empty).lateness.accepted == 0


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(SettingsError, match="no-such-file"):
        advice_on(Path("no-such-file"))


FLAGS = ("--granularity", "10s", "--window-offset", "3s", "--max-lag", "4s", "--max-jump", "15s")


def test_what_a_person_sees(paths: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["advise", *map(str, paths), *FLAGS]) == ExitCode.OK
    lines = capsys.readouterr().out.splitlines()
    advice = advice_on(*paths)
    assert lines[0].startswith(f"30,000 records of {paths[0]}, {paths[1]} read in ")
    assert lines[1] == "windows of 10s, max jump 15s"
    rows = [line.split() for line in lines]
    lost = advice.lateness.lost()
    share = f"{100 * lost[4_000] / advice.lateness.accepted:.4f}"
    assert ["4s", f"{lost[4_000]:,}", share, "%", "←", "the", "present", "one"] in rows
    assert ["1d", f"{lost[86_400_000]:,}"] not in [row[:2] for row in rows], "nothing is gained by it"
    # In whole seconds, never less than what was found.
    smallest_s = -(-advice.lateness.smallest_max_lag_ms(100) // 1_000)
    assert ["at", "most", "1", "%", f"{smallest_s // 60}m{smallest_s % 60}s"] in rows


def test_what_a_program_reads(paths: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["advise", *map(str, paths), *FLAGS, "--json"]) == ExitCode.OK
    found = json.loads(capsys.readouterr().out)
    advice = advice_on(*paths)
    lateness = advice.lateness
    del found["seconds"], found["ahead"], found["max_jumps"]
    accepted = lateness.accepted
    assert [row["records"] for row in found.pop("behind")] == lateness.behind()
    assert found == {
        "records": 30_000,
        "accepted": accepted,
        "rejected": advice.rejected,
        "groups": None,
        "ignored": {},
        "granularity": 10,
        "window_offset": 3,
        "max_jump": 15,
        "max_lags": [
            {"max_lag": lag / 1_000, "late": late, "share": late / accepted}
            for lag, late in lateness.lost().items()
        ],
        "smallest": [
            {"share": share, "max_lag": lateness.smallest_max_lag_ms(one_in) / 1_000}
            for share, one_in in ((0.01, 100), (0.001, 1_000), (0.0001, 10_000), (0, None))
        ],
    }


@pytest.mark.usefixtures("processes")
@pytest.mark.parametrize("workers", [INLINE, PipelineSettings()], ids=["inline", "processes"])
def test_groups_are_counted_and_what_measures_would_ignore(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], workers: PipelineSettings
) -> None:
    path = tmp_path / "visits.jsonl"
    with path.open("wb") as out:
        write(GenerateSettings(20_000, size_bytes=200, corrupt=0.05, visits=True), out)
    groups, ignored = set(), 0
    for line in path.read_bytes().split(b"\n"):
        try:
            record = Recounter(VISITS).event(line)
        except Rejected:
            continue
        groups.add(record.group)
        ignored += len(record.ignored)
    settings = AdviseSettings(None, (str(path),), decode=VISITS, pipeline=workers)
    advice = advise(settings, extents(settings), lambda done, records: None)
    assert (advice.groups, advice.ignored) == (len(groups), {"bytes": ignored})
    assert advice.rejected["bad_group"] > 0 < ignored
    print_advice(settings, advice)
    lines = capsys.readouterr().out.splitlines()
    assert lines[2:4] == [
        f"{len(groups):,} groups by country, page.section",
        f"values ignored: bytes {ignored}",
    ]


def test_nothing_but_broken_records(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "broken"
    path.write_bytes(b"{}\n[\n")
    assert execute(["advise", str(path)]) == ExitCode.NOTHING_COUNTED
    out = capsys.readouterr().out
    assert "2 records of" in out
    assert "0 accepted, 2 rejected (bad_json 1, missing_field 1)" in out
    assert execute(["advise", str(path), "--json"]) == ExitCode.NOTHING_COUNTED
    assert json.loads(capsys.readouterr().out)["accepted"] == 0


def test_the_example_in_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All of it but the time it took."""
    page = (Path(__file__).parents[2] / "docs" / "lateness.md").read_text("utf-8")
    example = page.split("```\n$ ")[1].split("```")[0]
    made, asked, *wanted = example.removeprefix("$ ").splitlines()
    monkeypatch.chdir(tmp_path)
    assert execute(made.split()[1:]) == ExitCode.OK
    assert execute(asked.split()[2:]) == ExitCode.OK
    shown = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    seconds = re.compile(r"[0-9.]+ s:")
    assert [seconds.sub("", line) for line in shown] == [seconds.sub("", line) for line in wanted]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "input is missing"),
        (["-", "-"], "can be read only once"),
        (["a-file", "--input", "visits"], "leave out --input and --from"),
        (["a-file", "--from", "earliest"], "leave out --input and --from"),
        (["--input", "visits", "--from", "latest"], "leaves nothing to read"),
    ],
)
def test_what_does_not_go_together(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STREAMAGG_INPUT", raising=False)
    assert execute(["advise", *arguments]) == ExitCode.USAGE
    assert said in capsys.readouterr().err
