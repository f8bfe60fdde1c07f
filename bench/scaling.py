"""Whether the cost of a record stays the same however much there is: ``python -m bench.scaling``.

Bounded runs of streamagg with two unmarshallers over generated records of about 100 bytes, along one
axis after the other, with the other axes at rest. Seconds and CPU seconds a million records, and the
highest resident memory of all processes together; the CPU of a run without records is taken off. Every
run is checked against plain sets. Topics are made for a point and deleted after it: the largest has
100 million records, about 12 GB.

Writes ``bench/results/scaling.json``, or with ``--axis`` some axes of it. With ``--quick`` a tenth of the
records and one round, of which the file then tells.
"""

import argparse
import json
import multiprocessing
import statistics
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from syslog import LOG_WARNING
from typing import Any, Final

import orjson
from confluent_kafka import Producer
from rich.console import Console

from bench.kafka import read_rows
from bench.measure import compare
from bench.scratch import RunFailed, Site, amend, is_quiet, save, site
from bench.work import answer, unique_users
from streamagg.model.settings import WindowSettings
from streamagg.tools.generate import GenerateSettings, records

RECORD_BYTES: Final = 100
MINUTE: Final = WindowSettings()
MILLION: Final = 1_000_000
FIGURES: Final = ("seconds_a_million", "cpu_seconds_a_million", "peak_mb")
TIMEOUT_S: Final = 1_800.0
OPS: Final = ("sum", "max", "avg", "last")
FIELDS: Final = ("bytes", "latency_ms", "price")
CALENDARS: Final = ("hour", "day", "week", "month", "year")
QUEUE_RECORDS: Final = 500_000
QUEUE_WAIT_S: Final = 0.01


