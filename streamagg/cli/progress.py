"""A progress bar on stderr, where that is a terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

REFRESH_PER_SECOND: Final = 5

Advance = Callable[[float, int], None]
"""Told what part of the work is done (in the unit of the total) and how many records that were."""


@contextmanager
def progress_bar(doing: str, total: float | None) -> Iterator[Advance]:
    """A bar with records, records a second and the time left; without a terminal, nothing.

    ``total`` None means that nobody knows where the end is.
    """
    if not sys.stderr.isatty():
        yield lambda done, records: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[records]:,} records, {task.fields[rate]:,.0f}/s"),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, refresh_per_second=REFRESH_PER_SECOND, transient=True) as bar:
        task = bar.add_task(doing, total=total, records=0, rate=0.0)

        def advance(done: float, records: int) -> None:
            elapsed_s = bar.tasks[task].elapsed or 0.0
            rate = records / elapsed_s if elapsed_s else 0.0
            bar.update(task, completed=done, records=records, rate=rate)

        yield advance
