"""Inputs and outputs that are no topics: ``python -m bench.places``, four minutes, no Kafka.

1. ``beside``: sums by client and hour out of a directory of a million lines, by ``awk``, pandas, DuckDB,
   PostgreSQL and streamagg; what each answers is compared with the truth.
2. ``sinks``: rows of results a second into PostgreSQL and into a directory.
3. ``metered``: the traffic of a measurement store out of a directory into PostgreSQL.

``python -m bench.places many`` (a million small files) and ``python -m bench.places pairs`` (every input into
every output, beside the benchmark's broker) take six minutes each, and have files of results of their own.

Needs the Debian package ``postgresql``. Writes ``bench/results/places.json``, or ``places-many.json`` and
``places-pairs.json``; ``--quick`` does less, prints, and writes nothing.
"""

import argparse
import json
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from bench.places import beside, many, metered, pairs, sinks
from bench.places.usage import RECORDS, usage
from bench.scratch import DIRECTORY, is_quiet, save, site
from bench.topics import Told

PARTS = ("beside", "sinks", "metered", "many", "pairs")


def main(arguments: Sequence[str]) -> int:
    """Measure, print, write; returns the exit code."""
    given = _parse(arguments)
    # Whatever ends the benchmark, runs and servers end with it.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    console = Console(stderr=True, soft_wrap=True)
    # Whether results are the same does not hang on what else runs.
    if not given.quick and given.part != "pairs" and not is_quiet(console.print):
        return 1
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    name, found = _measure(given.part, given.quick, console.print)
    console.print_json(json.dumps(found))
    if not given.quick and given.part not in ("beside", "sinks", "metered"):
        save(name, found, module="bench.places")
    return 0


def _measure(part: str | None, quick: bool, told: Told) -> tuple[str, Mapping[str, Any]]:
    """The name of the file of results, and what is in it."""
    if part == "many":
        return "places-many", {"trees": many.measure(quick, told)}
    if part == "pairs":
        with site(None, DIRECTORY) as place:
            return "places-pairs", pairs.measure(place, quick, told)
    found = {
        name: _small(name, quick, told) for name in ("beside", "sinks", "metered") if part in (None, name)
    }
    return "places", found


def _small(part: str, quick: bool, told: Told) -> Any:
    """One of those that are measured together."""
    if part == "beside":
        return beside.measure(usage(RECORDS // 10 if quick else RECORDS), 1 if quick else beside.ROUNDS, told)
    return (sinks if part == "sinks" else metered).measure(quick, told)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.places",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "part", nargs="?", choices=PARTS, help="one alone; of the first three it writes nothing"
    )
    parser.add_argument("--quick", action="store_true")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
