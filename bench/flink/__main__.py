"""Measures the job on Flink: ``python -m bench.flink``, or ``python -m bench.flink --part proof``.

Each part writes ``bench/results/flink-PART.json``; with ``--quick`` it takes fewer records and writes
nothing. Those of speed refuse to begin when something else uses the machine.
"""

import argparse
import json
import signal
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

from rich.console import Console

from bench.flink import lateness, proof, sampled, speed
from bench.scratch import DIRECTORY, Site, is_quiet, save, site
from bench.topics import Told

PARTS: Final[dict[str, Callable[[Site, bool, Told], Mapping[str, Any]]]] = {
    "proof": proof.plain,
    "restored": proof.restored,
    "later": proof.later,
    "lateness": lateness.measure,
    "large": speed.large,
    "small": speed.small,
    "profile": sampled.measure,
}
OF_SPEED: Final = {"large", "small", "profile"}


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.flink",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--part", action="append", choices=[*PARTS], help="may be repeated; default: all")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument(
        "--busy-anyway", action="store_true", help="measure on a busy machine; figures say so"
    )
    parser.add_argument("--bootstrap-servers", help="a broker that runs, instead of one of our own")
    given = parser.parse_args()
    chosen = given.part or [*PARTS]
    # Whatever ends the measurement, jobs and broker end with it.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    console = Console(stderr=True, soft_wrap=True)
    waived = given.quick or given.busy_anyway or OF_SPEED.isdisjoint(chosen)
    if not waived and not is_quiet(console.print):
        return 1
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    with site(given.bootstrap_servers, DIRECTORY) as place:
        for name in chosen:
            found = PARTS[name](place, given.quick, console.print)
            console.print_json(json.dumps(found))
            if not given.quick:
                save(f"flink-{name}", found, module="bench.flink")
    return 0


if __name__ == "__main__":
    sys.exit(main())
