"""The harness of the benchmark, without a broker: a wrong figure would be worse than none."""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from bench import kafka, measure, plots, scratch
from bench.__main__ import runs_on
from bench.charts import Axis, Bar, Line, bar_chart, line_chart, linear_ticks, log_ticks, short_number
from bench.contender import Contender, Job, Reads, Topic
from bench.contenders import all_contenders
from bench.contenders.bare.decode_file import halves
from bench.machine import Load, parse_machine_time
from bench.measure import Cost, Run, Verdict, compare, run_command, run_contender
from bench.pairs import interval
from bench.processes import Sample, sample
from bench.render import CHARTS, NOT_MEASURED, PAGES, fill, render, topic
from bench.results import Results, Row, note, read_results, windows_cell
from bench.scratch import RESULTS
from bench.strictness import GOOD, TIME, judge
from bench.table import markdown_results
from bench.topics import LARGE, LOADS, count_plainly, digest
from bench.work import answer, truth, unique_users

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the benchmark reads /proc")

TRUTH = {60: 5, 120: 7}


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


# --- one command


def test_the_cpu_of_children_counts(tmp_path: Path) -> None:
    burn = "import time\nwhile time.process_time() < 0.3: pass"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}]); {burn}"
    cost = run_command(python(code), log=tmp_path / "log")
    assert cost.exit_code == 0
    assert cost.cpu_seconds >= 0.6
    assert cost.cpu_seconds <= 2 * cost.wall_seconds


def test_the_memory_of_children_counts(tmp_path: Path) -> None:
    hold = "held = bytearray(b'x') * (50 << 20); import time; time.sleep(0.5)"
    code = f"import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', {hold!r}]); {hold}; p.wait()"
    cost = run_command(python(code), log=tmp_path / "log")
    assert 100 << 20 < cost.peak_bytes < 250 << 20


def test_nothing_stays_behind_not_even_a_process_with_a_session_of_its_own(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    code = (
        "import pathlib, subprocess, time\n"
        "p = subprocess.Popen(['sleep', '60'], start_new_session=True)\n"
        f"pathlib.Path({str(told)!r}).write_text(str(p.pid))"
    )
    assert run_command(python(code), log=tmp_path / "log").exit_code == 0
    pid = int(told.read_text())
    left = sample(pid)
    assert left is None or left.ended


def test_what_takes_too_long_is_killed(tmp_path: Path) -> None:
    cost = run_command(["sleep", "60"], log=tmp_path / "log", timeout_s=0.3)
    assert cost.exit_code is None
    assert cost.wall_seconds < 10


def test_the_log_holds_what_was_said(tmp_path: Path) -> None:
    cost = run_command(python("import sys; print('out'); sys.exit('err')"), log=tmp_path / "log")
    assert cost.exit_code == 1
    assert sorted((tmp_path / "log").read_text().split()) == ["err", "out"]


def test_modules_are_compiled_once_whatever_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("PYTHONUNBUFFERED", "1")
    monkeypatch.setenv("KEPT", "kept")
    names = ["PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "KEPT", "ADDED"]
    says = python(f"import os; print(*map(os.environ.get, {names}))")
    run_command(says, log=tmp_path / "log", environment={"ADDED": "too"})
    assert (tmp_path / "log").read_text().split() == ["None", "None", "kept", "too"]


def test_a_name_may_hold_blanks_and_parentheses(tmp_path: Path) -> None:
    program = tmp_path / "a) S (b"
    shutil.copy(shutil.which("sleep") or "", program)
    with subprocess.Popen([program, "60"]) as process:
        found = sample(process.pid)
        process.kill()
    assert found is not None
    assert found == Sample("a) S (b", False, os.getpid(), found.cpu_seconds, found.resident_bytes)


# --- one contender


def contender(code: str, *, counts: bool, reads: Reads) -> Contender:
    return Contender(
        "c",
        "C",
        lambda cache: {},
        lambda job, cache: [*python(code), str(job.result)],
        counts=counts,
        reads=reads,
    )


def run(tmp_path: Path, code: str, *, counts: bool = True, reads: Reads = "topic") -> Run:
    on = Topic("t", 1, 10, 100, "none", tmp_path / "file")
    job = Job("127.0.0.1:1", on, "o", tmp_path / "result", tmp_path)
    one = contender(code, counts=counts, reads=reads)
    return run_contender(one, job, tmp_path, TRUTH, log=tmp_path / "log")


def writes(result: object) -> str:
    return f"import pathlib, sys; pathlib.Path(sys.argv[1]).write_text({json.dumps(result)!r})"


def test_a_right_result(tmp_path: Path) -> None:
    found = run(tmp_path, writes({"records": 10, "seconds": 2.5, "windows": {"60": 5, "120": 7}}))
    assert found == Run("c", found.cost, None, 2.5, Verdict(2, 2, 0, 0, 0))


@pytest.mark.parametrize(
    ("windows", "verdict"),
    [
        ({60: 5, 120: 6}, Verdict(2, 1, 1, 0, 0)),
        ({60: 5}, Verdict(2, 1, 0, 1, 0)),
        ({60: 5, 120: 7, 180: 1}, Verdict(2, 2, 0, 0, 1)),
        ({}, Verdict(2, 0, 0, 2, 0)),
    ],
)
def test_every_kind_of_fault_is_told_apart(windows: dict[int, int], verdict: Verdict) -> None:
    assert compare(windows, TRUTH) == verdict


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("import sys; print('working', flush=True); sys.exit('no such topic')", "exit code 1: no such topic"),
        ("pass", "no usable result: FileNotFoundError"),
        (writes({"records": 9, "seconds": 1, "windows": {}}), "9 of 10 records read"),
        (writes({"seconds": 1}), "no usable result: KeyError('records')"),
        (writes([]), "no usable result: TypeError"),
        (writes({"records": 10, "seconds": -1, "windows": {}}), "it took -1 s"),
        (
            "import sys; sys.exit('Oops: no\\n\\tat a.B.main(B.java:1)\\n\\t... 3 more')",
            "exit code 1: Oops: no",
        ),
        ("import os; os.abort()", "exit code -6"),
    ],
)
def test_a_failure_is_a_result_too(tmp_path: Path, code: str, error: str) -> None:
    found = run(tmp_path, code)
    assert found.error is not None
    assert error in found.error
    assert found == Run("c", found.cost, found.error, None, None)


