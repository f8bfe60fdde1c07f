"""Results as tables: on the terminal and in Markdown."""

from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.table import Table

from bench.results import Results, Row, note, windows_cell

PLAIN_WIDTH: Final = 170
"""Of a table that goes into a file or a pipe."""
FIGURES: Final = (
    "records/s, median",
    "least to most",
    "of the floor",
    "CPU s per million",
    "broker CPU s per million",
    "memory MB",
)


def figures(row: Row, floor: Row | None) -> list[str]:
    """The numbers of a row, in the order of ``FIGURES``."""
    if row.rate is None:
        return ["-"] * len(FIGURES)
    return [
        f"{row.rate:,.0f}",
        f"{row.rates[0]:,.0f} to {row.rates[-1]:,.0f}",
        f"{row.rate / floor.rate:.2f}" if floor and floor.rate else "-",
        f"{row.cpu_per_million:.1f}",
        f"{row.broker_cpu_per_million:.1f}",
        f"{row.peak_mb:,.0f}",
    ]


def print_results(results: Results) -> None:
    """On the terminal, with what went wrong below."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=PLAIN_WIDTH)
    console.print(_rich(results))
    for row in results.rows:
        if row.unavailable is not None or row.errors:
            console.print(f"{row.name}: {note(row)}", markup=False)


def _rich(results: Results) -> Table:
    table = Table(title=results.topic)
    table.add_column("contender", no_wrap=True)
    for heading in FIGURES:
        table.add_column(heading, justify="right")
    table.add_column("windows right")
    for row in results.by_rate():
        table.add_row(row.title, *figures(row, results.floor), windows_cell(row))
    return table


def markdown_results(results: Results) -> str:
    """For the report."""
    rows = [
        [row.title, *figures(row, results.floor), windows_cell(row), note(row)] for row in results.by_rate()
    ]
    headings = ["contender", *FIGURES, "windows right", "remarks"]
    return markdown(headings, rows, numbers=range(1, 1 + len(FIGURES)))


def markdown(headings: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int]) -> str:
    """A table; the columns of ``numbers`` are aligned to the right."""
    rule = ["--:" if column in numbers else ":--" for column in range(len(headings))]
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in [headings, rule, *escaped])
