"""What was to be reached, beside what was."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from bench.block import Block
from bench.results import FILE_FLOOR, Results, Row
from bench.table import markdown

OURS: Final = "streamagg-2"
LARGE, SMALL = "large-4", "small-4"
Found = Mapping[str, Any]


class Goal(NamedTuple):
    """What was to be reached."""

    what: str
    unit: str
    wanted: float
    reached: float
    at_most: bool = False
    """Less is better."""


FASTER_THAN: Final = {
    "bare-2": ("two processes that read bare", 0.5),
    "rust": ("the program in Rust", 0.65),
    "flink-sql": ("Flink SQL", 2.5),
    "kafka-streams-heap": ("Kafka Streams, sets on the heap", 2.0),
    "kafka-streams-eos": ("Kafka Streams, exactly-once", 5.0),
    "java": ("the program in Java", 1.5),
    "bytewax-folded": ("Bytewax, folded by hand", 1.5),
    "quix-windows": ("Quix, its own windows", 15.0),
}


BESIDE_LESS: Final = {
    "groups": ("by page, with a sum and a maximum: speed beside the plain run", 0.5),
    "calendars": ("minutes, hours and days: speed beside minutes", 0.8),
    "calendars-grouped": ("the same by page", 0.8),
}
"""Pairs of runs of which the second does more: what is told of their speed, and what is wanted."""
FILES: Final = {
    "file": ("2.2 KB", "", 1.2),
    "file-small": ("180 bytes", "", 1.0),
    "file-grouped": ("400 bytes, by minute and page", "-grouped", 1.0),
}
"""What each holds, what the names of its contenders end with, and the speed wanted beside DuckDB."""


def goals(measured: Sequence[Results], found: Mapping[str, Found]) -> Block:
    """A table of all goals whose figures there are."""
    topics = {results.topic: results for results in measured}
    rows = [_row(goal) for goal in (*_of_topics(topics), *_of_others(found))]
    return Block("goals", markdown(["goal", "wanted", "reached", ""], rows, numbers=(1, 2)))


def _row(goal: Goal) -> list[str]:
    met = goal.reached <= goal.wanted if goal.at_most else goal.reached >= goal.wanted
    wanted = f"{'at most' if goal.at_most else 'at least'} {_number(goal.wanted)}{goal.unit}"
    return [goal.what, wanted, f"{_number(goal.reached)}{goal.unit}", "yes" if met else "**no**"]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}" if value >= 10 else f"{value:.2f}"


def _rate(results: Results | None, name: str) -> float | None:
    row = results.row(name) if results else None
    return row.rate if row else None


def _ratio(results: Results | None, name: str, other: str) -> float | None:
    ours, theirs = _rate(results, name), _rate(results, other)
    return ours / theirs if ours and theirs else None


def _of_topics(topics: Mapping[str, Results]) -> Iterator[Goal]:
    large, small = topics.get(LARGE), topics.get(SMALL)
    for name, (title, wanted) in FASTER_THAN.items():
        if (ratio := _ratio(large, OURS, name)) is not None:
            yield Goal(f"2.2 KB, 4 partitions: speed beside {title}", " times", wanted, ratio)
    if rate := _rate(small, OURS):
        yield Goal("180 bytes", " records/s", 1_000_000, rate)
    for name, title, wanted in (("bare-2", "two bare readers", 0.35), ("java", "the program in Java", 1.0)):
        if (ratio := _ratio(small, OURS, name)) is not None:
            yield Goal(f"180 bytes: speed beside {title}", " times", wanted, ratio)
    if large and (row := large.row(OURS)):
        yield Goal("memory of all processes, 2.2 KB", " MB", 500, row.peak_mb, at_most=True)
    yield from _grouped(topics.get("grouped"))
    yield from _files(topics)
    if (ratio := _ratio(topics.get("file"), "streamagg-count", FILE_FLOOR)) is not None:
        yield Goal("`count` on a file beside two processes that only decode it", " times", 0.8, ratio)


def _grouped(results: Results | None) -> Iterator[Goal]:
    if (best := _best_other(results)) and (ratio := _ratio(results, f"{OURS}-grouped", best.name)):
        what = f"400 bytes, by minute and page: speed beside the fastest contender, {best.title}"
        yield Goal(what, " times", 1.0, ratio)


def _files(topics: Mapping[str, Results]) -> Iterator[Goal]:
    for name, (what, suffix, wanted) in FILES.items():
        results, ours = topics.get(name), f"streamagg-count{suffix}"
        if (ratio := _ratio(results, ours, f"duckdb-file{suffix}")) is not None:
            yield Goal(f"`count` on a file, {what}: speed beside DuckDB", " times", wanted, ratio)
        if (best := _best_other(results)) and (ratio := _ratio(results, ours, best.name)):
            yield Goal(f"the same beside the fastest tool, {best.title}", " times", 1.0, ratio)


def _best_other(results: Results | None) -> Row | None:
    """The fastest that counts right and is neither streamagg nor a floor."""
    others = [
        row
        for row in (results.by_rate() if results else ())
        if row.rate and row.is_right and row.verdict is not None and not row.name.startswith("streamagg")
    ]
    return others[0] if others else None


def _of_others(found: Mapping[str, Found]) -> Iterator[Goal]:
    if pairs := found.get("pairs"):
        yield Goal("1 partition beside 4", " times", 0.9, pairs["partitions"]["times"])
        cost = 100 * (pairs["delivery"]["times"] - 1)
        yield Goal("exactly-once costs, beside at-least-once", " %", 3, cost, at_most=True)
        for name, (what, least) in BESIDE_LESS.items():
            if name in pairs:
                yield Goal(what, " times", least, pairs[name]["times"])
    for topic in found.get("profile", {}).get("topics", ()):
        by_process: dict[str, float] = {}
        for row in topic["parts"]:
            by_process[row["process"]] = by_process.get(row["process"], 0.0) + row["us_a_record"]
        ours = sum(us for process, us in by_process.items() if process != "broker")
        share = 100 * by_process.get("coordinator", 0.0) / ours
        what = f"the coordinator's share of the CPU, {topic['record_bytes']:,} bytes"
        yield Goal(what, " %", 10, share, at_most=True)
    if metering := found.get("metering"):
        yield Goal("metrics, of the CPU of a run", " %", 2, 100 * metering["share"], at_most=True)
    wanted = {"generate": 50_000, "replay": 100_000}
    for tool in found.get("tools", {}).get("tools", ()):
        name = tool["tool"].partition(",")[0]
        yield Goal(f"`{name}`, 2.2 KB", " records/s", wanted[name], tool["records_per_second"])
    if latency := found.get("latency"):
        what = "live, 10,000 records/s: p99 from the record that closes a window to its reader"
        yield Goal(what, " ms", 250, latency["latency"]["to_reader_ms"]["p99"], at_most=True)
        cpu = latency["cpu"]
        part = cpu["part_of_the_rate"]
        what = f"CPU at {part:.2f} of the full rate, as a part of the CPU at full rate"
        yield Goal(what, "", 1.5 * part, cpu["part_of_the_cpu"], at_most=True)
