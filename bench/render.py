"""Renders REPORT.md, figures in docs and docs/charts from bench/results: ``python -m bench.render``.

A figure stands between ``<!-- bench:NAME -->`` and ``<!-- /bench:NAME -->``; whatever is between them is
replaced. Charts that no result gives are removed.
"""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from bench import ingest_tables, plots, reliability
from bench.block import Block, source
from bench.charts import Bar, Kind, bar_chart
from bench.flink import figures as flink
from bench.flink.cost import PROFILE
from bench.goals import goals
from bench.measure import REPOSITORY
from bench.places import figures as places
from bench.results import MILLION, Results, Row, read_results, windows_cell
from bench.scratch import RESULTS
from bench.serve import figures as serve
from bench.table import markdown, markdown_results
from bench.topics import LOADS

REPORT: Final = REPOSITORY / "REPORT.md"
DOCS: Final = REPOSITORY / "docs"
PAGES: Final = (REPORT, *(DOCS / f"{name}.md" for name in ("reliability", "operations", "flink")))
CHARTS: Final = DOCS / "charts"
MAIN_ROW: Final = "streamagg-2"
MARKED: Final = re.compile(
    r"(<!-- bench:(?P<name>[a-z0-9-]+) -->\n).*?(<!-- /bench:(?P=name) -->)", re.DOTALL
)
NOT_MEASURED: Final = "*Not measured yet.*"
SIZED: Final = {"streamagg-inline": "none: `--inline`"} | {f"streamagg-{n}": str(n) for n in (1, 2, 3, 4)}
"""Rows of the table of sizes, and how many unmarshallers each has."""


PLOTS: Final = {
    "scaling": plots.scaling,
    "latency": plots.latency,
    "profile": plots.profile,
    "metering": plots.metering,
    "pairs": plots.pairs,
    "tools": plots.tools,
    "strictness": plots.strictness,
    "soak": reliability.soak,
    "soak-serve": reliability.soak_serve,
    "chaos": reliability.chaos,
    "ingest": ingest_tables.ingest,
    "ingest-store": ingest_tables.store,
    "ingest-overload": ingest_tables.overload,
    **flink.FIGURES,
    **places.FIGURES,
    **serve.FIGURES,
}
"""Files of results beside those of topics."""


def render(results: Path) -> list[Block]:
    """Every figure that the files of results give."""
    measured = [read_results(path) for name in LOADS if (path := results / f"{name}.json").exists()]
    blocks = [files(each) if LOADS[each.topic].reads == "file" else topic(each) for each in measured]
    found = {
        name: json.loads(path.read_bytes()) for name in PLOTS if (path := results / f"{name}.json").exists()
    }
    since = {each.topic: each for each in _main_rows_since(results, measured)}
    blocks += [main_rows(name, since.get(name)) for name, load in LOADS.items() if load.reads == "topic"]
    if measured:
        newest = {each.topic: each for each in measured} | since
        blocks += [goals([*newest.values()], found), overview(measured), machine(measured[0])]
        blocks.append(versions(measured))
        blocks.append(sizing(measured))
    for name, figures in PLOTS.items():
        if name in found:
            blocks += figures(found[name])
    if PROFILE in found:
        blocks.append(flink.cost(measured, found[PROFILE]))
    return blocks


def _main_rows_since(results: Path, measured: Sequence[Results]) -> list[Results]:
    """Topics whose main rows were measured after all of their rows."""
    made = {each.topic: each.made for each in measured}
    paths = [path for name in LOADS if (path := results / f"quick-{name}.json").exists()]
    return [each for each in map(read_results, paths) if each.made > made.get(each.topic, "")]


def main_rows(topic: str, results: Results | None) -> Block:
    """Table of the main rows of a topic; nothing where they were not measured again."""
    if results is None:
        return Block(f"quick-{topic}", "")
    title = f"The main rows again, {describe(results)}:"
    parts = [title, markdown_results(results), source(results.command, results.made)]
    return Block(f"quick-{topic}", "\n\n".join(parts))


def fill(page: str, blocks: Sequence[Block]) -> str:
    """The page with its figures replaced; one that was not measured says so."""
    texts = {block.name: block.markdown for block in blocks}

    def between(found: re.Match[str]) -> str:
        return f"{found[1]}\n{texts.get(found['name'], NOT_MEASURED)}\n\n{found[3]}"

    return MARKED.sub(between, page)


def topic(results: Results) -> Block:
    """Chart and table of one topic."""
    title = f"Records a second, {describe(results)}"
    rounds = max(len(row.runs) for row in results.rows)
    subtitle = f"Median of {rounds} rounds, whiskers from least to most; hatched: wrong or missing windows"
    rows = [row for row in results.by_rate() if row.rate is not None]
    parts = [markdown_results(results), source(results.command, results.made)]
    svg = bar_chart(title, subtitle, [_bar(row) for row in rows])
    return Block(results.topic, "\n\n".join(parts), title, svg)


