"""Measures ``serve``: ``python -m bench.serve``, or ``python -m bench.serve --part series``.

Each part writes ``bench/results/serve-PART.json``; with ``--quick`` it asks less and writes nothing. They
refuse to begin when something else uses the machine. Histories are made once (``stores``).

``series``  1,000 samples of 10 measures from 77 million rows
``users``   unique users of 30 days of minutes, windows of a day
``groups``  30 days of minutes with 200 groups
``live``    1,000 clients that listen
``fresh``   the same questions as in ``series`` while 10,000 measurements a second come from a producer
            through Kafka and the engine, and how old the freshest value of an answer is
``beside``  the same questions to PostgreSQL, DuckDB on Parquet files, ClickHouse (chDB), and ``serve``, on a
            tenth of the tags
"""

import argparse
import json
import signal
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

from rich.console import Console

from bench.scratch import is_quiet, save
from bench.serve import asking, beside, fresh, listening
from bench.serve.stores import HOME
from bench.topics import Told

PARTS: Final[dict[str, Callable[[bool, Told], Mapping[str, Any]]]] = {
    "series": asking.series,
    "users": asking.users,
    "groups": asking.groups,
    "live": listening.live,
    "fresh": fresh.fresh,
    "beside": beside.beside,
}


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.serve",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--part", action="append", choices=[*PARTS], help="may be repeated; default: all")
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    # Whatever ends the measurement, what it started ends with it.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    console = Console(stderr=True, soft_wrap=True)
    if not given.quick and not is_quiet(console.print):
        return 1
    HOME.mkdir(parents=True, exist_ok=True)
    for name in given.part or PARTS:
        console.print(f"serve: {name}")
        found = PARTS[name](given.quick, console.print)
        console.print_json(json.dumps(found))
        if not given.quick:
            save(f"serve-{name}", found, module="bench.serve")
    return 0


if __name__ == "__main__":
    sys.exit(main())
