"""A long run under load: a fault every half minute, a sample every minute, every window compared at the end.

Exits with 1 when a single value differs or something grows. Runs of half an hour and more write
``bench/results/soak.json``, shorter ones print only.
"""

import argparse
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Final

from rich.console import Console

from bench.scratch import save
from tests.chaos.outcome import Verdict
from tests.chaos.scenario import Scenario
from tests.chaos.sites import one_broker
from tests.soak.lasting import KILLING, SPARING, Lasting, deck, lasting_world
from tests.soak.samples import Sample, Sampler
from tests.soak.verdict import MEGABYTE, Hit, SoakResult, lines_of, table

LONG_MINUTES: Final = 30.0


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--sample-every", type=float, default=60, metavar="S")
    parser.add_argument("--fault-every", type=float, default=30, metavar="S")
    parser.add_argument("--rate", type=int, default=1_000, help="records a second")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the logs here")
    return parser.parse_args()


def drawn(chance: Random, half_at: float) -> Iterator[Scenario]:
    """Faults without end; from the second half on none that kills a process of streamagg."""
    while True:
        killing = () if time.monotonic() > half_at else KILLING
        for scenario in deck((*killing, *SPARING), chance):
            # The half may end within a round.
            if scenario.name in SPARING or time.monotonic() <= half_at:
                yield scenario


def break_things(world: Lasting, options: argparse.Namespace, chance: Random, console: Console) -> list[Hit]:
    """One fault after the other until the time is over."""
    began = time.monotonic()
    end = began + 60 * options.minutes
    hits: list[Hit] = []
    for number, scenario in enumerate(drawn(chance, began + 30 * options.minutes), 1):
        due = began + number * options.fault_every
        if due > end - options.fault_every:
            break
        time.sleep(max(0.0, due - time.monotonic()))
        if time.monotonic() > end - options.fault_every:
            break
        hit = strike(world, scenario, chance, (time.monotonic() - began) / 60)
        hits.append(hit)
        recovered = ", ".join(f"{seconds:.1f} s" for seconds in hit.recoveries_s)
        console.print(f"{hit.minute:6.1f} min  {hit.title}: {hit.times} times, {recovered}", highlight=False)
    time.sleep(max(0.0, end - time.monotonic()))
    return hits


def strike(world: Lasting, scenario: Scenario, chance: Random, minute: float) -> Hit:
    """One fault; when it goes wrong the run goes on, and is not good."""
    before, times = len(world.recoveries_s), 0
    try:
        times = scenario.run(world, chance)
    except Exception as error:
        world.problems.append(
            f"minute {minute:.1f}, {scenario.name}: {type(error).__name__}: {error}"[:2_000]
        )
    return Hit(minute, scenario.name, scenario.title, times, tuple(world.recoveries_s[before:]))


def run(options: argparse.Namespace, console: Console) -> SoakResult:
    """The whole of it."""

    def told(sample: Sample) -> None:
        memory = ", ".join(
            f"{role} {usage.resident_bytes / MEGABYTE:.0f}" for role, usage in sample.usage.items()
        )
        console.print(
            f"{sample.minute:6.1f} min  MB: {memory}; lag {sample.lag_records}, {sample.published} windows",
            highlight=False,
            soft_wrap=True,
        )

    with ExitStack() as stack:
        directory = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-")))
        chance = Random(options.seed)
        site = stack.enter_context(one_broker(directory / "broker"))
        world = lasting_world(site, directory, options.rate, Random(chance.random()))
        stack.callback(world.close)
        world.begin()
        world.start_instance()
        world.wait_for_windows()
        with Sampler(world, options.sample_every, told) as sampler:
            hits = break_things(world, options, chance, console)
        verdict: Verdict = world.judge()
        world.problems += [
            f"partition {p}: records came twice, or not at all" for p in world.topic_feeder.mistaken()
        ]
    lines, unjudged = lines_of(sampler.samples)
    failed = [f"sampling failed: {error!r}" for error in sampler.failed]
    return SoakResult(hits, verdict, lines, sampler.samples, [*world.problems, *unjudged, *failed])


def main() -> int:
    """Run, print, save; returns the exit code."""
    options = parse()
    # Whatever ends the run, instances and broker end with it.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    console = Console(stderr=True)
    console.print(f"seed {options.seed}", highlight=False)
    found = run(options, console)
    Console(width=None if sys.stdout.isatty() else 120).print(table(found.lines))
    verdict = found.verdict
    print(
        f"{sum(hit.times for hit in found.hits)} faults, {verdict.windows} windows: {verdict.wrong} wrong,"
        f" {verdict.doubled} doubled, {verdict.lost} lost; {'good' if found.good else 'BAD'}"
    )
    for problem in [*found.problems, *verdict.examples]:
        print(f"  {problem}")
    if options.minutes >= LONG_MINUTES:
        shape = {"minutes": options.minutes, "rate": options.rate, "seed": options.seed}
        save("soak", {**shape, **found.as_json()}, module="tests.soak")
    if found.good:
        return 0
    print(f"repeat with --seed {options.seed}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
