"""The figures of inputs and outputs that are no topics, for the report."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from bench.block import Block, source
from bench.table import markdown

Found = Mapping[str, Any]
"""What a file of results holds."""


def small(found: Found) -> list[Block]:
    """Of ``python -m bench.places``."""
    command = source(found["command"], found["made"])
    return [
        _block("places", _beside(found["beside"]), command),
        _block("places-sinks", _sinks(found["sinks"]), command),
        _block("places-engine", _engine(found["sinks"]), command),
        _block("places-metered", _metered(found["metered"]), command),
    ]


def _block(name: str, text: str, command: str) -> Block:
    return Block(name, f"{text}\n\n{command}")


def _beside(rows: list[Found]) -> str:
    headings = [
        *("who", "seconds to the answer", "least to most", "CPU s", "memory MB"),
        *("users, too", "right rows", "remarks"),
    ]
    shown = [
        [
            row["contender"],
            f"{row['seconds']:.1f}",
            f"{min(row['runs']):.1f} to {max(row['runs']):.1f}",
            f"{row['cpu_seconds']:.1f}",
            f"{row['peak_mb']:,}",
            "yes" if row["counts_users"] else "no",
            f"{row['right']:,} of {row['rows']:,}",
            _remark(row),
        ]
        for row in sorted(rows, key=lambda row: (row["right"] < row["rows"], row["seconds"]))
    ]
    return markdown(headings, shown, numbers=range(1, 5))


def _remark(row: Found) -> str:
    busy = "something else used the machine meanwhile" if row["disturbed"] else ""
    return "; ".join(part for part in (row["remark"], busy) if part)


def _sinks(found: Found) -> str:
    postgres, directory = found["postgres"], found["directory"]
    named = {
        "PostgreSQL, rows that are new": postgres["new"],
        "the same by hand": postgres["new_by_hand"],
        "PostgreSQL, rows that are there already": postgres["again"],
        "the same by hand, ": postgres["again_by_hand"],
        "PostgreSQL, windows of 10 groups": postgres["small"],
        "directory": directory["large"],
        "directory, windows of 10 groups": directory["small"],
    }
    rows = [
        [
            name.rstrip(", "),
            f"{each['rows_per_second']:,}",
            f"{each['cpu_us_a_row']:.1f}",
            f"{each['server_cpu_us_a_row']:.1f}" if each["server_cpu_us_a_row"] else "-",
            f"{each['ms_a_window']:.0f}",
            f"{each['ms_at_most']:.0f}",
        ]
        for name, each in named.items()
    ]
    headings = [
        "windows of 10,000 groups into",
        "rows/s",
        "CPU µs a row",
        "of the server",
        "ms a window",
        "most",
    ]
    new, again = postgres["new_of_by_hand"], postgres["again_of_by_hand"]
    times = f"Beside what is done by hand: {new:.2f} of its rows/s where they are new, {again:.2f} where not."
    return f"{markdown(headings, rows, numbers=range(1, 6))}\n\n{times}"


def _engine(found: Found) -> str:
    beside, seen, goals = found["beside_the_engine"], found["visible"], found["goals"]
    rows = [
        [
            f"rows/s into {name}, beside the engine",
            f"{goals['rows_per_second']:,}" if key == "postgres" else "-",
            f"{beside[key]['rows_per_second']:,}",
            f"{beside[key]['rows']:,} rows in {beside[key]['seconds']:.1f} s,"
            f" {beside[key]['missing']} missing",
        ]
        for name, key in (("PostgreSQL", "postgres"), ("a directory", "directory"))
    ]
    ms = seen["ms"]
    rows.append(
        [
            "ms until a window of 10,000 groups is seen in PostgreSQL",
            f"{goals['visible_ms']:,}",
            f"{ms['p50']:.0f}",
            f"p90 {ms['p90']:.0f}, most {ms['max']:.0f}, of {seen['windows']} windows",
        ]
    )
    return markdown(["", "wanted", "reached", ""], rows, numbers=(1, 2))


def _metered(found: Found) -> str:
    backlog, live = found["backlog"], found["live"]
    rows = [
        [
            "as a backlog",
            f"{backlog['measurements_per_second']:,}",
            f"{backlog['rows_per_second']:,}",
            f"{backlog['measurements']:,} measurements, {backlog['missing']} missing;"
            f" {backlog['cpu_us_a_measurement']:.1f} µs of CPU each,"
            f" {backlog['server_cpu_us_a_measurement']:.1f} of the server",
        ],
        [
            "as they come",
            f"{live['measurements_per_second']:,}",
            f"{live['rows_per_second']:,}",
            f"windows are there {live['behind_ms']['p50']:.0f} ms after their end, at most"
            f" {live['behind_ms']['max']:.0f}; {live['cores']:.2f} cores",
        ],
    ]
    return markdown(["", "measurements/s", "rows/s", ""], rows, numbers=(1, 2))


def many(found: Found) -> list[Block]:
    """Of ``python -m bench.places many``; what every run takes is told by the smallest tree."""
    trees = found["trees"]
    none = trees[0]
    rows = [
        [
            f"{tree['files']:,}",
            *(
                cell
                for run in ("fresh", "restart")
                for cell in (
                    f"{tree[run]['seconds']:.1f}",
                    f"{tree[run]['cpu_seconds']:.1f}",
                    f"{tree[run]['peak_mb']:,}",
                    _us_a_file(tree, none, run) if tree is not none else "-",
                )
            ),
        ]
        for tree in trees
    ]
    headings = ["files"]
    for run in ("all counted", "all there already"):
        headings += [f"{run}: seconds", "CPU s", "memory MB", "CPU µs a file"]
    text = markdown(headings, rows, numbers=range(len(headings)))
    return [_block("places-many", text, source(found["command"], found["made"]))]


def _us_a_file(tree: Found, none: Found, run: str) -> str:
    seconds = tree[run]["cpu_seconds"] - none[run]["cpu_seconds"]
    return f"{seconds / (tree['files'] - none['files']) * 1e6:.1f}"


def pairs(found: Found) -> list[Block]:
    """Of ``python -m bench.places pairs``; how long they took is no figure."""
    every = found["pairs"]
    sinks = list(dict.fromkeys(pair["to"] for pair in every))
    same = {(pair["from"], pair["to"]): "yes" if pair["same"] else "NO" for pair in every}
    rows = [
        [name, *(same[name, sink] for sink in sinks)]
        for name in dict.fromkeys(pair["from"] for pair in every)
    ]
    about = f"{found['records']:,} records, {found['rows']:,} rows of results; the same?"
    text = f"{about}\n\n{markdown(['from', *(f'into {sink}' for sink in sinks)], rows, numbers=())}"
    return [_block("places-pairs", text, source(found["command"], found["made"]))]


FIGURES: Final[dict[str, Callable[[Found], list[Block]]]] = {
    "places": small,
    "places-many": many,
    "places-pairs": pairs,
}
"""By file of results."""
