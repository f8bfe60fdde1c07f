"""The acceptance of counts at full size, on a broker that runs: ``python -m bench.acceptance``.

1. Generated records in 1, 4 and 8 partitions: every shape of the pipeline publishes the same bytes, an
   independent recount agrees with them, and ``count`` on the file gives those of one partition.
2. The process group is killed again and again while records keep coming, and goes on with another number
   of aggregators: a ``read_committed`` reader sees every window once, with the recounted value.

All of it twice: the users of records of 1,000 seconds; and those of visits of a day on which Berlin's clock
is put forward, and the hours before, by country and section, with measures, by window, hour and day.

Prints a table; exits with 4 if anything differs. ``--quick`` takes 50,000 records. Topics stay behind.
"""

import argparse
import itertools
import random
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from streamagg.model.settings import CalendarSettings, DecodeSettings, MeasureSettings, WindowSettings
from tests.support.pipeline import QUICK_GROUP, Run, lines

FULL = list(itertools.product((1, 2, 4), (1, 2, 3)))
SOME = [(1, 1), (2, 1), (4, 3)]
SECONDS_A_KILL = 6
"""Until the killed member's session has ended, its successor leads, and something is published."""


@dataclass(frozen=True, slots=True)
class Work:
    """What is counted, of which records."""

    name: str
    window: WindowSettings
    decode: DecodeSettings
    seconds: int
    """Of event time that the records take; with them every period ends, so that nothing stays open."""
    made: tuple[str, ...] = ()
    """More flags of ``generate``."""


