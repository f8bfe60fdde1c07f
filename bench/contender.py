"""What a contender of the benchmark is: how it is built, how it is run, and what it hands back."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bench.work import Work

Reads = Literal["topic", "file"]
"""Where a contender takes the records from."""


class NotAvailable(Exception):
    """A contender cannot be built or installed here; the text says why, in one sentence."""


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic of the benchmark, loaded completely before anything is measured."""

    name: str
    partitions: int
    records: int
    record_bytes: int
    """About."""
    compression: str
    """``none`` or ``lz4``."""
    file: Path
    """The same records as JSON lines, in the order in which they were sent."""


@dataclass(frozen=True, slots=True)
class Job:
    """One run of one contender."""

    bootstrap: str
    topic: Topic
    output: str
    """A fresh topic with one partition, for contenders that publish into Kafka; also a name that is unique
    to this run: consumer groups, application ids and transactional ids begin with it."""
    result: Path
    """Where the program writes its result before it ends with exit code 0."""
    scratch: Path
    """An empty directory of this run, removed afterwards; what the program writes besides belongs there."""


@dataclass(frozen=True, slots=True)
class Contender:
    """One row of the table.

    The command of a run writes one JSON object to ``job.result``::

        {"records": 1000000,            # input records it has read
         "seconds": 3.21,               # first fetch to last window complete, without starting and stopping
         "windows": {"1468244340": 987} # start in seconds since the epoch -> unique users
        }

    What else it holds is not looked at. Instead of ``windows`` it may name a file of rows as ``bench.work``
    describes them, ``"rows": "/path"``; then ``records`` may be left out if every row has its own. A
    contender that publishes such rows to ``job.output`` leaves both out or says only how many windows there
    are, as ``--stats-json`` of streamagg does: then they are read from there. A contender that looks at no
    record needs none and says so with ``counts=False``.

    One that reads the file is timed from the start of its process to the end, whatever it says.
    """

    name: str
    """Identifies the row in results: ``rust``, ``flink-sql``."""
    title: str
    """What the table shows."""
    prepare: Callable[[Path], dict[str, str]]
    """Build or install into the given cache directory, at once if that is done already; returns versions by
    component. Raises NotAvailable."""
    command: Callable[[Job, Path], list[str]]
    """The command line of one run; the second argument is the same cache directory."""
    reads: Reads = "topic"
    work: Work = "plain"
    """The question that it answers, and on whose records it runs."""
    everywhere: bool = False
    """Also runs, and answers the same, where the others are asked something else: to compare them with."""
    counts: bool = True
    """False: reads and counts nothing."""
    quick: bool = False
    """Also part of the quick benchmark."""
    slow: bool = False
    """Runs on a topic with a tenth of the records; below about 60,000 records of 2.2 KB a second."""
    remark: str = ""
    """What one has to know to read the row, in a few words."""
