"""The figures of the job on Flink, without one."""

import sys
from collections import Counter
from typing import Any

import msgspec
import pytest

from bench.contenders.flink.datastream import measured
from bench.flink import cost, figures
from bench.flink.cost import Terms, table
from bench.flink.lateness import compared
from bench.flink.proof import kinds
from bench.flink.sampled import COMPILERS, FETCHER, OTHERS, REST, SOURCE, divided, part, rows, samples, task
from bench.flink.speed import Pair
from bench.measure import Cost, Run, Verdict
from bench.results import Results, Row
from streamagg.tools.published import Place

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the benchmark reads /proc")

LOG = """\
Picked up JAVA_TOOL_OPTIONS: -Xmx2g
1500 [count (1/2)#0] INFO Task - count (1/2)#0 (ab_cd) switched from CREATED to DEPLOYING.
2000 [count (1/2)#0] INFO Task - count (1/2)#0 (ab_cd) switched from INITIALIZING to RUNNING.
2100 [Source: source] INFO Task - Source: source -> decode (1/2)#0 (ab) switched from INITIALIZING to RUNNING.
7250 [count (1/2)#0] INFO Task - count (1/2)#0 (ab_cd) switched from RUNNING to FINISHED.
"""


def test_seconds_are_those_of_running_tasks() -> None:
    assert measured(LOG) == 5.25


def test_windows_beside_a_recount() -> None:
    right = {0: (3, 10), 60: (2, 5), 120: (1, 1)}
    assert compared(right, right) == {"windows": 3, "differ": 0, "records_more": 0, "records_fewer": 0}
    found = {0: (3, 12), 60: (2, 4), 180: (1, 1)}
    assert compared(found, right) == {"windows": 3, "differ": 4, "records_more": 3, "records_fewer": 2}


def test_what_was_published_by_kind() -> None:
    places = [Place(0), Place(60), Place(0, "hour"), Place(0, None, ("DE",)), Place(0, "hour", ("DE",))]
    assert kinds(places) == {"windows": 2, "periods": 1, "groups": 2}


# --- the profile


def test_threads_are_known_by_the_fifteen_characters_that_the_kernel_keeps() -> None:
    assert task("Source: source ") == SOURCE
    assert task("Source Data Fet") == FETCHER
    assert task("C2 CompilerThre") == "JVM: compilers"
    assert task("flink-pekko.act") == OTHERS


def test_a_sample_is_of_the_innermost_method_that_is_known() -> None:
    outer = [
        "org.apache.flink.streaming.runtime.io.RecordWriterOutput.collect",
        "io.streamagg.core.Decoder.decode",
    ]
    assert part(["java.lang.String.hashCode", "io.streamagg.core.Json.skipValue"]) == "decode"
    assert part(["io.streamagg.core.Row.write", *outer]) == "writing and reading rows"
    assert part(["io.streamagg.core.PartitionClock.feed"]) == "clock"
    assert part(["java.lang.Thread.run"]) == REST


def sampled(thread: str | None, *methods: str) -> dict[str, Any]:
    types = [name.rpartition(".")[0].replace(".", "/") for name in methods]
    frames = [{"method": {"type": {"name": name}, "name": "x"}} for name in types]
    return {
        "values": {
            "sampledThread": None if thread is None else {"javaName": thread},
            "stackTrace": {"frames": frames},
        }
    }


def test_samples_divide_the_cpu_of_their_threads() -> None:
    events = [
        sampled("Source: source -> decode (1/2)#0", "io.streamagg.core.Json.x"),
        sampled("Source: source -> decode (2/2)#0", "io.streamagg.core.Json.x"),
        sampled("Source: source -> decode (2/2)#0", "io.streamagg.core.Row.x"),
        sampled("main", "io.streamagg.flink.LocalJob.x"),
        sampled(None),
    ]
    seen = samples({"recording": {"events": events}})
    assert seen[SOURCE] == Counter({"decode": 2, "writing and reading rows": 1})
    found = divided({SOURCE: 6.0, FETCHER: 1.0, OTHERS: 2.0}, seen)
    assert found == {
        (SOURCE, "decode"): 4.0,
        (SOURCE, "writing and reading rows"): 2.0,
        (FETCHER, ""): 1.0,
        (OTHERS, ""): 2.0,
    }
    assert rows(found, 1_000_000)[0] == {"task": SOURCE, "part": "decode", "us_a_record": 4.0}


# --- speed and cost