def describe(results: Results) -> str:
    """What the topic holds, in words."""
    partitions = "1 partition" if results.partitions == 1 else f"{results.partitions} partitions"
    packed = "" if results.compression == "none" else f", {results.compression}"
    return f"{size(results)} in {partitions}{packed}{asked(results)}"


def asked(results: Results) -> str:
    """What is asked besides unique users by minute."""
    return "" if LOADS[results.topic].work == "plain" else ", by minute and page"


def size(results: Results) -> str:
    """Of a record."""
    if results.record_bytes < 1_000:
        return f"{results.record_bytes} bytes"
    return f"{results.record_bytes / 1_000:g} KB"


def _bar(row: Row) -> Bar:
    value = row.rate or 0.0
    text = f"{value:,.0f}" + ("" if row.is_right else f" · {windows_cell(row).partition(':')[0]} right")
    return Bar(row.title, value, row.rates[0], row.rates[-1], text, _kind(row))


def _kind(row: Row) -> Kind:
    if not row.is_right:
        return "wrong"
    if row.name.startswith("streamagg"):
        return "ours"
    return "floor" if row.name.startswith("bare") else "other"


def overview(measured: Sequence[Results]) -> Block:
    """How many times as fast as each contender the main row is, on every topic."""
    measured = [results for results in measured if LOADS[results.topic].is_main]
    titles = {row.name: row.title for results in measured for row in results.by_rate()}
    rows = [
        [title, *(_times(results, name) for results in measured)]
        for name, title in titles.items()
        if name != MAIN_ROW
    ]
    headings = ["how many times as fast as", *(describe(each) for each in measured)]
    return Block("overview", markdown(headings, rows, numbers=range(1, len(headings))))


def _times(results: Results, name: str) -> str:
    ours, theirs = results.row(MAIN_ROW), results.row(name)
    if ours is None or theirs is None or not ours.rate or not theirs.rate:
        return "-"
    return f"{ours.rate / theirs.rate:.2f}" + ("" if theirs.is_right else " (it counts wrong)")


def sizing(measured: Sequence[Results]) -> Block:
    """What it takes to read as fast as it can: the table somebody needs who plans a machine."""
    topics = [results for results in measured if LOADS[results.topic].is_main]
    rows = [
        _sized(results, row, unmarshallers)
        for results in sorted(topics, key=lambda each: -each.record_bytes)
        for name, unmarshallers in SIZED.items()
        if (row := results.row(name)) is not None
    ]
    headings = ["records", "unmarshallers", "records/s", "MB/s", "cores in use", "memory MB"]
    made = ", ".join(dict.fromkeys(source("python -m bench", results.made) for results in topics))
    parts = [markdown(headings, rows, numbers=range(2, len(headings))), *map(_memory, topics[:1]), made]
    return Block("sizing", "\n\n".join(parts))


def _memory(results: Results) -> str:
    """What an unmarshaller takes, and what all else does."""
    peaks = [row.peak_mb for n in (1, 2, 3, 4) if (row := results.row(f"streamagg-{n}")) is not None]
    each = (peaks[-1] - peaks[0]) / max(1, len(peaks) - 1)
    return f"{describe(results)}: {each:.0f} MB for each unmarshaller, {peaks[0] - each:.0f} MB for the rest."


def _sized(results: Results, row: Row, unmarshallers: str) -> list[str]:
    rate = row.rate or 0.0
    return [
        describe(results),
        unmarshallers,
        f"{rate:,.0f}",
        f"{rate * results.record_bytes / 1e6:,.0f}",
        f"{rate * row.cpu_per_million / MILLION:.1f}",
        f"{row.peak_mb:,.0f}",
    ]


def files(results: Results) -> Block:
    """What counting a file takes beside only decoding it."""
    title = f"A file of {results.records:,} records of {size(results)}{asked(results)}:"
    parts = [title, markdown_results(results), source(results.command, results.made)]
    return Block(results.topic, "\n\n".join(parts))


def machine(results: Results) -> Block:
    """Where it was measured."""
    return Block("machine", markdown(["machine", ""], list(_pairs(results.machine)), numbers=()))


def versions(measured: Sequence[Results]) -> Block:
    """What each contender was made of."""
    rows = {
        row.name: [row.title, ", ".join(" ".join(pair) for pair in _pairs(row.versions))]
        for results in measured
        for row in results.rows
        if row.unavailable is None
    }
    return Block("versions", markdown(["contender", "versions"], list(rows.values()), numbers=()))


def _pairs(mapping: Mapping[str, str]) -> list[list[str]]:
    return [[name, value] for name, value in mapping.items()]


def main() -> int:
    """Write the report and the charts."""
    blocks = render(RESULTS)
    for page in PAGES:
        page.write_text(fill(page.read_text(), blocks))
    CHARTS.mkdir(parents=True, exist_ok=True)
    charts = {block.chart: block.svg for block in blocks if block.svg is not None}
    for old in CHARTS.glob("*.svg"):
        if old.name not in charts:
            old.unlink()
    for name, svg in charts.items():
        (CHARTS / name).write_text(svg)
    return 0


if __name__ == "__main__":
    sys.exit(main())
