"""What is asked in pairs of runs, as two runs of one kind differ by more: ``python -m bench.pairs``.

What exactly-once costs beside at-least-once, how fast one partition is read beside four, and what groups with
measures and what calendars cost. Two runs to the end of a topic make a pair, and every other pair is run
backwards. The median of all pairs stands beside an
interval that holds the true one with a probability of 95 %. Writes ``bench/results/pairs.json``; with
``--quick`` it runs two pairs of each and writes nothing.
"""

import json
import math
import statistics
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from bench.contenders.streamagg import GROUPED
from bench.scratch import DIRECTORY, Site, main_of
from bench.topics import LOADS, Told
from bench.topics import load as load_topic

FOUR, ONE, VISITS = "large-4", "large-1", "grouped"
PERIODS: Final = ("--calendar", "hour", "--calendar", "day")
QUICK_PAIRS: Final = 2


class Kind(NamedTuple):
    """One run of a pair."""

    topic: str
    flags: tuple[str, ...]


class Question(NamedTuple):
    """How many times as long the first takes as the second."""

    name: str
    pairs: int
    kinds: dict[str, Kind]


QUESTIONS: Final = (
    Question(
        "delivery",
        20,
        {
            "exactly-once": Kind(FOUR, ("--delivery", "exactly-once")),
            "at-least-once": Kind(FOUR, ("--delivery", "at-least-once")),
        },
    ),
    Question("partitions", 10, {"4 partitions": Kind(FOUR, ()), "1 partition": Kind(ONE, ())}),
    Question("groups", 10, {"plain": Kind(VISITS, ()), "by page": Kind(VISITS, GROUPED)}),
    Question(
        "calendars", 10, {"minutes": Kind(VISITS, ()), "minutes, hours and days": Kind(VISITS, PERIODS)}
    ),
    Question(
        "calendars-grouped",
        10,
        {
            "minutes by page": Kind(VISITS, GROUPED),
            "minutes, hours and days by page": Kind(VISITS, (*GROUPED, *PERIODS)),
        },
    ),
)


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


def seconds_of(place: Site, topic: str, flags: Sequence[str]) -> float:
    """From the first fetch to the last window; raises RunFailed."""
    with place.topics(1) as (output,):
        _, stats = place.until_end(topic, output, "--log-level", "warning", *flags)
    return float(json.loads(stats.read_bytes())["seconds"])


def ask(place: Site, question: Question, topics: Mapping[str, str], pairs: int) -> dict[str, Any]:
    """Seconds of both kinds, pair by pair, and how many times as long the first takes."""
    seconds: dict[str, list[float]] = {name: [] for name in question.kinds}
    for number in range(pairs):
        names = list(question.kinds)
        for name in names if number % 2 else reversed(names):
            kind = question.kinds[name]
            seconds[name].append(seconds_of(place, topics[kind.topic], kind.flags))
    times = [first / second for first, second in zip(*seconds.values(), strict=True)]
    low, high = interval(times)
    return {"seconds": seconds, "times": statistics.median(times), "low": low, "high": high}


def measure(place: Site, quick: bool, told: Told) -> dict[str, Any]:
    """All questions, by name."""
    topics = {
        name: load_topic(LOADS[name], place.bootstrap, DIRECTORY, told).topic.name
        for name in (FOUR, ONE, VISITS)
    }
    return {
        question.name: ask(place, question, topics, QUICK_PAIRS if quick else question.pairs)
        for question in QUESTIONS
    }


if __name__ == "__main__":
    sys.exit(main_of("pairs", __doc__, measure))
