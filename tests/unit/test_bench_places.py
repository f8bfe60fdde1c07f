"""The benchmark of inputs and outputs that are no topics: what is right, and how it is shown."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.places import beside, figures, usage
from bench.places.beside import SCRIPTS, right_rows
from bench.places.usage import Use, of_csv, of_lines

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the benchmark reads /proc")

TRUTH = {("a", 0): Use(12.5, 2), ("b", 3600): Use(0.1, 1)}
MADE = {"command": "python -m bench.places", "made": "2026-01-02T03:04:05"}


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> usage.Usage:
    monkeypatch.setattr(usage, "HOME", tmp_path)
    return usage.usage(20_000)


def test_a_row_is_right_to_the_cent_and_none_may_be_too_many() -> None:
    assert right_rows(TRUTH, TRUTH) == 2
    assert right_rows({key: Use(use.amount + 0.004, None) for key, use in TRUTH.items()}, TRUTH) == 2
    assert right_rows(TRUTH | {("a", 0): Use(12.51, 2)}, TRUTH) == 1
    assert right_rows(TRUTH | {("a", 0): Use(12.5, 3)}, TRUTH) == 1
    assert right_rows(TRUTH | {("c", 0): Use(1, 1)}, TRUTH) == 1
    assert right_rows({}, TRUTH) == 0


def test_answers_are_read() -> None:
    assert of_csv(["client,hour,amount,users", "a,0,12.5,2", "b,3600,0.1,1"]) == TRUTH
    assert of_csv(["a,0,12.5"]) == {("a", 0): Use(12.5, None)}
    lines = [b'{"ts":0,"cnt":9}', b'{"ts":0,"cnt":2,"group":{"client":"a"},"used":12.5}']
    assert of_lines(lines) == {("a", 0): Use(12.5, 2)}


def test_scripts_find_what_is_true_in_all_kinds_of_files(made: usage.Usage, tmp_path: Path) -> None:
    out = tmp_path / "out"

    def answer(*command: object) -> usage.Answer:
        subprocess.run([*map(str, command)], check=True)
        return of_csv(out.read_text().splitlines())

    rows = len(made.truth)
    found = answer("sh", SCRIPTS / "sums.sh", made.mixed, out, "%.2f", "users")
    assert right_rows(found, made.truth) == rows
    assert all(use.users is not None for use in found.values())
    assert right_rows(answer("sh", SCRIPTS / "sums.sh", made.mixed, out, "%.3g"), made.truth) < rows
    assert right_rows(answer(sys.executable, SCRIPTS / "in_duckdb.py", made.mixed, out), made.truth) == rows


def test_all_lines_are_made_once(made: usage.Usage) -> None:
    assert {path.suffixes[0] for path in made.lines.glob("*/*")} == {".jsonl"}
    lines = sum(len(path.read_bytes().splitlines()) for path in made.lines.glob("*/*"))
    assert lines == 20_000
    shutil.rmtree(made.lines / "north")
    assert usage.usage(20_000) == made
    assert not (made.lines / "north").exists()


def test_what_something_else_disturbed_is_told() -> None:
    row = {
        "contender": "awk",
        "seconds": 1.0,
        "runs": [1.0, 2.0],
        "cpu_seconds": 1.0,
        "peak_mb": 7,
        "rows": 10,
        "right": 9,
        "counts_users": False,
        "disturbed": True,
        "remark": "by place",
    }
    right = row | {"contender": "slow", "seconds": 9.0, "right": 10, "disturbed": False}
    first, last = figures._beside([row, right]).splitlines()[-2:]
    assert "slow" in first, "who is wrong comes behind who is right"
    assert "9 of 10" in last
    assert last.endswith("| by place; something else used the machine meanwhile |")


def test_what_a_file_takes_is_beside_a_tree_that_has_hardly_any() -> None:
    def tree(files: int, cpu: float) -> dict[str, Any]:
        run = {"records": files, "seconds": cpu, "cpu_seconds": cpu, "peak_mb": 100}
        return {"files": files, "fresh": run, "restart": run}

    (block,) = figures.many(MADE | {"trees": [tree(10, 2.0), tree(1_000_010, 12.0)]})
    assert "| 1,000,010 | 12.0 | 12.0 | 100 | 10.0 |" in block.text


def test_a_pair_that_differs_is_told() -> None:
    every = [
        {"from": "topic", "to": "stream", "same": True, "seconds": 1.0},
        {"from": "topic", "to": "postgres", "same": False, "seconds": 1.0},
    ]
    (block,) = figures.pairs(MADE | {"records": 5, "rows": 3, "pairs": every})
    assert "| topic | yes | NO |" in block.text
    assert "into stream | into postgres" in block.text


def test_who_takes_part_is_told_once() -> None:
    titles = [each.title for each in beside.contenders(None)]  # type: ignore[arg-type] # nobody runs
    assert len(titles) == len(set(titles))