def test_who_counts_nothing_gets_no_verdict(tmp_path: Path) -> None:
    found = run(tmp_path, writes({"records": 10, "seconds": 1}), counts=False)
    assert found == Run("c", found.cost, None, 1, None)


@pytest.mark.parametrize("result", [{}, {"windows": 2, "another_counter": 3}])
def test_windows_that_are_not_in_the_result_were_published(
    result: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = {("127.0.0.1:1", "o"): [{"ts": 60, "cnt": 4}, {"ts": 60, "cnt": 5}]}
    monkeypatch.setattr(measure, "read_rows", lambda bootstrap, topic: published[bootstrap, topic])
    found = run(tmp_path, writes({"records": 10, "seconds": 1, **result}))
    assert found == Run("c", found.cost, None, 1, Verdict(2, 1, 0, 1, 0))


@pytest.mark.parametrize(
    ("result", "records", "error"),
    [
        ({}, (4, 6), None),
        ({}, (4, 5), "9 of 10 records read"),
        ({"records": 10}, (0, 0), None),
        ({"records": 9}, (4, 6), "9 of 10 records read"),
    ],
)
def test_rows_in_a_file_say_what_was_counted(
    result: dict[str, int], records: tuple[int, int], error: str | None, tmp_path: Path
) -> None:
    counts = [{"ts": start, "cnt": users} for start, users in TRUTH.items()]
    rows = [{**row, "records": seen} for row, seen in zip(counts, records, strict=True)]
    (tmp_path / "rows").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = run(tmp_path, writes({"seconds": 1, "rows": str(tmp_path / "rows"), **result}))
    if error is None:
        assert found == Run("c", found.cost, None, 1, Verdict(2, 2, 0, 0, 0))
    else:
        assert error in (found.error or "")


def test_who_reads_the_file_is_timed_from_start_to_end_of_its_process(tmp_path: Path) -> None:
    found = run(tmp_path, writes({"records": 10, "windows": {"60": 5, "120": 7}}), reads="file")
    assert found == Run("c", found.cost, None, found.cost.wall_seconds, Verdict(2, 2, 0, 0, 0))


def test_topics_that_a_contender_made_for_a_run_go_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    own = ["bench-q-12", "bench-q-12-changelog", "repartition__bench-q-12--t--partition"]
    deleted: list[str] = []

    class Admin:
        def __init__(self, config: object) -> None: ...

        def list_topics(self, timeout: float) -> SimpleNamespace:
            return SimpleNamespace(topics=dict.fromkeys([*own, "bench-q-34", "large-4"]))

        def delete_topics(self, names: list[str]) -> dict[str, Future[None]]:
            deleted.extend(names)
            done: Future[None] = Future()
            done.set_result(None)
            return dict.fromkeys(names, done)

    monkeypatch.setattr(kafka, "AdminClient", Admin)
    kafka.delete_topics("127.0.0.1:1", "bench-q-12")
    assert deleted == own


# --- who runs where


def chosen(topic: str, *, only: list[str] | None = None, quick: bool = False) -> set[str]:
    given = argparse.Namespace(only=only, quick=quick)
    return {each.name for each in all_contenders() if runs_on(topic, each, given)}


def test_who_runs_on_which_topic() -> None:
    tools = {"duckdb-file", "polars-file", "chdb-file"}
    assert chosen("file") == chosen("file-small") == {"decode-file", "streamagg-count"} | tools
    grouped = {f"{name}-grouped" for name in {"streamagg-count"} | tools}
    assert chosen("file-grouped") == {"decode-file", "streamagg-count"} | grouped
    asked_both = {name for name in chosen("grouped") if not name.endswith("-grouped")}
    assert asked_both == {"bare-2", "streamagg-2"}
    everybody = {each.name for each in all_contenders() if each.work == "plain" and each.reads == "topic"}
    assert all(chosen(name) == everybody for name, load in LOADS.items() if load.is_main)


def test_the_quick_benchmark_runs_main_rows_only() -> None:
    quick = chosen("large-4", quick=True)
    assert quick == {"bare-2", "streamagg-2", "rust", "java", "loop-tuned", "flink-sql"}


def test_who_is_named_runs_on_every_topic() -> None:
    assert chosen("large-1", only=["quix-hand"]) == {"quix-hand"}
    assert chosen("large-1", only=["streamagg-count"]) == set()


# --- topics and truth


def test_the_truth_is_counted_from_root_fields_only(tmp_path: Path) -> None:
    file = tmp_path / "file"
    rows = [
        '{"ts":60,"uid":"a","x":{"ts":500,"uid":"z"}}',
        '{"x":{"ts":500},"uid":"\\u0061","ts":119}',
        '{"ts":120,"uid":"é"}',
        '{"ts":118,"uid":"b"}',
    ]
    file.write_text("\n".join(rows) + "\n")
    assert count_plainly(file, "plain") == [{"ts": 60, "cnt": 2}, {"ts": 120, "cnt": 1}]


def test_records_that_are_too_late_are_no_topic_of_the_benchmark(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text('{"ts":66,"uid":"a"}\n{"ts":60,"uid":"a"}\n')
    with pytest.raises(ValueError, match="6 s behind"):
        count_plainly(file, "plain")


def visit(ts: int, uid: str, path: str, size: int, ms: float) -> dict[str, object]:
    return {"ts": ts, "uid": uid, "page": {"path": path, "section": "s"}, "bytes": size, "latency_ms": ms}


def test_the_truth_of_pages() -> None:
    visits = [
        visit(60, "a", "/1", 5, 2.5),
        visit(119, "a", "/1", 7, 1.5),
        visit(61, "b", "/2", 1, 9.0),
        visit(120, "a", "/1", 2, 0.5),
    ]
    rows = [*truth(visits, "grouped", 60)]
    assert rows[0] == {"ts": 60, "page": "/1", "cnt": 1, "records": 2, "bytes": 12, "slowest": 2.5}
    assert answer(rows, "grouped") == {
        (60, "/1"): (1, 2, 12, 2.5),
        (60, "/2"): (1, 1, 1, 9.0),
        (120, "/1"): (1, 1, 2, 0.5),
    }
    assert unique_users(visits, 60) == {60: 2, 120: 1}


def test_rows_for_all_users_are_no_pages() -> None:
    figures = {"cnt": 1, "records": 2, "bytes": 12, "slowest": 2.5}
    rows = [
        {"ts": 60, "groups": 1, **figures},
        {"ts": 60, "group": {"page.path": "/1"}, **figures, "cnt": 9},
        {"ts": 60, "group": {"page.path": "/1"}, **figures},
    ]
    assert answer(rows, "grouped") == {(60, "/1"): (1, 2, 12, 2.5)}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([(TIME, 4, 4)], "leaves it out"),
        ([(TIME, 5, 5)], "counts it"),
        ([(TIME, 4, 5)], "counts it, without a new user"),
        ([(TIME, 4, 4), (None, 1, 1)], "counts it in a window of its own"),
        ([(TIME, 4, 4), (0, 1, 1)], "counts it in a window of its own"),
        ([(TIME, 3, 3)], "loses good lines"),
        ([], "loses good lines"),
    ],
)
def test_what_became_of_a_broken_line(rows: list[tuple[int | None, int, int]], said: str) -> None:
    assert TIME % 60 == 0
    assert len(GOOD) == 4
    assert judge([{"ts": ts, "cnt": users, "records": records} for ts, users, records in rows]) == said


