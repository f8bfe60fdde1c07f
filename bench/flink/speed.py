"""Speed, CPU and memory of the job on Flink beside the local engine and Flink SQL, in turn on one topic."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec

from bench.contender import Contender
from bench.contenders import all_contenders, flink
from bench.results import Row
from bench.rounds import Bench
from bench.scratch import DIRECTORY, Site
from bench.topics import LOADS, SMALL, Load, Told, load

ROUNDS: Final = 2
NAMES: Final = ("streamagg-2", "flink-sql", "flink-sql-eos", "streamagg-flink")
APART: Final = Contender(
    name="streamagg-flink-apart",
    title="streamagg flink, two TaskManagers of one slot",
    prepare=flink.prepare_own,
    command=flink.run_own(2, task_managers=2),
    remark="rows go through a socket from one to the other, as between machines; otherwise as with one",
)
FUNCTION: Final = Contender(
    name="flink-sql-python",
    title="Flink SQL, each user through a Python function",
    prepare=flink.prepare,
    command=flink.run("--python"),
    remark="which returns what it is given; otherwise as without",
)
FEW: Final = Load("functions-4", replace(SMALL, count=1_000_000), 4)


@dataclass(frozen=True, slots=True)
class Pair:
    """Runs of one contender over all records, and over a tenth of them: what starting costs is in both."""

    full: Row
    tenth: Row

    @property
    def cpu_us_a_record(self) -> float:
        """CPU of what the tenth does not have."""
        return self._of_the_rest(self.full.cpu_per_million, self.tenth.cpu_per_million)

    @property
    def broker_us_a_record(self) -> float:
        """The same of the broker."""
        return self._of_the_rest(self.full.broker_cpu_per_million, self.tenth.broker_cpu_per_million)

    def _of_the_rest(self, full: float, tenth: float) -> float:
        """Seconds a million records are microseconds a record."""
        rest = full * self.full.records - tenth * self.tenth.records
        return rest / (self.full.records - self.tenth.records)


def pairs(found: Any) -> list[Pair]:
    """What ``measure`` has found, read back."""
    full, tenth = (msgspec.convert(found[key], list[Row]) for key in ("full", "tenth"))
    return [Pair(*rows) for rows in zip(full, tenth, strict=True)]


def contenders(*more: Contender) -> list[Contender]:
    """Those of the table, in the order in which they run."""
    by_name = {each.name: each for each in all_contenders()}
    return [*(by_name[name] for name in NAMES), APART, *more]


def measure(place: Site, quick: bool, told: Told, topic: Load, who: Sequence[Contender]) -> dict[str, Any]:
    """All records and a tenth of them; of what else used the machine meanwhile each run tells."""
    bench = Bench(place.bootstrap, place.broker_pid, DIRECTORY, busy_anyway=True, told=told)
    prepared = bench.prepare(who)
    topic = topic.tenth() if quick else topic
    found: dict[str, Any] = {"record_bytes": topic.made.size_bytes, "partitions": topic.partitions}
    for size, each in {"full": topic, "tenth": topic.tenth()}.items():
        loaded = load(each, place.bootstrap, DIRECTORY, told)
        rounds = ROUNDS if size == "full" and not quick else 1
        found[size] = msgspec.to_builtins(bench.run_rounds(prepared, loaded, loaded, rounds))
    return found


def large(place: Site, quick: bool, told: Told) -> dict[str, Any]:
    """Records of 2.2 KB."""
    return measure(place, quick, told, LOADS["large-4"], contenders())


def small(place: Site, quick: bool, told: Told) -> dict[str, Any]:
    """Records of 180 bytes, and what it costs when Flink calls Python for each."""
    return measure(place, quick, told, FEW, contenders(FUNCTION))
