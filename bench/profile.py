"""Where each microsecond of a record goes, from broker to published count: ``python -m bench.profile``.

Samples a run of streamagg over the loaded topics with ``perf`` (Debian: linux-perf), and one over a topic
without records, whose samples are taken off: they are what starting costs. Writes
``bench/results/profile.json``. With ``--quick`` it takes the tenth of each topic and writes nothing.
"""

import argparse
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from rich.console import Console

from bench.scratch import DIRECTORY, Site, is_quiet, run_of_streamagg, save, site, succeed
from bench.topics import LOADS
from bench.topics import load as load_topic

HERTZ: Final = 997
"""Not a multiple of anything that happens at regular times."""
TOPICS: Final = ("large-4", "small-4")
COORDINATOR, UNMARSHALLERS, AGGREGATOR, BROKER = "coordinator", "unmarshallers", "aggregator", "broker"


Seconds = dict[tuple[str, str], float]
"""CPU by process and part of its work."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Where a thread was when it was looked at."""

    pid: int
    thread: str
    library: str
    function: str


LINE: Final = re.compile(
    r"\s*(?P<thread>\S.*?)\s+(?P<pid>\d+)/\d+\s+[0-9a-f]+ (?P<function>.+) \((?P<path>[^()]*)\)\s*"
)


def parse(script: str) -> list[Sample]:
    """Lines ``thread pid/tid address function (library)`` of ``perf script``."""
    found = [match for line in script.splitlines() if (match := LINE.fullmatch(line))]
    return [
        Sample(int(match["pid"]), match["thread"], match["path"].rpartition("/")[2], match["function"])
        for match in found
    ]


def seconds_by_part(samples: Iterable[Sample]) -> Seconds:
    """CPU seconds by process and part of its work."""
    samples = list(samples)
    # In the order in which they are started.
    pids = sorted({sample.pid for sample in samples})
    found: Counter[tuple[str, str]] = Counter()
    for sample in samples:
        if sample.pid == pids[0]:
            place = COORDINATOR, _of_coordinator(sample)
        elif sample.pid == pids[-1]:
            place = AGGREGATOR, "all of it"
        else:
            place = UNMARSHALLERS, _of_unmarshaller(sample)
        found[place] += 1
    return {place: count / HERTZ for place, count in found.items()}


def _of_coordinator(sample: Sample) -> str:
    if sample.thread.startswith("rdk:") or sample.library.startswith("librdkafka"):
        return "publishing, in librdkafka"
    if "kernel" in sample.library:
        return "kernel: links, waiting"
    return "sequencer, leases, publishing: interpreter and numpy"


def _of_unmarshaller(sample: Sample) -> str:
    if sample.thread.startswith("rdk:"):
        if "kernel" in sample.library:
            return "fetching: kernel, copying from the socket"
        return "fetching: CRC" if "crc32" in sample.function else "fetching: cutting responses into records"
    if sample.library.startswith("_scanner"):
        return "scanning JSON, hashing users"
    if sample.library.startswith(("_fetcher", "librdkafka")) or "vdso" in sample.library:
        return "taking records from the queue, giving them back"
    if "kernel" in sample.library:
        return "kernel: links, memory, waiting"
    if "memmove" in sample.function or "memcpy" in sample.function:
        return "copying payloads"
    return "interpreter and numpy"


def profile(place: Site, topic: str) -> tuple[Seconds, float]:
    """CPU seconds of one run by process and part, and those of the broker; raises RunFailed."""
    with place.topics(1) as (output,):
        data, log = place.directory / "perf.data", place.directory / "perf.log"
        run = run_of_streamagg(place.bootstrap, topic, output, "--group", output, "--until-end")
        record = ["perf", "record", "-q", "-F", str(HERTZ), "-e", "cpu-clock", "-o", str(data), "--", *run]
        cost = succeed(record, log, broker_pid=place.broker_pid)
    script = ["perf", "script", "-F", "comm,pid,tid,ip,sym,dso", "-i", str(data)]
    text = subprocess.run(script, check=True, capture_output=True, text=True, errors="replace").stdout
    data.unlink()
    return seconds_by_part(parse(text)), cost.broker_cpu_seconds


def microseconds(found: Seconds, start: Seconds, records: int) -> list[dict[str, Any]]:
    """Rows of process, part and µs a record without what starting costs, greatest first in each process."""
    rows = [
        {
            "process": process,
            "part": part,
            "us_a_record": max(0.0, seconds - start.get((process, part), 0.0)) / records * 1e6,
        }
        for (process, part), seconds in found.items()
    ]
    order = [BROKER, UNMARSHALLERS, COORDINATOR, AGGREGATOR]
    return sorted(rows, key=lambda row: (order.index(row["process"]), -row["us_a_record"]))


def _measure(place: Site, name: str, quick: bool, console: Console) -> dict[str, Any]:
    load = LOADS[name].tenth() if quick else LOADS[name]
    topic = load_topic(load, place.bootstrap, DIRECTORY, console.print).topic
    with place.topics(topic.partitions) as (empty,):
        start, broker_start = profile(place, empty)
    found, broker = profile(place, topic.name)
    found[BROKER, "all of it"] = broker
    start[BROKER, "all of it"] = broker_start
    rows = microseconds(found, start, topic.records)
    for row in rows:
        console.print(f"{row['process']:14} {row['part']:55} {row['us_a_record']:6.3f} µs")
    ours = sum(seconds for (process, _), seconds in start.items() if process != BROKER)
    return {
        "topic": name,
        "record_bytes": topic.record_bytes,
        "records": topic.records,
        "starting_cpu_seconds": ours,
        "parts": rows,
    }


def main() -> int:
    """Sample, print, write."""
    parser = argparse.ArgumentParser(prog="python -m bench.profile", description=__doc__)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    console = Console(stderr=True, soft_wrap=True)
    if shutil.which("perf") is None:
        console.print(
            "perf is not installed (Debian: apt install linux-perf): there is nothing to sample with."
        )
        return 1
    if not given.quick and not is_quiet(console.print):
        return 1
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    with site(None, DIRECTORY) as place:
        topics = [_measure(place, name, given.quick, console) for name in TOPICS]
    if not given.quick:
        save("profile", {"topics": topics})
    return 0


if __name__ == "__main__":
    sys.exit(main())