def test_other_records_have_another_name() -> None:
    names = {digest(load.made) for load in LOADS.values()} | {digest(LOADS["large-4"].tenth().made)}
    assert len(names) == 5
    assert digest(LARGE) == digest(LOADS["large-4-lz4"].made)


def test_the_two_halves_of_a_file_hold_every_line_once(tmp_path: Path) -> None:
    file = tmp_path / "file"
    for lines in ([b"a"], [b"a", b"bb"], [b"aaaaaaaaaa", b"b"], [b"%d" % n for n in range(100)]):
        file.write_bytes(b"".join(line + b"\n" for line in lines))
        content = file.read_bytes()
        parts = [content[start:end] for start, end in halves(file)]
        assert b"".join(parts) == content
        assert all(not part or part.endswith(b"\n") for part in parts)


# --- the machine


def test_the_time_of_the_machine() -> None:
    time = parse_machine_time("cpu  100 20 300 4000 50 6 70 8 0 0\ncpu0 1 2 3 4 5 6 7 8 0 0\n")
    assert time.busy_seconds == pytest.approx(4.96)
    assert time.steal_seconds == pytest.approx(0.08)


def test_busy_is_a_tenth_of_a_core() -> None:
    assert Load(0.11, 0.0, (("java (7)", 0.1),)).is_busy
    assert not Load(0.09, 0.5, ()).is_busy


