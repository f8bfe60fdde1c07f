"""What a measurement needs for itself and leaves nothing of: a broker, topics, the cost of starting."""

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from rich.console import Console

from bench.kafka import delete_topics
from bench.machine import description, load
from bench.measure import REPOSITORY, TIMEOUT_S, Cost, run_command
from bench.processes import compiling_seconds
from bench.topics import Told
from streamagg.kafka.admin import ensure_topic
from streamagg.model.settings import KafkaSettings
from tests.support.broker import Broker

DIRECTORY: Final = REPOSITORY / ".streamagg" / "bench"
"""What is made once and kept: records, topics, programs."""
RESULTS: Final = REPOSITORY / "bench" / "results"
PREFIX: Final = "scratch-"
STARTS: Final = 3
WARMING_RECORDS: Final = 500_000
WARMING_MOST: Final = 30
WARM_CORES: Final = 0.05
"""While a broker's compilers use less than so much of a core, its code is as fast as it will be."""


class RunFailed(Exception):
    """A run of streamagg ended with another exit code than 0; the text names its log."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where measurements take place."""

    bootstrap: str
    broker_pid: int | None
    """None when the broker was given."""
    directory: Path
    """For files and logs."""

    @property
    def kafka(self) -> KafkaSettings:
        return KafkaSettings(self.bootstrap)

    @contextmanager
    def topics(self, *partitions: int, config: Mapping[str, str] | None = None) -> Iterator[list[str]]:
        """Topics of their own with so many partitions each, deleted afterwards."""
        names = [f"{PREFIX}{uuid4().hex[:12]}" for _ in partitions]
        try:
            for name, number in zip(names, partitions, strict=True):
                ensure_topic(self.kafka, name, partitions=number, config=config or {})
            yield names
        finally:
            for name in names:
                delete_topics(self.bootstrap, name)

    def until_end(
        self, topic: str, output: str, *flags: str, timeout_s: float = TIMEOUT_S
    ) -> tuple[Cost, Path]:
        """One bounded run in a group of its own; its cost and the file of its statistics.

        Raises RunFailed.
        """
        group = f"{PREFIX}{uuid4().hex[:12]}"
        log, stats = self.directory / f"{group}.log", self.directory / f"{group}.json"
        command = run_of_streamagg(self.bootstrap, topic, output, "--group", group, "--until-end")
        command += ["--stats-json", str(stats), *flags]
        return succeed(command, log, broker_pid=self.broker_pid, timeout_s=timeout_s), stats

    def starting_cpu_seconds(self, partitions: int, *flags: str) -> float:
        """What a bounded run of a topic without records costs: what every run costs beside its records."""
        with self.topics(partitions, 1) as (empty, output):
            runs = [self.until_end(empty, output, *flags)[0] for _ in range(STARTS)]
        return statistics.median(cost.cpu_seconds for cost in runs)


@contextmanager
def site(bootstrap: str | None, directory: Path) -> Iterator[Site]:
    """The broker that is given, or the benchmark's own for as long as it is needed, warmed up."""
    if bootstrap is not None:
        yield Site(bootstrap, None, directory)
        return
    broker = Broker(DIRECTORY / "broker").start()
    try:
        place = Site(broker.address, broker.pid(), directory)
        # Of measurements that were killed.
        delete_topics(place.bootstrap, PREFIX)
        _warm(place)
        yield place
    finally:
        broker.stop()


def _warm(place: Site) -> None:
    """Write, read and publish until the broker has compiled what runs often.

    One that was just started takes five times the CPU of one that was not, half of it in its compilers.
    """
    log, file = place.directory / "warming.log", place.directory / "warming.jsonl"
    with place.topics(4) as (topic,):
        succeed(verb("generate", "--count", str(WARMING_RECORDS), "-o", str(file)), log)
        succeed(verb("replay", str(file), "--topic", topic, "--bootstrap-servers", place.bootstrap), log)
        file.unlink()
        for _ in range(WARMING_MOST):
            before = compiling_seconds(place.broker_pid)
            with place.topics(1) as (output,):
                cost, _ = place.until_end(topic, output)
            if compiling_seconds(place.broker_pid) - before < WARM_CORES * cost.wall_seconds:
                return


def succeed(
    command: Sequence[str], log: Path, *, broker_pid: int | None = None, timeout_s: float = TIMEOUT_S
) -> Cost:
    """Run a command that must end with exit code 0; raises RunFailed."""
    cost = run_command(command, log=log, broker_pid=broker_pid, timeout_s=timeout_s)
    if cost.exit_code != 0:
        raise RunFailed(f"exit code {cost.exit_code}: {log.read_text()[-1000:]}")
    return cost


def verb(*words: str) -> list[str]:
    """The command line of a verb of streamagg."""
    return [sys.executable, "-m", "streamagg", *words]


def run_of_streamagg(bootstrap: str, topic: str, output: str, *flags: str) -> list[str]:
    """The command line of a run with two unmarshallers; exactly-once, which is the default."""
    command = verb("run", "--bootstrap-servers", bootstrap)
    return [*command, "--input", topic, "--output", output, "--unmarshallers", "2", *flags]


def main_of(name: str, about: str | None, measure: Callable[[Site, bool, Told], Mapping[str, Any]]) -> int:
    """The main function of ``bench.NAME``: measures beside the benchmark's broker, prints, writes.

    ``measure`` gets the broker, whether it shall be quick, and what tells the user. Quick ones are not kept.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m bench.{name}",
        description=about,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    console = Console(stderr=True, soft_wrap=True)
    if not quick and not is_quiet(console.print):
        return 1
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    with site(None, DIRECTORY) as place:
        found = measure(place, quick, console.print)
    console.print_json(json.dumps(found))
    if not quick:
        save(name, found)
    return 0


def is_quiet(told: Told) -> bool:
    """Nothing else uses the machine; says so otherwise."""
    before = load()
    if before.is_busy:
        told(f"The machine is busy with something else: {before}. No results are written.")
    return not before.is_busy


def save(name: str, found: Mapping[str, Any], *, module: str | None = None) -> None:
    """Write a file of results, with the command line of this process and the machine at its head.

    ``module``: what was run, when it is not ``bench.NAME``.
    """
    _write(name, {**_origin(name, module), "machine": description(), **found})


def amend(name: str, key: str, rows: Mapping[str, Mapping[str, Any]], *, module: str | None = None) -> None:
    """Put rows that were measured again in the place of those of their names; each says how it was made.

    They are in a list, each with its name, or by name. Raises FileNotFoundError when there is no such file of
    results yet.
    """
    found = json.loads((RESULTS / f"{name}.json").read_text())
    again = {row: {**values, "again": _origin(name, module)} for row, values in rows.items()}
    if isinstance(found[key], dict):
        _write(name, {**found, key: found[key] | again})
        return
    kept = [again.pop(row["name"], row) for row in found[key]]
    _write(name, {**found, key: [*kept, *again.values()]})


def _origin(name: str, module: str | None) -> dict[str, str]:
    return {
        "command": " ".join([f"python -m {module or f'bench.{name}'}", *_arguments()]),
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _arguments() -> list[str]:
    """Of this process, but for where logs are kept: that is a place of one machine, and changes no figure."""
    places = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    places.add_argument("--keep")
    return places.parse_known_args(sys.argv[1:])[1]


def _write(name: str, found: Mapping[str, Any]) -> None:
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n")
