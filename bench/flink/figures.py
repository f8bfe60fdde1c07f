"""The figures of the job on Flink for the report and docs/flink.md."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from bench.block import Block, source
from bench.flink.cost import TOPICS, Terms, table
from bench.flink.speed import Pair, pairs
from bench.results import Results, windows_cell
from bench.table import markdown

Found = Mapping[str, Any]
PROOF: Final = ("s", "windows", "periods", "groups", "as recounted", "not so", "late records")
SPEED: Final = (
    *("records/s", "least to most", "CPU µs a record", "broker CPU µs a record", "memory MB"),
    "windows right",
)
DIFFERENCES: Final = ("differ", "records_more", "records_fewer")
LATE: Final = ("", "parallelism", "windows that differ", "records more", "records fewer")


def proof(found: Found) -> list[Block]:
    """What a recount said of jobs that nothing happens to."""
    return [_proof("flink-proof", found)]


def restored(found: Found) -> list[Block]:
    """The same of jobs that were ended in between."""
    return [_proof("flink-restored", found)]


def later(found: Found) -> list[Block]:
    """The same of records beyond max lag."""
    return [_proof("flink-later", found)]


def _proof(name: str, found: Found) -> Block:
    rows = [_proof_row(row) for row in found["rows"]]
    headings = (f"{found['records']:,} visits", *PROOF)
    notes = [
        f"{row['what']}: ended behind {' and '.join(map(str, row['behind']))}"
        f" of {row['windows'] + row['periods']} windows and periods."
        for row in found["rows"]
        if "behind" in row
    ]
    text = markdown(headings, rows, numbers=range(1, len(headings)))
    return Block(name, "\n\n".join([text, *notes, source(found["command"], found["made"])]))


def _proof_row(row: Found) -> list[str]:
    figures = (row[name] for name in ("windows", "periods", "groups", "agree"))
    late = [f"{row[name]:,}" for name in ("late", "late_in_recount", "late_in_run") if name in row]
    differ = f"**{row['differ']}**" if row["differ"] else "0"
    return [row["what"], f"{row['seconds']:.0f}", *(f"{each:,}" for each in figures), differ, _same(late)]


def _same(late: list[str]) -> str:
    """One number where all say it."""
    return ", ".join(dict.fromkeys(late)) or "-"


def lateness(found: Found) -> list[Block]:
    """How many records each counts that a partition's own clock finds late, run by run."""
    rows = []
    for (what, parallelism), runs in groupby(found["rows"], lambda row: (row["what"], row["parallelism"])):
        each = list(runs)
        figures = (", ".join(f"{row[name]:,}" for row in each) for name in DIFFERENCES)
        rows.append([what, str(parallelism), *figures])
    text = markdown(LATE, rows, numbers=range(1, len(LATE)))
    said = (
        f"{found['records']:,} records, a tenth of them up to {found['max_delay_s']} s behind, 5 s of lag,"
        f" {found['late']:,} late by the clocks of their partitions. Figures of each run."
    )
    return [Block("flink-lateness", "\n\n".join([text, said, source(found["command"], found["made"])]))]


def large(found: Found) -> list[Block]:
    """Records of 2.2 KB."""
    return [_speed("flink-large", found)]


def small(found: Found) -> list[Block]:
    """Records of 180 bytes, and what a Python function for each costs."""
    return [_speed("flink-small", found)]


def _speed(name: str, found: Found) -> Block:
    each = pairs(found)
    title = f"{each[0].full.records:,} records of {found['record_bytes']:,} bytes"
    rows = [_speed_row(pair) for pair in each]
    text = markdown((title, *SPEED), rows, numbers=range(1, len(SPEED)))
    notes = [*_disturbed(each), source(found["command"], found["made"])]
    return Block(name, "\n\n".join([text, *notes]))


def _disturbed(each: Sequence[Pair]) -> Iterator[str]:
    """What else used the machine, if more than a measurement bears."""
    costs = [run.cost for pair in each for run in pair.full.runs]
    if any(cost.is_disturbed for cost in costs):
        others = [cost.others_cpu_seconds / cost.wall_seconds for cost in costs]
        yield (
            f"Other programs used {min(others):.2f} to {max(others):.2f} cores of the machine meanwhile:"
            " records/s are lower than they would be alone."
        )


def _speed_row(pair: Pair) -> list[str]:
    row = pair.full
    if row.rate is None or pair.tenth.rate is None:
        return [row.title, *["-"] * 5, row.unavailable or (row.errors or pair.tenth.errors)[-1]]
    return [
        row.title,
        f"{row.rate:,.0f}",
        f"{row.rates[0]:,.0f} to {row.rates[-1]:,.0f}",
        f"{pair.cpu_us_a_record:.1f}",
        f"{pair.broker_us_a_record:.1f}",
        f"{row.peak_mb:,.0f}",
        windows_cell(row),
    ]


def profile(found: Found) -> list[Block]:
    """Where the CPU of a task manager goes."""
    by_size = [
        {(part["task"], part["part"]): part["us_a_record"] for part in topic["parts"]}
        for topic in found["topics"]
    ]
    places = sorted(by_size[-1] | by_size[0], key=lambda key: -by_size[0].get(key, 0.0))
    tasks = {task: sum(us for key, us in by_size[0].items() if key[0] == task) for task, _ in places}
    rows = [
        [task, part, *(f"{each.get((task, part), 0.0):.2f}" for each in by_size)]
        for task, part in sorted(places, key=lambda key: -tasks[key[0]])
        if max(each.get((task, part), 0.0) for each in by_size) >= 0.01
    ]
    rows.append(["**all**", "", *(f"**{sum(each.values()):.2f}**" for each in by_size)])
    headings = (
        "thread",
        "part",
        *(f"µs a record of {topic['record_bytes']:,} bytes" for topic in found["topics"]),
    )
    text = markdown(headings, rows, numbers=(2, 3))
    return [Block("flink-profile", "\n\n".join([text, source(found["command"], found["made"])]))]


def cost(measured: Sequence[Results], profile: Found) -> Block:
    """Cores and money."""
    terms = Terms()
    said = (
        f"A core for ${terms.price:g} an hour, used by {terms.used:.0%} on average;"
        " `python -m bench.flink.cost` calculates with others."
    )
    topics = [each for each in measured if each.topic in TOPICS]
    return Block("flink-cost", f"{table(topics, profile, terms)}\n\n{said}")


FIGURES: Final[dict[str, Callable[[Found], list[Block]]]] = {
    "flink-proof": proof,
    "flink-restored": restored,
    "flink-later": later,
    "flink-lateness": lateness,
    "flink-large": large,
    "flink-small": small,
    "flink-profile": profile,
}
"""Files of results."""