def made_run(seconds: float | None = 2.0, others: float = 0.0, right: int = 2) -> Run:
    cost = Cost(0, 4.0, 3.0, 200_000_000, 1.0, others, 0.0)
    if seconds is None:
        return Run("c", cost, "exit code 1: broken", None, None)
    return Run("c", cost, None, seconds, Verdict(2, right, 2 - right, 0, 0))


def test_a_run_is_disturbed_by_a_tenth_of_a_core() -> None:
    assert not made_run(others=0.39).cost.is_disturbed
    assert made_run(others=0.41).cost.is_disturbed


# --- results


def made_results() -> Results:
    rows = [
        Row("bare-2", "bare read", "", 1_000_000, {"librdkafka": "2"}, None, [made_run(1.0)] * 3),
        Row(
            "streamagg-2",
            "streamagg | 2",
            "exactly-once",
            1_000_000,
            {},
            None,
            [made_run(2.0), made_run(4.0), made_run(2.5)],
        ),
        Row("tea", "Tea", "slow", 100_000, {}, None, [made_run(5.0), made_run(5.0, right=1), made_run(None)]),
        Row("coffee", "Coffee", "", 1_000_000, {}, "there is no coffee", []),
    ]
    return Results("large-4", 4, 1_000_000, 2_200, "none", "python -m bench", "2026-01-02T03:04:05", {}, rows)


def test_figures_are_medians_of_the_runs_that_ended_well() -> None:
    _, ours, tea, coffee = made_results().rows
    assert (ours.rate, ours.rates) == (400_000, [250_000, 400_000, 500_000])
    assert (ours.cpu_per_million, ours.peak_mb, ours.broker_cpu_per_million) == (3.0, 200, 1.0)
    assert (tea.rate, tea.cpu_per_million) == (20_000, 30.0)
    assert (coffee.rate, coffee.is_right) == (None, True)