def row(name: str, records: int, seconds: float, cpu: float) -> Row:
    ran = Cost(0, seconds, cpu, 300_000_000, cpu / 4, 0.0, 0.0)
    return Row(name, name, "", records, runs=[Run(name, ran, None, seconds, Verdict(2, 2, 0, 0, 0))])


def speed_of(*names: str) -> dict[str, Any]:
    """Ten seconds of CPU to start, and 20 µs a record."""
    full = [row(name, 1_000_000, 12.5, 30.0) for name in names]
    tenth = [row(name, 100_000, 5.0, 12.0) for name in names]
    return {
        "record_bytes": 180,
        "command": "python -m bench.flink small",
        "made": "2026-11-29T12:00:00+00:00",
        "full": msgspec.to_builtins(full),
        "tenth": msgspec.to_builtins(tenth),
    }


def test_what_starting_costs_is_no_cost_of_a_record() -> None:
    pair = Pair(row("a", 1_000_000, 12.5, 30.0), row("a", 100_000, 5.0, 12.0))
    assert pair.cpu_us_a_record == pytest.approx(20.0)
    assert pair.broker_us_a_record == pytest.approx(5.0)


def of_topic(name: str, record_bytes: int) -> Results:
    """20 µs a record, and 5 of the broker."""
    rows = [row("bare-2", 1_000_000, 5.0, 10.0), row("streamagg-2", 1_000_000, 10.0, 20.0)]
    return Results(name, 4, 1_000_000, record_bytes, "none", "", "", {}, rows)


TOPICS = [of_topic("large-4", 2_200), of_topic("small-4", 180)]
ONCE = [{"task": task, "part": "", "us_a_record": 9.0} for task in (COMPILERS, OTHERS)]
PARTS = [{"task": SOURCE, "part": "decode", "us_a_record": 50.0}, *ONCE]
PROFILE = {"topics": [{"record_bytes": size, "parts": PARTS} for size in (2_200, 180)]}


def test_cores_and_money_are_linear() -> None:
    terms = Terms(price=0.5, used=0.5)
    assert terms.cores(1_000_000, 20.0) == 40
    assert terms.month(40) == 40 * 0.5 * 730
    printed = table(TOPICS, PROFILE, terms)
    assert "| 1,000,000 | 180 bytes | `run` | 20.0 | 0.2 | 40 | 10 | $14,600 |" in printed
    assert "| 100,000,000 | 2.2 KB | `flink` | 50.0 | 220.0 | 10,000 | 1,000 | $3,650,000 |" in printed
    assert "bare" not in printed


def test_speed_is_shown_with_what_failed() -> None:
    found = speed_of("streamagg-2", "flink-sql")
    found["full"][1]["runs"][0] |= {"seconds": None, "error": "exit code 1: no"}
    [block] = figures.small(found)
    assert "| streamagg-2 | 80,000 | 80,000 to 80,000 | 20.0 | 5.0 | 300 | 2 of 2 |" in block.text
    assert "| flink-sql | - | - | - | - | - | exit code 1: no |" in block.text


def test_a_recount_that_differs_stands_out() -> None:
    good = {"windows": 2, "periods": 1, "groups": 5, "agree": 8, "differ": 0}
    found = {
        "records": 1_000_000,
        "command": "python -m bench.flink proof",
        "made": "2026-11-29T12:00:00+00:00",
        "rows": [
            {"what": "parallelism 1", "seconds": 20.1, **good, "late": 7, "late_in_recount": 7},
            {"what": "killed", "seconds": 40.0, **good, "differ": 1, "behind": [1, 2]},
        ],
    }
    [block] = figures.proof(found)
    assert "| parallelism 1 | 20 | 2 | 1 | 5 | 8 | 0 | 7 |" in block.text
    assert "| killed | 40 | 2 | 1 | 5 | 8 | **1** | - |" in block.text
    assert "killed: ended behind 1 and 2 of 3 windows and periods." in block.text


def test_the_calculation_takes_other_terms(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    for each in TOPICS:
        each.save(tmp_path / f"{each.topic}.json")
    (tmp_path / "flink-profile.json").write_bytes(msgspec.json.encode(PROFILE))
    monkeypatch.setattr(cost, "RESULTS", tmp_path)
    monkeypatch.setattr(sys, "argv", ["cost", "--price", "1", "--used", "1"])
    assert cost.main() == 0
    assert "| 1,000,000 | 180 bytes | `run` | 20.0 | 0.2 | 20 | 5 | $14,600 |" in capsys.readouterr().out