@dataclass(frozen=True, slots=True)
class Point:
    """One place on an axis."""

    x: int
    made: GenerateSettings
    window: WindowSettings = MINUTE
    slots: int = 64
    partitions: int = 4
    asked: tuple[str, ...] = ()
    """Flags beside those of the windows."""

    def flags(self) -> list[str]:
        """Of ``streamagg run``."""
        window = self.window
        flags = ["--granularity", f"{window.granularity_ms}ms", "--max-lag", f"{window.max_lag_ms}ms"]
        return [*flags, "--max-jump", f"{window.max_jump_ms}ms", "--slots", str(self.slots), *self.asked]

    def smaller(self, times: int) -> "Point":
        """Fewer records over the same event time."""
        made = replace(self.made, count=self.made.count // times, rate=self.made.rate / times)
        return replace(self, x=made.count if self.x == self.made.count else self.x, made=made)


@dataclass(frozen=True, slots=True)
class Axis:
    """What grows, while everything else stays."""

    name: str
    title: str
    at_rest: str
    """What stays, in words."""
    points: tuple[Point, ...]


def small(count: int, **more: Any) -> GenerateSettings:
    """Small records, a tenth of them up to 5 s late; 10,000 to a second of event time."""
    settings = {"rate": 10_000, "size_bytes": RECORD_BYTES, "disorder": 0.1, "max_delay_s": 5} | more
    return GenerateSettings(count, **settings)


def records_axis() -> Axis:
    """More of the same."""
    points = (Point(count, small(count)) for count in (MILLION, 10 * MILLION, 100 * MILLION))
    return Axis("records", "records in the topic", "100,000 users, windows of a minute", tuple(points))


def windows_axis() -> Axis:
    """Every record falls into any of the open windows, each as likely as the others."""
    points = []
    for windows in (10, 100, 1_000):
        made = small(5 * MILLION, rate=2_000, disorder=1, max_delay_s=windows - 1)
        lag_ms = (windows - 1) * 1_000
        window = WindowSettings(1_000, max_lag_ms=lag_ms, max_jump_ms=lag_ms + 60_000)
        points.append(Point(windows, made, window, slots=2 * windows + 64))
    at_rest = "5 million records into 2,500 windows of a second, each record into any of those open"
    return Axis("windows", "windows open at once", at_rest, tuple(points))


def partitions_axis() -> Axis:
    """The same records, dealt out to more partitions."""
    points = (Point(number, small(5 * MILLION), partitions=number) for number in (1, 2, 4, 16, 64))
    return Axis("partitions", "partitions", "5 million records, 100,000 users", tuple(points))


def users_axis() -> Axis:
    """All in one window, which holds every user that occurs."""
    hour = WindowSettings(3_600_000, max_jump_ms=3_660_000)
    numbers = (100, 10_000, MILLION, 10 * MILLION)
    points = (Point(users, small(20 * MILLION, users=users), hour) for users in numbers)
    return Axis("users", "users to draw from", "20 million records in one window", tuple(points))


def groups_axis() -> Axis:
    """Every user is a group, so that a window has as many records to publish as users."""
    points = []
    for groups in (1, 100, 10_000, 100_000):
        made = small(5 * MILLION, users=groups, rate=20_000)
        points.append(Point(groups, made, asked=("--group-by", "uid", "--max-groups", str(2 * groups))))
    at_rest = "5 million records of as many users as groups, 1.2 million to a window of a minute"
    return Axis("groups", "groups in a window", at_rest, tuple(points))


def measures_axis() -> Axis:
    """More and more sums, averages, extremes and ends of three fields."""
    points = []
    for number in (1, 2, 4, 8, 16):
        ops = [f"m{n}={OPS[n % len(OPS)]}({FIELDS[n % len(FIELDS)]})" for n in range(number)]
        flags = tuple(word for op in ops for word in ("--measure", op))
        points.append(Point(number, visits(), asked=("--group-by", "country", *flags)))
    at_rest = "2 million records of 300 bytes, 200 groups, windows of a minute"
    return Axis("measures", "measures", at_rest, tuple(points))


def calendars_axis() -> Axis:
    """Longer and longer periods; each is open from the first record to the last."""
    points = []
    for number in range(1, len(CALENDARS) + 1):
        flags = tuple(word for calendar in CALENDARS[:number] for word in ("--calendar", calendar))
        points.append(Point(number, visits(), asked=("--group-by", "country", *flags)))
    at_rest = "2 million records of 300 bytes, 200 groups, windows of a minute, 100,000 users"
    return Axis("calendars", "calendars", at_rest, tuple(points))


def visits() -> GenerateSettings:
    """Records with fields to group by and to measure."""
    return small(2 * MILLION, size_bytes=300, visits=True)


AXES: Final = (
    records_axis(),
    windows_axis(),
    partitions_axis(),
    users_axis(),
    groups_axis(),
    measures_axis(),
    calendars_axis(),
)


def fill(bootstrap: str, topic: str, point: Point) -> None:
    """Generate the records of a point into its topic."""
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "linger.ms": 20,
            "enable.idempotence": True,
            "queue.buffering.max.messages": 2 * QUEUE_RECORDS,
            "delivery.report.only.error": True,
            # It remarks when it ends that nobody asked for reports.
            "log_level": LOG_WARNING,
        }
    )
    for chunk in records(point.made):
        # In turn, so that the partitions go through event time together.
        for partition in range(point.partitions):
            share = [{"value": record} for record in chunk[partition :: point.partitions]]
            if producer.produce_batch(topic, share, partition) != len(share):
                raise RunFailed("the producer refuses records")
        while len(producer) > QUEUE_RECORDS:
            producer.poll(QUEUE_WAIT_S)
    producer.flush()


