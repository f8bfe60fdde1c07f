"""The figures of benchmarks that are of no topic: growth, latency, profile, metrics and single parts."""

import statistics
from collections.abc import Mapping
from typing import Any, Final

from bench.block import Block, source
from bench.charts import Axis, Line, line_chart
from bench.table import markdown

Found = Mapping[str, Any]
"""What a file of results holds."""
PAIRS: Final = ("delivery", "partitions", "groups", "calendars", "calendars-grouped")
"""What is asked in pairs, and the name of each figure."""


def scaling(found: Found) -> list[Block]:
    """A block for each axis along which something grows."""
    return [_axis(name, axis, axis.get("again", found)) for name, axis in found["axes"].items()]


def _axis(name: str, axis: Found, made_by: Found) -> Block:
    less = "; run with a tenth of these records" if "--quick" in made_by["command"] else ""
    command = source(made_by["command"], made_by["made"])
    points = axis["points"]
    lines = [
        Line(label, [(point["x"], point[key]) for point in points], [_spread(point, key) for point in points])
        for label, key in (("seconds", "seconds_a_million"), ("CPU seconds", "cpu_seconds_a_million"))
    ]
    headings = [
        *(axis["title"], "seconds a million", "CPU seconds a million"),
        *("memory MB", "windows", "all right"),
    ]
    table = markdown(headings, [_scaling_row(point) for point in points], numbers=range(len(headings) - 1))
    title = f"Cost of a million records by {axis['title']}"
    svg = line_chart(
        title,
        axis["at_rest"] + less,
        Axis(axis["title"], log=True),
        Axis("seconds for a million records"),
        lines,
    )
    at_rest = f"At rest: {axis['at_rest']}{less}."
    return Block(f"scaling-{name}", f"{table}\n\n{at_rest}\n\n{command}", title, svg)


def _spread(point: Found, key: str) -> tuple[float, float]:
    values = [run[key] for run in point["runs"]]
    return min(values), max(values)


def _scaling_row(point: Found) -> list[str]:
    return [
        f"{point['x']:,}",
        f"{point['seconds_a_million']:.2f}",
        f"{point['cpu_seconds_a_million']:.2f}",
        f"{point['peak_mb']:,.0f}",
        f"{point['windows']:,}",
        "yes" if point["right"] else "NO",
    ]


def latency(found: Found) -> list[Block]:
    """How late windows are, and what waiting costs."""
    command = source(found["command"], found["made"])
    return [_delays(found["latency"], command), _live_cpu(found["cpu"], command)]


def _delays(delays: Found, command: str) -> Block:
    each = sorted(delays["each_to_reader_ms"])
    title = f"How late windows are at {delays['rate']:,} records/s"
    svg = line_chart(
        title,
        f"{delays['windows']} windows of one second",
        Axis("ms from the record that lets a window close to the reader of its count"),
        Axis("% of the windows"),
        [Line("windows", [(delay, 100 * rank / len(each)) for rank, delay in enumerate(each, 1)])],
    )
    rows = [
        [label, *(f"{delays[key][quantile]:.0f}" for quantile in ("p50", "p90", "p99", "max"))]
        for label, key in (
            ("until the reader has it", "to_reader_ms"),
            ("until it is appended", "to_output_ms"),
        )
    ]
    table = markdown(["ms", "p50", "p90", "p99", "most"], rows, numbers=range(1, 5))
    right, all_, twice = delays["right"], delays["windows"], delays["published_twice"]
    outcome = f"{right} of {all_} windows right, {twice} published twice."
    return Block("latency", f"{table}\n\n{outcome}\n\n{command}", title, svg)


def _live_cpu(cpu: Found, command: str) -> Block:
    rows = [["nothing comes", "0", f"{cpu['idle_cores']:.3f}", "-"]]
    for label, key in (("a steady stream", "live"), ("as fast as it can", "full")):
        at = cpu[key]
        rows.append(
            [label, f"{at['records_per_second']:,.0f}", f"{at['cores']:.2f}", f"{at['cpu_us_a_record']:.1f}"]
        )
    table = markdown(["", "records/s", "cores in use", "CPU µs a record"], rows, numbers=range(1, 4))
    return Block("live-cpu", f"{table}\n\n{command}")


