"""What exactly-once costs beside at-least-once: ``python -m bench.delivery``.

Two runs to the end of a topic, one of each kind, make a pair; every other pair is run backwards. Two runs of
one kind differ by more than what is asked for, so there are many pairs, and their median stands beside an
interval that holds the true one with a probability of 95 %. Writes ``bench/results/delivery.json``; with
``--quick`` it runs three pairs on the large records and writes nothing.
"""

import argparse
import json
import math
import statistics
import sys
from collections.abc import Sequence
from typing import Any, Final

from rich.console import Console

from bench.scratch import DIRECTORY, Site, is_quiet, save, site
from bench.topics import LOADS
from bench.topics import load as load_topic

TOPICS: Final = ("large-4", "small-4")
KINDS: Final = ("exactly-once", "at-least-once")
PAIRS: Final = 20
QUICK_PAIRS: Final = 3


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Two of the values, between which their true median lies with a probability of 95 % or more.

    By the binomial distribution of how many values lie below it (as in W. J. Conover, Practical Nonparametric
    Statistics, 3.2); of fewer than six values, the least and the greatest.
    """
    ordered, below, rank = sorted(values), 0.0, 0
    while rank < len(ordered) // 2:
        below += math.comb(len(ordered), rank) / 2 ** len(ordered)
        if below > 0.025:
            break
        rank += 1
    outermost = max(0, rank - 1)
    return ordered[outermost], ordered[-1 - outermost]


def seconds_of(place: Site, topic: str, kind: str) -> float:
    """From the first fetch to the last window; raises RunFailed."""
    with place.topics(1) as (output,):
        _, stats = place.until_end(topic, output, "--delivery", kind, "--log-level", "warning")
    return float(json.loads(stats.read_bytes())["seconds"])


def measure(place: Site, topic: str, pairs: int) -> dict[str, Any]:
    """Seconds of both kinds, pair by pair, and what the first costs, in percent."""
    seconds: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for number in range(pairs):
        for kind in KINDS if number % 2 else KINDS[::-1]:
            seconds[kind].append(seconds_of(place, topic, kind))
    costs = [100 * (once / least - 1) for once, least in zip(*seconds.values(), strict=True)]
    low, high = interval(costs)
    return {"seconds": seconds, "cost": statistics.median(costs), "low": low, "high": high}


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    console = Console(stderr=True, soft_wrap=True)
    if not given.quick and not is_quiet(console.print):
        return 1
    topics, pairs = (TOPICS[:1], QUICK_PAIRS) if given.quick else (TOPICS, PAIRS)
    found = {}
    with site(None, DIRECTORY) as place:
        for name in topics:
            loaded = load_topic(LOADS[name], place.bootstrap, DIRECTORY, console.print)
            found[name] = measure(place, loaded.topic.name, pairs)
            found[name]["record_bytes"] = loaded.topic.record_bytes
            console.print_json(json.dumps(found[name]))
    if not given.quick:
        save("delivery", {"topics": found})
    return 0


if __name__ == "__main__":
    sys.exit(main())