USERS = Work("users", WindowSettings(), DecodeSettings(), 1_000)
VISITS = Work(
    "visits",
    WindowSettings(
        600_000,
        max_jump_ms=120_000,
        calendars=(CalendarSettings("hour", 3_600_000), CalendarSettings("day", 86_400_000)),
        time_zone="Europe/Berlin",
    ),
    DecodeSettings(
        group_by=("country", "page.section"),
        measures=(
            MeasureSettings("bytes", "sum", "bytes"),
            MeasureSettings("slowest", "max", "latency_ms"),
            MeasureSettings("price", "last", "price"),
        ),
    ),
    # From half past ten in the evening in Berlin to the end of the next day, which has 23 hours.
    88_200,
    ("--visits", "--start", "2026-03-28T21:30:00Z", "--disorder", "0.05", "--corrupt", "0.001"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One run and what came of it."""

    what: str
    records: int
    seconds: float
    published: int
    verdict: str

    @property
    def good(self) -> bool:
        return self.verdict.startswith("same")


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Where to work, and on how much."""

    work: Work
    bootstrap: str
    directory: Path
    records: int
    kills: int
    seed: int
    told: Callable[[Row], None]

    @property
    def file(self) -> Path:
        return self.directory / f"{self.work.name}.jsonl"

    def generate(self) -> None:
        rate = str(self.records / self.work.seconds)
        verb("generate", "--count", str(self.records), "--rate", rate, *self.work.made, "-o", str(self.file))

    def run_on(self, partitions: int) -> Run:
        """A run on topics that nobody else uses, still empty."""
        name = f"acceptance-{uuid.uuid4().hex[:8]}"
        topics = f"{name}-in{partitions}", f"{name}-out"
        return Run(self.bootstrap, *topics, self.directory, self.work.window, self.work.decode)

    def tell(self, what: str, records: int, seconds: float, published: int, verdict: str) -> None:
        self.told(Row(f"{self.work.name}: {what}", records, seconds, published, verdict))

    def replay(self, run: Run, partitions: int, *more: str) -> "subprocess.Popen[bytes]":
        """Sends the file into the input topic, which it creates."""
        flags = ["--bootstrap-servers", self.bootstrap, "--topic", run.input, "--partitions", str(partitions)]
        flags += ["--raw"]  # Broken records may be no text.
        return subprocess.Popen(command("replay", str(self.file), *flags, *more), stderr=subprocess.DEVNULL)

    def shapes(self, partitions: int, shapes: list[tuple[int, int]]) -> list[bytes]:
        """Run in every shape; returns what was published, the same each time or a row says otherwise."""
        first = self.run_on(partitions)
        if self.replay(first, partitions).wait():
            sys.exit("replay failed")
        flags = [("--unmarshallers", str(u), "--aggregators", str(a)) for u, a in shapes]
        expected: list[bytes] | None = None
        for number, shape in enumerate([*flags, ("--inline",)]):
            run = first.on(f"{first.output}-{number}")
            stats = run.until_end(*shape)
            published = run.published()
            if expected is None:
                expected, verdict = published, self.verdict(run)
            else:
                verdict = "same as the first" if published == expected else "DIFFERS from the first"
            what = f"{partitions} partitions, {' '.join(shape)}"
            self.tell(what, stats["records"], stats["seconds"], len(published), verdict)
        return expected or []

    def count_file(self, expected: list[bytes]) -> None:
        """``count`` on the file, compared with what was published from one partition."""
        began = time.monotonic()
        flags = ("--format", "jsonl", "--as-run", *self.run_on(1).rules())
        counted = subprocess.run(
            command("count", str(self.file), *flags), capture_output=True, check=True
        ).stdout
        verdict = (
            "same bytes as one partition" if counted == lines(expected) else "DIFFERS from one partition"
        )
        seconds = time.monotonic() - began
        self.tell("count on the file", self.records, seconds, counted.count(b"\n"), verdict)

    def survive(self, partitions: int = 4) -> None:
        """Kill the process group at random moments while records keep coming."""
        chance = random.Random(self.seed)
        run = self.run_on(partitions)
        rate = self.records // (self.kills * SECONDS_A_KILL)
        began = time.monotonic()
        feeding = self.replay(run, partitions, "--rate", f"{rate}/s")
        try:
            time.sleep(1)
            for number in range(self.kills):
                run.kill_at_random(chance, "--aggregators", str(number % 3 + 1))
        finally:
            feeding.wait()
        run.until_end(*QUICK_GROUP)
        what = f"{partitions} partitions, killed {self.kills} times (--seed {self.seed})"
        seconds = time.monotonic() - began
        self.tell(what, self.records, seconds, len(run.published()), self.verdict(run))

    def all(self, shapes: list[tuple[int, int]]) -> None:
        """Everything; from four partitions in these shapes."""
        self.generate()
        self.shapes(4, shapes)
        self.count_file(self.shapes(1, SOME))
        self.shapes(8, SOME)
        self.survive()

    @staticmethod
    def verdict(run: Run) -> str:
        found = run.verify()
        if found.differences:
            return f"DIFFERS from the recount: {found.differences[0]}"
        return f"same as the recount, {found.matching:,} records"


def command(*words: str) -> list[str]:
    """A verb of streamagg as a command line."""
    return [sys.executable, "-m", "streamagg", *words]


def verb(*words: str) -> None:
    """Run a verb; it must succeed."""
    subprocess.run(command(*words), check=True)


def main() -> int:
    """Parse the command line, run everything, print the table; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bootstrap-servers", default="127.0.0.1:19092")
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--quick", action="store_true", help="50,000 records, fewer shapes, 3 kills")
    options = parser.parse_args()
    records, kills = (50_000, 3) if options.quick else (options.records, options.kills)
    rows: list[Row] = []
    console = Console(stderr=True)

    def told(row: Row) -> None:
        rows.append(row)
        console.print(f"{row.what}: {row.verdict}")

    with tempfile.TemporaryDirectory(prefix="acceptance-") as directory:
        for work in (USERS, VISITS):
            acceptance = Acceptance(
                work, options.bootstrap_servers, Path(directory), records, kills, options.seed, told
            )
            acceptance.all(SOME if options.quick else FULL)
    print_table(rows)
    return 0 if all(row.good for row in rows) else 4


def print_table(rows: list[Row]) -> None:
    """One line a run."""
    table = Table("run", "records", "seconds", "published", "outcome")
    for row in rows:
        table.add_row(row.what, f"{row.records:,}", f"{row.seconds:.1f}", f"{row.published:,}", row.verdict)
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())
