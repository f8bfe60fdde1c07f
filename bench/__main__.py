"""Measures streamagg beside every alternative: ``python -m bench``.

Starts a broker of its own unless one is given, makes and loads the topics that are missing, runs every
contender in turn and checks what it counted. Prints a table and writes ``bench/results/<topic>.json``;
refuses to do so when something else uses the machine.
"""

import argparse
import shutil
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rich.console import Console

from bench.contender import Contender
from bench.contenders import all_contenders
from bench.kafka import delete_topics
from bench.machine import description, load
from bench.results import Results
from bench.rounds import OUTPUT_PREFIX, Bench, Prepared
from bench.scratch import DIRECTORY, RESULTS, site
from bench.table import print_results
from bench.topics import LOADS
from bench.topics import load as load_topic

QUICK_TOPIC: Final = "large-4"
ROUNDS: Final = 3


def main(arguments: Sequence[str]) -> int:
    """Run the benchmark; returns the exit code."""
    given = _parse(arguments)
    # Whatever ends the benchmark, runs and broker end with it.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    console = Console(stderr=True, soft_wrap=True)
    contenders = _chosen(given)
    before = load()
    if before.is_busy:
        console.print(f"The machine is busy with something else: {before}.")
        if not given.busy_anyway:
            console.print("Wait for it, end it, or measure --busy-anyway, which writes no results.")
            return 1
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(DIRECTORY / "runs", ignore_errors=True)
    with site(given.bootstrap_servers, DIRECTORY) as place:
        if given.bootstrap_servers is None:
            # Of runs that were killed; on somebody else's broker the name may be somebody else's too.
            delete_topics(place.bootstrap, OUTPUT_PREFIX)
        bench = Bench(place.bootstrap, place.broker_pid, DIRECTORY, given.busy_anyway, console.print)
        prepared = bench.prepare(contenders)
        written = [_measure(bench, prepared, topic, given) for topic in given.topic]
    return 0 if all(written) else 1


def _measure(bench: Bench, prepared: Sequence[Prepared], topic: str, given: argparse.Namespace) -> bool:
    """Measure on one topic; False when the results are not fit to be kept."""
    prepared = [each for each in prepared if runs_on(topic, each.contender, given)]
    full = load_topic(LOADS[topic], bench.bootstrap, DIRECTORY, bench.told)
    tenth = load_topic(LOADS[topic].tenth(), bench.bootstrap, DIRECTORY, bench.told)
    began = datetime.now(UTC).isoformat(timespec="seconds")
    results = Results(
        topic=topic,
        partitions=full.topic.partitions,
        records=full.topic.records,
        record_bytes=full.topic.record_bytes,
        compression=full.topic.compression,
        command=_command(topic, given),
        made=began,
        machine=description(),
        rows=bench.run_rounds(prepared, full, tenth, given.rounds),
    )
    print_results(results)
    if given.only or given.busy_anyway:
        bench.told("No results are written: --only and --busy-anyway are for looking.")
        return True
    if results.disturbed:
        bench.told(f"No results are written: the machine was busy during {', '.join(results.disturbed)}.")
        return False
    results.save(_path(topic, given))
    return True


def _path(topic: str, given: argparse.Namespace) -> Path:
    return RESULTS / (f"quick-{topic}.json" if given.quick else f"{topic}.json")


def _command(topic: str, given: argparse.Namespace) -> str:
    """What gives these figures again."""
    rounds = f" --rounds {given.rounds}" if given.rounds != ROUNDS else ""
    return f"python -m bench {'--quick ' if given.quick else ''}--topic {topic}{rounds}"


def _chosen(given: argparse.Namespace) -> list[Contender]:
    """The contenders of at least one topic that is asked for; exits when a name does not exist."""
    contenders = all_contenders()
    unknown = set(given.only or ()) - {contender.name for contender in contenders}
    if unknown:
        names = ", ".join(contender.name for contender in contenders)
        sys.exit(f"No contender is called {', '.join(sorted(unknown))}. There are: {names}.")
    return [each for each in contenders if any(runs_on(topic, each, given) for topic in given.topic)]


def runs_on(topic: str, contender: Contender, given: argparse.Namespace) -> bool:
    """Who is named runs wherever it can; else topic and benchmark decide."""
    load = LOADS[topic]
    if contender.reads != load.reads or not (contender.work == load.work or contender.everywhere):
        return False
    if given.only:
        return contender.name in given.only
    return contender.quick or not given.quick


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help=f"the main rows only, on {QUICK_TOPIC}")
    parser.add_argument("--topic", action="append", choices=list(LOADS), help="may be repeated; default: all")
    parser.add_argument("--only", type=lambda text: text.split(","), metavar="NAME,...", help="contenders")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--bootstrap-servers", help="a broker that runs, instead of one of our own")
    parser.add_argument(
        "--busy-anyway", action="store_true", help="measure on a busy machine; writes nothing"
    )
    given = parser.parse_args(arguments)
    if given.topic is None:
        given.topic = [QUICK_TOPIC] if given.quick else list(LOADS)
    return given


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