def truth(point: Point) -> dict[int, int]:
    """Unique users by start of the window in seconds, from plain sets."""
    rows = (orjson.loads(record) for chunk in records(point.made) for record in chunk)
    return unique_users(rows, point.window.granularity_ms // 1_000)


def load(here: Site, topic: str, point: Point) -> dict[int, int]:
    """Fill the topic and meanwhile count the truth, which is returned."""
    # In processes of their own: the sets shall be gone when the runs are measured.
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        filling = pool.submit(fill, here.bootstrap, topic, point)
        counting = pool.submit(truth, point)
        filling.result()
        return counting.result()


def measure_point(here: Site, point: Point, rounds: int) -> dict[str, Any]:
    """Load the records and count them so many times."""
    starting = here.starting_cpu_seconds(point.partitions, *point.flags())
    runs = []
    with here.topics(point.partitions) as (topic,):
        expected = load(here, topic, point)
        for _ in range(rounds):
            run = _run(here, topic, point, expected, starting)
            runs.append(_run(here, topic, point, expected, starting) if run["disturbed"] else run)
    medians = {name: statistics.median(run[name] for run in runs) for name in FIGURES}
    return {
        "x": point.x,
        "records": point.made.count,
        "windows": len(expected),
        "right": all(run["right"] for run in runs),
        "disturbed": any(run["disturbed"] for run in runs),
        **medians,
        "runs": runs,
    }


def _run(
    here: Site, topic: str, point: Point, expected: dict[int, int], starting_cpu_seconds: float
) -> dict[str, Any]:
    with here.topics(1) as (output,):
        cost, path = here.until_end(topic, output, *point.flags(), timeout_s=TIMEOUT_S)
        verdict = compare(answer(read_rows(here.bootstrap, output), "plain"), expected)
    stats = json.loads(path.read_bytes())
    millions = point.made.count / MILLION
    complete = stats["counted"] == point.made.count
    return {
        "right": complete and verdict.right == verdict.windows and not verdict.extra,
        "disturbed": cost.is_disturbed,
        "seconds_a_million": stats["seconds"] / millions,
        "cpu_seconds_a_million": (cost.cpu_seconds - starting_cpu_seconds) / millions,
        "peak_mb": cost.peak_bytes / 1e6,
    }


def measure_axis(here: Site, axis: Axis, rounds: int, console: Console) -> dict[str, Any]:
    """All points of an axis, with a line for each."""
    console.print(f"{axis.title} ({axis.at_rest})")
    points = []
    for point in axis.points:
        found = measure_point(here, point, rounds)
        points.append(found)
        console.print(
            f"  {point.x:>11,}: {found['seconds_a_million']:.2f} s and {found['cpu_seconds_a_million']:.2f} "
            f"CPU s a million, {found['peak_mb']:.0f} MB, {'right' if found['right'] else 'WRONG'}"
        )
    return {"title": axis.title, "at_rest": axis.at_rest, "points": points}


def chosen(names: Sequence[str], quick: bool, most_records: int) -> list[Axis]:
    """The axes of these names, without the points that have too many records."""
    axes = []
    for axis in AXES:
        points = [point.smaller(10) if quick else point for point in axis.points]
        kept = tuple(point for point in points if point.made.count <= most_records)
        if axis.name in names:
            axes.append(replace(axis, points=kept))
    return axes


def main() -> int:
    """Parse the command line and measure; returns 1 when a run counted wrong."""
    names = [axis.name for axis in AXES]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bootstrap-servers", help="a broker that runs; otherwise the benchmark's own")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--axis", action="append", choices=names, help="only these")
    parser.add_argument(
        "--most-records", type=int, default=sys.maxsize, help="no larger points; writes nothing"
    )
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    partial = given.most_records < sys.maxsize
    axes = chosen(given.axis or names, given.quick, given.most_records)
    rounds = 1 if given.quick else given.rounds
    console = Console()
    if not partial and not is_quiet(console.print):
        return 1
    with tempfile.TemporaryDirectory() as name, site(given.bootstrap_servers, Path(name)) as here:
        measured = {axis.name: measure_axis(here, axis, rounds, console) for axis in axes}
    points = [point for axis in measured.values() for point in axis["points"]]
    if any(point["disturbed"] for point in points):
        console.print("No results are written: something else used the machine meanwhile.")
    elif not partial and given.axis is None:
        save("scaling", {"axes": measured})
    elif not partial:
        amend("scaling", "axes", measured)
    return 0 if all(point["right"] for point in points) else 1


if __name__ == "__main__":
    sys.exit(main())
