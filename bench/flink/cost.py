"""What so many records a second take, from what one took here: ``python -m bench.flink.cost --price 0.04``.

Linear: a core does what one of two did here. Marginal costs of a record, without what starting costs.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from bench.flink.speed import APART, Pair, pairs
from bench.scratch import RESULTS
from bench.table import markdown

RATES: Final = (1_000_000, 10_000_000, 100_000_000)
HOURS: Final = 730
"""Of a month."""
PRICE: Final = 0.04
USED: Final = 0.6
FILES: Final = ("flink-large", "flink-small")
ENGINES: Final = {"streamagg-2": "`run`", APART.name: "`flink`", "flink-sql-eos": "Flink SQL"}
HEADINGS: Final = ("records/s", "of", "by", "GB/s read", "cores", "cores of brokers", "a month")


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


def lines(found: Mapping[str, Any], terms: Terms) -> Iterator[list[str]]:
    """Of one size of records. ``found``: a file of results."""
    size = found["record_bytes"]
    for rate in RATES:
        for pair in pairs(found):
            if pair.full.name in ENGINES:
                yield _line(rate, size, pair, terms)


def _line(rate: int, size: int, pair: Pair, terms: Terms) -> list[str]:
    cores = terms.cores(rate, pair.cpu_us_a_record)
    brokers = terms.cores(rate, pair.broker_us_a_record)
    return [
        f"{rate:,}",
        f"{size / 1_000:g} KB" if size >= 1_000 else f"{size} bytes",
        ENGINES[pair.full.name],
        f"{rate * size / 1e9:,.1f}",
        f"{cores:,.0f}",
        f"{brokers:,.0f}",
        f"${terms.month(cores):,.0f}",
    ]


def table(measured: list[Mapping[str, Any]], terms: Terms) -> str:
    """In Markdown."""
    rows = [line for found in measured for line in lines(found, terms)]
    return markdown(HEADINGS, rows, numbers=(0, 3, 4, 5, 6))


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
    measured = [json.loads((RESULTS / f"{name}.json").read_bytes()) for name in FILES]
    sys.stdout.write(table(measured, Terms(given.price, given.used)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
