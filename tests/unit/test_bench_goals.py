"""Goals beside what was reached."""

from dataclasses import replace

from bench.goals import goals
from bench.measure import Cost, Run, Verdict
from bench.pairs import QUESTIONS
from bench.plots import PAIRS
from bench.results import FILE_FLOOR, FLOOR, Results, Row


def row(name: str, seconds: float) -> Row:
    verdict = None if name in (FLOOR, FILE_FLOOR) else Verdict(1, 1, 0, 0, 0)
    run = Run(name, Cost(0, seconds, 1.0, 600_000_000, 1.0, 0.0, 0.0), None, seconds, verdict)
    return Row(name, name, "", 1_000_000, {}, None, [run])


def results(topic: str, **seconds: float) -> Results:
    rows = [row(name.replace("_", "-"), each) for name, each in seconds.items()]
    return Results(topic, 4, 1_000_000, 2_200, "none", "python -m bench", "2026-01-02T03:04:05", {}, rows)


def test_a_goal_is_met_or_not() -> None:
    measured = [
        results("large-4", streamagg_2=2.0, bare_2=1.5, rust=1.0),
        results("file", streamagg_count=2.0, decode_file=2.0),
    ]
    profile = {
        "topics": [
            {
                "record_bytes": 2_200,
                "parts": [
                    {"process": "broker", "us_a_record": 5.0},
                    {"process": "unmarshallers", "us_a_record": 8.0},
                    {"process": "coordinator", "us_a_record": 2.0},
                ],
            }
        ]
    }
    table = goals(measured, {"profile": profile}).text.splitlines()
    found = {line.split(" | ")[0].strip("| "): line.split(" | ")[1:] for line in table[2:]}
    bare = found["2.2 KB, 4 partitions: speed beside two processes that read bare"]
    assert bare == ["at least 0.50 times", "0.75 times", "yes |"]
    rust = found["2.2 KB, 4 partitions: speed beside the program in Rust"]
    assert rust == ["at least 0.65 times", "0.50 times", "**no** |"]
    assert found["memory of all processes, 2.2 KB"] == ["at most 500 MB", "600 MB", "**no** |"]
    share = found["the coordinator's share of the CPU, 2,200 bytes"]
    assert share == ["at most 10 %", "20 %", "**no** |"]
    assert len(found) == 5


def test_groups_and_files_are_compared_with_the_fastest_that_counts_right() -> None:
    wrong = row("flink-sql-grouped", 0.5)
    wrong.runs[0] = replace(wrong.runs[0], verdict=Verdict(1, 0, 1, 0, 0))
    grouped = results(
        "grouped", bare_2=0.5, streamagg_2=1.0, streamagg_2_grouped=4.0, polars_loop_grouped=5.0
    )
    grouped.rows.append(wrong)
    files = [
        results("file", streamagg_count=2.0, duckdb_file=3.0, chdb_file=1.0),
        results("file-grouped", streamagg_count=0.1, streamagg_count_grouped=2.0, duckdb_file_grouped=1.0),
    ]
    table = goals([grouped, *files], {}).text.splitlines()[2:]
    assert [line.split(" | ")[0].strip("| ").rpartition(" beside ")[2] for line in table] == [
        "the fastest contender, polars-loop-grouped",
        "DuckDB",
        "the fastest tool, chdb-file",
        "DuckDB",
        "the fastest tool, duckdb-file-grouped",
    ]
    assert [line.split(" | ")[2] for line in table] == [
        f"{times} times" for times in ("1.25", "1.50", "0.50", "0.50", "0.50")
    ]


def test_what_more_work_costs_is_asked_in_pairs() -> None:
    times = {question.name: {"times": 0.9 if question.name != "groups" else 0.4} for question in QUESTIONS}
    table = goals([], {"pairs": {**times, "delivery": {"times": 1.01}}}).text.splitlines()[2:]
    assert [line.split(" | ")[1:] for line in table[2:]] == [
        ["at least 0.50 times", "0.40 times", "**no** |"],
        ["at least 0.80 times", "0.90 times", "yes |"],
        ["at least 0.80 times", "0.90 times", "yes |"],
    ]
    assert {question.name for question in QUESTIONS} == set(PAIRS)


def test_what_was_not_measured_is_no_goal() -> None:
    assert len(goals([], {}).text.splitlines()) == 2
