"""Breaks a running streamagg in every way of ``tests/chaos/faults`` and prints what came of it.

Exits with 1 when a single value differs from the truth. A run is repeated with its seed.
"""

import argparse
import random
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from bench.scratch import amend, save
from tests.chaos.faults import scenarios
from tests.chaos.outcome import Outcome, recovery, table
from tests.chaos.runner import Runner
from tests.chaos.scenario import Scenario
from tests.chaos.sites import one_broker


def parse() -> argparse.Namespace:
    """The command line; ends the program when it makes no sense."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these scenarios")
    parser.add_argument("--quick", action="store_true", help="short faults, and only the main scenarios")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--list", action="store_true", help="print the names and end")
    parser.add_argument(
        "--save", action="store_true", help="write bench/results/chaos.json; with --only, these rows of it"
    )
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the logs here")
    options = parser.parse_args()
    if options.keep is not None and options.keep.exists():
        parser.error(f"{options.keep} is there already: --keep needs a new directory")
    if options.save and options.quick:
        parser.error("--save is for faults at full length")
    return options


def chosen(options: argparse.Namespace) -> list[Scenario]:
    """The scenarios to run; ends the program when a name is unknown."""
    found = {scenario.name: scenario for scenario in scenarios()}
    if not options.only:
        return [scenario for scenario in found.values() if scenario.quick or not options.quick]
    unknown = [name for name in options.only if name not in found]
    if unknown:
        sys.exit(f"no such scenario: {', '.join(unknown)}; --list prints their names")
    return [found[name] for name in options.only]


def run(wanted: list[Scenario], options: argparse.Namespace, console: Console) -> list[Outcome]:
    """All of them, one after the other."""
    outcomes = []
    with ExitStack() as stack:
        directory = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos-")))
        shared = None
        if any(scenario.site is None and scenario.places.in_kafka for scenario in wanted):
            shared = stack.enter_context(one_broker(directory / "broker"))
        runner = Runner(directory, options.seed, quick=options.quick, shared=shared)
        for scenario in wanted:
            outcome = runner.run(scenario)
            outcomes.append(outcome)
            tell(outcome, console)
    return outcomes


def tell(outcome: Outcome, console: Console) -> None:
    """One line as soon as it is known, and what was wrong."""
    verdict = outcome.verdict
    console.print(
        f"{'right' if outcome.good else 'BAD  '} {outcome.name}: {outcome.times} times,"
        f" {verdict.windows} windows, {verdict.wrong} wrong, {verdict.doubled} doubled, {verdict.lost} lost,"
        f" recovery {recovery(outcome)} s, took {outcome.seconds:.0f} s",
        highlight=False,
        soft_wrap=True,
    )
    for problem in [*outcome.problems, *verdict.examples]:
        console.print(f"      {problem}", markup=False, highlight=False, soft_wrap=True)


def main() -> int:
    """Run, print, save; returns the exit code."""
    options = parse()
    wanted = chosen(options)
    if options.list:
        print("\n".join(f"{scenario.name:24} {scenario.title}" for scenario in wanted))
        return 0
    # Ends through every clean-up, as Ctrl-C does: nothing that was started here may outlive it.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    console = Console(stderr=True)
    console.print(f"seed {options.seed}", highlight=False)
    outcomes = run(wanted, options, console)
    Console(width=None if sys.stdout.isatty() else 150).print(table(outcomes))
    if options.save:
        found = {outcome.name: outcome.as_json() for outcome in outcomes}
        if options.only:
            amend("chaos", "outcomes", found, module="tests.chaos")
        else:
            save("chaos", {"seed": options.seed, "outcomes": list(found.values())}, module="tests.chaos")
    if all(outcome.good for outcome in outcomes):
        return 0
    print(f"repeat with --seed {options.seed}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