def test_the_worst_run_says_whether_windows_are_right() -> None:
    _, ours, tea, _ = made_results().rows
    assert (ours.is_right, windows_cell(ours)) == (True, "2 of 2")
    assert (tea.is_right, windows_cell(tea)) == (False, "1 of 2: 1 wrong")
    assert note(tea) == "slow; 1 of 3 runs failed: exit code 1: broken"


def test_results_survive_their_file(tmp_path: Path) -> None:
    results = made_results()
    results.save(tmp_path / "results" / "large-4.json")
    assert read_results(tmp_path / "results" / "large-4.json") == results


def test_the_table_has_every_row_in_order_of_speed() -> None:
    lines = markdown_results(made_results()).splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == [
        "| bare read",
        "| streamagg \\| 2",
        "| Tea",
        "| Coffee",
    ]
    assert "| 400,000 | 250,000 to 500,000 | 0.40 | 3.0 | 1.0 | 200 | 2 of 2 | exactly-once |" in lines[3]
    assert lines[5].endswith("| - | not available: there is no coffee |")


# --- charts and the report


def test_ticks_are_round_and_reach_the_end() -> None:
    assert linear_ticks(0.9) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert linear_ticks(620_000) == [0, 200_000, 400_000, 600_000, 800_000]
    assert linear_ticks(0) == [0, 1]
    assert log_ticks(100, 10_000_000) == pytest.approx([10.0**n for n in range(2, 8)])
    assert log_ticks(1, 64) == pytest.approx([1, 2, 5, 10, 20, 50])
    assert [short_number(n) for n in (0.5, 250, 12_500, 1_000_000)] == ["0.5", "250", "12.5 k", "1 M"]


def test_charts_are_well_formed_and_always_the_same() -> None:
    bars = [Bar("a < b & c", 2.0, 1.0, 3.0, "2", "ours"), Bar("d", 0.0, 0.0, 0.0, "0", "wrong")]
    lines = [Line("one", [(1, 5), (100, 6)], [(4, 6), (5, 7)]), Line("two", [(1, 1), (100, 1)])]

    def draw() -> list[str]:
        return [
            bar_chart("t", "s", bars),
            bar_chart("nothing", "", []),
            line_chart("t", "s", Axis("x", log=True), Axis("y"), lines),
            line_chart("one point", "", Axis("x", log=True), Axis("y"), [Line("l", [(1, 0)])]),
        ]

    for svg in draw():
        assert ET.fromstring(svg).tag.endswith("svg")
        assert "nan" not in svg
    assert draw() == draw()


def test_pictures_have_colors_where_css_variables_and_media_queries_are_unknown() -> None:
    pictures = [*CHARTS.glob("*.svg"), *CHARTS.parent.glob("*.svg")]
    assert len(pictures) > 5
    for picture in pictures:
        text = picture.read_text()
        assert "var(" not in text, picture.name
        plain = text.partition("@media")[0]
        for classes in re.findall(r'<(?:rect|circle|line|path) class="([^"]+)"', text):
            painted = [re.search(rf"\.{name} {{[^}}]*(fill|stroke): [#u]", plain) for name in classes.split()]
            assert any(painted), (picture.name, classes)


def test_longer_bars_are_faster() -> None:
    svg = topic(made_results()).svg
    assert svg is not None
    widths = [float(width) for width in re.findall(r'<rect class="(?!page).*? width="([\d.]+)"', svg)]
    assert len(widths) == 3
    assert widths[0] / widths[1] == pytest.approx(1_000_000 / 400_000, rel=0.01)
    assert widths[0] / widths[2] == pytest.approx(1_000_000 / 20_000, rel=0.02)


def test_blocks_are_replaced_and_nothing_else_is() -> None:
    report = "before\n<!-- bench:large-4 -->\nold\n<!-- /bench:large-4 -->\nafter\n"
    report += "<!-- bench:x -->\n<!-- /bench:x -->\n"
    filled = fill(report, [topic(made_results())])
    assert filled.startswith("before\n<!-- bench:large-4 -->\n\n![Records a second, 2.2 KB in 4 partitions]")
    assert "old" not in filled
    assert NOT_MEASURED in filled
    assert fill(filled, [topic(made_results())]) == filled


