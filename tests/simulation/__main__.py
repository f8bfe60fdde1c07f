"""Plays seeds, replays one, or shows that deliberate defects are found.

``python -m tests.simulation --seeds N [--first M]``, ``--seed N``, ``--mutants``, ``--fast-clocks``
"""

import argparse
import sys
from os import cpu_count

from tests.simulation import fast_clocks, many


def main(arguments: list[str] | None = None) -> int:
    """Returns 1 if anything differs, or a mutant lives."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1_000, help="how many to play")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--seed", type=int, help="replay this one and print what happens")
    parser.add_argument("--mutants", action="store_true", help="how many seeds find each deliberate defect")
    parser.add_argument("--fast-clocks", action="store_true", help="what fast clocks do, by rule: a table")
    parser.add_argument("--processes", type=int, default=cpu_count() or 1)
    chosen = parser.parse_args(arguments)
    if chosen.fast_clocks:
        print(*fast_clocks.table(), sep="\n")
        return 0
    if chosen.seed is not None:
        return many.replay(chosen.seed)
    with many.pool(chosen.processes) as pool:
        if chosen.mutants:
            return many.show_mutants(pool)
        return many.play(pool, range(chosen.first, chosen.first + chosen.seeds))


if __name__ == "__main__":
    sys.exit(main())
