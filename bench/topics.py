"""The topics of the benchmark: made, loaded and counted once, and kept for the next time.

Every name carries a digest of how the records are made, so that other records are another topic.
"""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import orjson

from bench.contender import Reads, Topic
from bench.kafka import delete_topics, records_in
from bench.work import Answer, Row, Work, answer, truth
from streamagg.tools.generate import GenerateSettings, records

WINDOW_S: Final = 60
MAX_DELAY_S: Final = 5
"""Records are out of order by so much, and no contender may need to bear more."""
SLOW_FRACTION: Final = 10
"""Slow contenders get the first tenth of the same records."""

Told = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Load:
    """How one topic is made."""

    name: str
    made: GenerateSettings
    partitions: int
    compression: str = "none"
    work: Work = "plain"
    """What is asked of its records."""
    reads: Reads = "topic"
    """``file``: there is no topic, only the file that it would be loaded from."""

    @property
    def is_main(self) -> bool:
        """A topic whose records are asked the plain question."""
        return self.work == "plain" and self.reads == "topic"

    def tenth(self) -> "Load":
        """The same with the first tenth of the records."""
        made = replace(self.made, count=self.made.count // SLOW_FRACTION)
        return replace(self, name=f"{self.name}-tenth", made=made)


LARGE: Final = GenerateSettings(1_000_000, size_bytes=2_200, disorder=0.1, max_delay_s=MAX_DELAY_S)
SMALL: Final = GenerateSettings(5_000_000, size_bytes=180, disorder=0.1, max_delay_s=MAX_DELAY_S)
GROUPED: Final = GenerateSettings(
    1_000_000, size_bytes=400, disorder=0.1, max_delay_s=MAX_DELAY_S, visits=True
)
LOADS: Final = {
    load.name: load
    for load in (
        Load("large-4", LARGE, 4),
        Load("large-1", LARGE, 1),
        Load("small-4", SMALL, 4),
        Load("large-4-lz4", LARGE, 4, "lz4"),
        Load("grouped", GROUPED, 4, work="grouped"),
        Load("file", LARGE, 1, reads="file"),
        Load("file-small", replace(SMALL, count=3_000_000), 1, reads="file"),
        Load("file-grouped", GROUPED, 1, work="grouped", reads="file"),
    )
}


@dataclass(frozen=True, slots=True)
class Loaded:
    """A topic that is complete, and what is true of it."""

    topic: Topic
    truths: Mapping[Work, Answer]
    """The plain one, and that of its own work."""


def load(load: Load, bootstrap: str, directory: Path, told: Told) -> Loaded:
    """The file, its truth and the topic, each made unless it is there."""
    file = directory / f"records-{digest(load.made)}.jsonl"
    if not file.exists():
        told(f"generating {load.made.count:,} records of {load.made.size_bytes:,} bytes")
        _generate(load.made, file)
    topic = Topic(
        name=f"{load.name}-{digest(load.made)}",
        partitions=load.partitions,
        records=load.made.count,
        record_bytes=load.made.size_bytes,
        compression=load.compression,
        file=file,
    )
    works: set[Work] = {"plain", load.work}
    truths = {work: _truth(file, work, told) for work in works}
    if load.reads == "topic":
        _fill(topic, bootstrap, told)
    return Loaded(topic, truths)


def digest(made: GenerateSettings) -> str:
    """Names the records: other settings, or a generator that makes other ones of them, give another name."""
    sample = b"\n".join(next(records(made)))
    return hashlib.sha256(repr(made).encode() + sample).hexdigest()[:8]


def _generate(made: GenerateSettings, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    flags = {
        "--count": made.count,
        "--users": made.users,
        "--rate": made.rate,
        "--size": made.size_bytes,
        "--disorder": made.disorder,
        "--max-delay": made.max_delay_s,
        "--seed": made.seed,
    }
    words = [str(word) for flag in flags.items() for word in flag] + ["--visits"] * made.visits
    _streamagg("generate", *words, "-o", str(file))


def _truth(file: Path, work: Work, told: Told) -> Answer:
    """Kept beside the file once it is counted."""
    kept = file.with_suffix(f".{work}.rows")
    if not kept.exists():
        told(f"counting the truth of {file.name}, {work}")
        partial = kept.with_suffix(".part")
        partial.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in count_plainly(file, work)))
        partial.replace(kept)
    with kept.open("rb") as rows:
        return answer(map(orjson.loads, rows), work)


def count_plainly(file: Path, work: Work) -> list[Row]:
    """The right rows of a file.

    Raises ValueError when a record is further behind than the benchmark promises its contenders.
    """
    with file.open("rb") as lines:
        return [*truth(_not_too_late(map(orjson.loads, lines), file.name), work, WINDOW_S)]


def _not_too_late(rows: Iterable[Row], name: str) -> Iterator[Row]:
    latest = 0
    for row in rows:
        latest = max(latest, row["ts"])
        if row["ts"] < latest - MAX_DELAY_S:
            raise ValueError(f"a record of {name} is {latest - row['ts']} s behind")
        yield row


def _fill(topic: Topic, bootstrap: str, told: Told) -> None:
    """Send the file, unless the log holds every record; begin again after an interrupted attempt."""
    if records_in(bootstrap, topic.name) == topic.records:
        return
    delete_topics(bootstrap, topic.name)
    told(f"loading {topic.name}: {topic.records:,} records")
    flags = ["--topic", topic.name, "--partitions", str(topic.partitions)]
    flags += ["--compression", topic.compression, "--bootstrap-servers", bootstrap]
    _streamagg("replay", str(topic.file), *flags)
    # What is still to be written to the disk would be written during the first runs.
    os.sync()
    found = records_in(bootstrap, topic.name)
    if found != topic.records:
        raise RuntimeError(f"{topic.name} holds {found} records instead of {topic.records}")


def _streamagg(*words: str) -> None:
    """Run a verb of streamagg; it must succeed."""
    subprocess.run([sys.executable, "-m", "streamagg", *words], check=True, stderr=subprocess.PIPE)
