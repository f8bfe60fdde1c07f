"""streamagg in its shapes, from its own command line."""

import sys
from collections.abc import Callable
from pathlib import Path

from bench.contender import Contender, Job
from bench.environment import own_versions
from bench.work import MEASURES, PAGE

EXACTLY_ONCE = ("--delivery", "exactly-once")
TWO = ("--unmarshallers", "2", "--aggregators", "1")
GROUPED = (
    *("--group-by", PAGE),
    *(word for name, what in MEASURES.items() for word in ("--measure", f"{name}={what}")),
)


def _versions(cache: Path) -> dict[str, str]:
    return own_versions("streamagg", "confluent-kafka", "msgspec", "numpy", "xxhash")


def _run(*flags: str) -> Callable[[Job, Path], list[str]]:
    """``streamagg run`` to the end of the topic; its counters are the result."""

    def command(job: Job, cache: Path) -> list[str]:
        topics = ["--input", job.topic.name, "--output", job.output, "--group", job.output]
        ending = ["--until-end", "--stats-json", str(job.result), "--log-level", "warning"]
        given = ["--bootstrap-servers", job.bootstrap, *topics, *ending, *flags]
        return [sys.executable, "-m", "streamagg", "run", *given]

    return command


def _count(*flags: str) -> Callable[[Job, Path], list[str]]:
    """``streamagg count`` on the file."""

    def command(job: Job, cache: Path) -> list[str]:
        program = [sys.executable, "-m", "bench.contenders.streamagg.count_file"]
        return [*program, str(job.topic.file), str(job.result), str(job.scratch), *flags]

    return command


def _shape(unmarshallers: int, *, quick: bool = False) -> Contender:
    return Contender(
        name=f"streamagg-{unmarshallers}",
        title=f"streamagg, {unmarshallers} unmarshaller{'s' if unmarshallers > 1 else ''}",
        prepare=_versions,
        command=_run("--unmarshallers", str(unmarshallers), "--aggregators", "1", *EXACTLY_ONCE),
        everywhere=quick,
        quick=quick,
        remark="exactly-once, 1 aggregator",
    )


CONTENDERS = [
    _shape(1),
    _shape(2, quick=True),
    _shape(3),
    _shape(4),
    Contender(
        name="streamagg-2-alo",
        title="streamagg, 2 unmarshallers, at-least-once",
        prepare=_versions,
        command=_run(*TWO, "--delivery", "at-least-once"),
        remark="at-least-once, 1 aggregator",
    ),
    Contender(
        name="streamagg-inline",
        title="streamagg, inline",
        prepare=_versions,
        command=_run("--inline", *EXACTLY_ONCE),
        remark="exactly-once, one process",
    ),
    Contender(
        name="streamagg-2-grouped",
        title="streamagg, 2 unmarshallers, grouped",
        prepare=_versions,
        command=_run(*TWO, *EXACTLY_ONCE, *GROUPED),
        work="grouped",
        quick=True,
        remark="exactly-once, 1 aggregator; publishes each window's total too",
    ),
    Contender(
        name="streamagg-count",
        title="streamagg count",
        prepare=_versions,
        command=_count(),
        reads="file",
        everywhere=True,
        quick=True,
        remark="start and end of the process included",
    ),
    Contender(
        name="streamagg-count-grouped",
        title="streamagg count, grouped",
        prepare=_versions,
        command=_count(*GROUPED),
        reads="file",
        work="grouped",
        quick=True,
        remark="start and end of the process included; prints each window's total too",
    ),
]
