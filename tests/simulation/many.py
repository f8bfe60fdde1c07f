"""Many seeds and all mutants, on all cores; one seed with everything that happens."""

import logging
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Final

from tests.simulation.mutants import MUTANTS, Caught, hunt
from tests.simulation.world import Result, simulate

_BATCH: Final = 50


@contextmanager
def pool(processes: int) -> Iterator[ProcessPoolExecutor]:
    """Processes to play in; what is not begun when it is left is not played."""
    executor = ProcessPoolExecutor(processes, get_context("spawn"), initializer=_quiet)
    try:
        yield executor
    finally:
        executor.shutdown(cancel_futures=True)


def _quiet() -> None:
    """Warnings about what dies are no news here."""
    logging.disable()


def replay(seed: int) -> int:
    """Play one seed and print every event."""
    _quiet()
    result = simulate(seed, print)
    print(f"seed {seed}: {result.records} records, {result.windows} windows, {result.crashes} crashes")
    for difference in result.differences:
        print(f"DIFFERENCE {difference}")
    return bool(result.differences)


def play(on: ProcessPoolExecutor, seeds: range) -> int:
    """Play all seeds, print totals and how to replay what differs."""
    began = time.monotonic()
    results: list[Result] = []
    jobs = [on.submit(_play_batch, seeds[at : at + _BATCH]) for at in range(0, len(seeds), _BATCH)]
    for job in jobs:
        played = job.result()
        results += played
        for result in played:
            if result.differences:
                print(f"seed {result.seed}: {result.differences[0]}")
                print(f"  replay: python -m tests.simulation --seed {result.seed}", flush=True)
    took = time.monotonic() - began
    wrong = sum(bool(result.differences) for result in results)
    print(
        f"{len(results)} seeds, {sum(r.records for r in results)} records, "
        f"{sum(r.windows for r in results)} windows, {sum(r.periods for r in results)} periods, "
        f"{sum(r.crashes for r in results)} crashes, "
        f"{sum(r.recalls for r in results)} recalls of groups, "
        f"{sum(r.broken_recalls for r in results)} of them broken off, "
        f"{wrong} seeds with differences, {took:.0f} s ({len(results) / took:.0f} seeds/s)"
    )
    return bool(wrong)


def _play_batch(seeds: range) -> list[Result]:
    return [simulate(seed) for seed in seeds]


def show_mutants(on: ProcessPoolExecutor) -> int:
    """Print a table: mutant, seeds until it was found, what found it."""
    print("| mutant | found by seed | what differed |\n|---|---|---|")
    alive = 0
    for mutant, found in zip(MUTANTS, on.map(_hunt, range(len(MUTANTS))), strict=True):
        alive += found is None
        row = (
            f"{found.seeds} | {found.difference.partition(':')[0]}" if found else f"not in {mutant.within} |"
        )
        print(f"| {mutant.name} | {row} |", flush=True)
    return bool(alive)


def _hunt(number: int) -> Caught | None:
    return hunt(mutant := MUTANTS[number], range(mutant.within))