@pytest.mark.parametrize(("made", "shown"), [("2026-01-02T03:04:04", False), ("2026-01-02T03:04:06", True)])
def test_main_rows_stand_beside_all_rows_that_are_older(made: str, shown: bool, tmp_path: Path) -> None:
    made_results().save(tmp_path / "large-4.json")
    replace(made_results(), made=made).save(tmp_path / "quick-large-4.json")
    blocks = {block.name: block.text for block in render(tmp_path)}
    assert ("The main rows again" in blocks["quick-large-4"]) is shown
    assert blocks["quick-large-1"] == ""


def test_scaling_and_latency_are_drawn() -> None:
    point = {"x": 10, "windows": 3, "right": True, "peak_mb": 5.0}
    point |= {"seconds_a_million": 1.0, "cpu_seconds_a_million": 2.0}
    axis = {"title": "users", "at_rest": "all else", "points": [{**point, "runs": [point, point]}]}
    found = {"command": "python -m bench.scaling", "made": "2026-01-02", "axes": {"users": axis}}
    (block,) = plots.scaling(found)
    assert block.name == "scaling-users"
    assert "| 10 | 1.00 | 2.00 | 5 | 3 | yes |" in block.markdown


def test_an_interval_of_the_median() -> None:
    assert interval([3.0, 1.0, 2.0]) == (1.0, 3.0)
    assert interval([float(number) for number in range(1, 21)]) == (6.0, 15.0), "as tables have it for 20"
    assert interval([float(number) for number in range(1, 7)]) == (1.0, 6.0)


def test_every_figure_that_was_measured_is_in_the_report() -> None:
    pages = "".join(page.read_text() for page in PAGES)
    assert [block.name for block in render(RESULTS) if f"<!-- bench:{block.name} -->" not in pages] == []


def test_the_report_is_what_render_makes_of_the_results() -> None:
    blocks = render(RESULTS)
    for page in PAGES:
        text = page.read_text()
        assert fill(text, blocks) == text, "run python -m bench.render"
    drawn = {block.chart: block.svg for block in blocks if block.svg is not None}
    kept = {path.name: path.read_text() for path in CHARTS.glob("*.svg")}
    assert kept == drawn, "run python -m bench.render"


def test_rows_measured_again_take_the_place_of_the_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scratch, "RESULTS", tmp_path)
    scratch.save("faults", {"outcomes": [{"name": "a", "good": True}, {"name": "b", "good": False}]})
    monkeypatch.setattr(sys, "argv", ["faults", "--only", "b", "c"])

    scratch.amend("faults", "outcomes", {"b": {"name": "b", "good": True}, "c": {"name": "c", "good": True}})

    found = json.loads((tmp_path / "faults.json").read_text())
    assert [(row["name"], row["good"]) for row in found["outcomes"]] == [
        ("a", True),
        ("b", True),
        ("c", True),
    ]
    assert ["again" in row for row in found["outcomes"]] == [False, True, True]
    assert found["outcomes"][1]["again"]["command"] == "python -m bench.faults --only b c"
    assert found["machine"]


def test_so_do_those_that_are_kept_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "RESULTS", tmp_path)
    scratch.save("growth", {"axes": {"a": {"x": 1}, "b": {"x": 2}}})

    scratch.amend("growth", "axes", {"b": {"x": 3}, "c": {"x": 4}})

    axes = json.loads((tmp_path / "growth.json").read_text())["axes"]
    assert [(name, axis["x"], "again" in axis) for name, axis in axes.items()] == [
        ("a", 1, False),
        ("b", 3, True),
        ("c", 4, True),
    ]


def test_results_do_not_tell_where_logs_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(scratch, "RESULTS", tmp_path)
    monkeypatch.setattr(sys, "argv", ["faults", "--seed", "7", "--keep", "/somewhere", "--save"])
    scratch.save("faults", {}, module="tests.faults")
    written = json.loads((tmp_path / "faults.json").read_text())
    assert written["command"] == "python -m tests.faults --seed 7 --save"
