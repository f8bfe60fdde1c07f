"""What so many records a second take, from what one took here: ``python -m bench.flink.cost --price 0.04``.

Linear: a core does what one of two did here. ``run`` by the tables of the topics, with starting; ``flink`` by
its profile, without starting and Java's compilers, which a job that stays has behind it.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bench.flink.sampled import COMPILERS, OTHERS
from bench.goals import OURS
from bench.results import Results, read_results
from bench.scratch import RESULTS
from bench.table import markdown

RATES: Final = (1_000_000, 10_000_000, 100_000_000)
HOURS: Final = 730
"""Of a month."""
PRICE: Final = 0.04
USED: Final = 0.6
TOPICS: Final = ("large-4", "small-4")
PROFILE: Final = "flink-profile"
BEGINNING: Final = {OTHERS, COMPILERS}
"""Of the profile, what a job that stays does no more."""
HEADINGS: Final = (
    "records/s",
    "of",
    "by",
    "µs",
    "GB/s read",
    "cores",
    "cores of brokers",
    "a month",
)


@dataclass(frozen=True, slots=True)
class Terms:
    """What is assumed."""

    price: float = PRICE
    """Of a core for an hour, in dollars."""
    used: float = USED
    """Of a core on average: the rest is for peaks, and to catch up after a stop."""

    def cores(self, rate: int, us_a_record: float) -> float:
        """How many cores it takes."""
        return rate * us_a_record / 1e6 / self.used

    def month(self, cores: float) -> float:
        """What they cost."""
        return cores * self.price * HOURS


def of_flink(profile: Mapping[str, Any], record_bytes: int) -> float:
    """CPU µs a record of that size."""
    topic = next(each for each in profile["topics"] if each["record_bytes"] == record_bytes)
    parts = (part for part in topic["parts"] if part["task"] not in BEGINNING)
    return sum(float(part["us_a_record"]) for part in parts)


def lines(measured: Results, profile: Mapping[str, Any], terms: Terms) -> Iterator[list[str]]:
    """Of the records of one topic."""
    size, row = measured.record_bytes, measured.row(OURS)
    assert row is not None
    brokers = row.broker_cpu_per_million
    engines = {"`run`": row.cpu_per_million, "`flink`": of_flink(profile, size)}
    for rate in RATES:
        for engine, us in engines.items():
            cores = terms.cores(rate, us)
            yield [
                f"{rate:,}",
                f"{size / 1_000:g} KB" if size >= 1_000 else f"{size} bytes",
                *(engine, f"{us:.1f}", f"{rate * size / 1e9:,.1f}", f"{cores:,.0f}"),
                f"{terms.cores(rate, brokers):,.0f}",
                f"${terms.month(cores):,.0f}",
            ]


def table(measured: Sequence[Results], profile: Mapping[str, Any], terms: Terms) -> str:
    """In Markdown, of ``TOPICS``. ``profile``: the file of results."""
    rows = [line for topic in measured for line in lines(topic, profile, terms)]
    return markdown(HEADINGS, rows, numbers=(0, 3, 4, 5, 6, 7))


def main() -> int:
    """Print the table for other terms."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.flink.cost",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--price", type=float, default=PRICE, help="of a core for an hour")
    parser.add_argument("--used", type=float, default=USED, help="of a core on average, 0 to 1")
    given = parser.parse_args()
    measured = [read_results(RESULTS / f"{name}.json") for name in TOPICS]
    profile = json.loads((RESULTS / f"{PROFILE}.json").read_bytes())
    sys.stdout.write(table(measured, profile, Terms(given.price, given.used)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