def profile(found: Found) -> list[Block]:
    """Where each microsecond goes, by process and part."""
    topics = found["topics"]
    parts = {(row["process"], row["part"]): None for topic in topics for row in topic["parts"]}
    columns = [
        {(row["process"], row["part"]): row["us_a_record"] for row in topic["parts"]} for topic in topics
    ]
    rows = [
        [process, part, *(f"{column.get((process, part), 0):.2f}" for column in columns)]
        for process, part in parts
    ]
    rows.append(["**all**", "", *(f"**{sum(column.values()):.2f}**" for column in columns)])
    starting = ["starting, for a whole run", "in CPU seconds"]
    rows.append([*starting, *(f"{topic['starting_cpu_seconds']:.2f}" for topic in topics)])
    headings = ["process", "CPU µs a record", *(f"{topic['record_bytes']:,} bytes" for topic in topics)]
    text = markdown(headings, rows, numbers=range(2, len(headings)))
    return [Block("profile", f"{text}\n\n{source(found['command'], found['made'])}")]


def metering(found: Found) -> list[Block]:
    """What metrics cost, part by part."""
    rows = [
        [
            part["what"],
            f"{part['microseconds']:,.1f}",
            f"{part['times_a_second']:,.1f}",
            f"{part['microseconds'] * part['times_a_second']:,.0f}",
        ]
        for part in found["parts"]
    ]
    used = sum(part["microseconds"] * part["times_a_second"] for part in found["parts"])
    rows.append(["**all**", "", "", f"**{used:,.0f}**"])
    table = markdown(["part", "µs", "times a second", "µs a second"], rows, numbers=(1, 2, 3))
    share, cpu_s, rate = 100 * found["share"], found["cpu_seconds_a_second"], found["rate"]
    beside = (
        f"That is {share:.2f} % of the {cpu_s:.2f} CPU seconds that a run of {rate:,.0f} records/s uses"
        f" each second, in batches of {found['batch_records']:,} records."
    )
    return [Block("metering", f"{table}\n\n{beside}\n\n{source(found['command'], found['made'])}")]


def pairs(found: Found) -> list[Block]:
    """What was asked in pairs of runs."""
    command = source(found["command"], found["made"])
    return [_pairs(name, found[name], command) for name in PAIRS if name in found]


def _pairs(name: str, found: Found, command: str) -> Block:
    rows = [
        [kind, f"{statistics.median(each):.2f}", f"{min(each):.2f} to {max(each):.2f}"]
        for kind, each in found["seconds"].items()
    ]
    table = markdown(["seconds of a run", "median", "least to most"], rows, numbers=(1, 2))
    first, second = found["seconds"]
    times = (
        f"{len(found['seconds'][first])} pairs: {first} took {found['times']:.3f} times as long as {second}"
        f" in the median pair; with a probability of 95 % that is {found['low']:.3f} to {found['high']:.3f}."
    )
    return Block(name, f"{table}\n\n{times}\n\n{command}")


def strictness(found: Found) -> list[Block]:
    """What tools that count a file do with a broken line."""
    titles = [*found["versions"]]
    rows = [[each["line"], *(each["tools"][title] for title in titles)] for each in found["lines"]]
    table = markdown(["one line of five", *titles], rows, numbers=())
    pinned = ", ".join(
        f"{package} {version}"
        for versions in found["versions"].values()
        for package, version in versions.items()
        if package in ("duckdb", "polars", "chdb")
    )
    return [Block("strictness", "\n\n".join((table, f"{pinned}; {source(found['command'], found['made'])}")))]


def tools(found: Found) -> list[Block]:
    """Single parts: decoding, unique users, generate and replay."""
    command = source(found["command"], found["made"])
    sizes = [key for key in found["decoding"][0] if key != "reader"]
    decoding = markdown(
        ["µs a record", *(f"{int(size):,} bytes" for size in sizes)],
        [[row["reader"], *(f"{row[size]:.2f}" for size in sizes)] for row in found["decoding"]],
        numbers=range(1, 1 + len(sizes)),
    )
    rates = markdown(
        ["2.2 KB, start and end of the process included", "records/s, median", "least to most"],
        [
            [
                row["tool"],
                f"{row['records_per_second']:,.0f}",
                f"{min(row['runs']):,.0f} to {max(row['runs']):,.0f}",
            ]
            for row in found["tools"]
        ],
        numbers=(1, 2),
    )
    uniques = markdown(
        ["unique users", "kept in", "ns a row", "bytes a user", "at most"],
        [
            [
                f"{row['users']:,}",
                row["way"],
                f"{row['ns_a_row']:.0f}",
                f"{row['bytes_a_user']:.1f}",
                f"{row['bytes_a_user_at_most']:.1f}",
            ]
            for row in found["uniques"]
        ],
        numbers=(0, 2, 3, 4),
    )
    return [Block("tools", "\n\n".join((decoding, rates, uniques, command)))]
