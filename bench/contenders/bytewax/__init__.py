"""Bytewax: folded by hand before its windows, its windows done right, and as its tutorials do it."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from bench.contender import Contender, Job
from bench.environment import Environment

HERE: Final = Path(__file__).parent
ENVIRONMENT: Final = Environment("bytewax", HERE / "requirements.txt", newest_python=(3, 12))


def prepare(cache: Path) -> dict[str, str]:
    """Install it."""
    ENVIRONMENT.install(cache)
    return ENVIRONMENT.versions(cache, ["bytewax", "confluent-kafka", "orjson"])


def command(dataflow: str, *, processes: int) -> Callable[[Job, Path], list[str]]:
    """Runs one of the dataflows."""

    def run(job: Job, cache: Path) -> list[str]:
        python = str(ENVIRONMENT.python(cache))
        words = [python, str(HERE / "run.py"), dataflow, job.topic.name, str(job.result)]
        words += ["--bootstrap-servers", job.bootstrap, "--scratch", str(job.scratch)]
        return [*words, "--processes", str(processes)]

    return run


CONTENDERS: Final = [
    Contender(
        name="bytewax-folded",
        title="Bytewax, folded by hand, 2 processes",
        prepare=prepare,
        command=command("folded", processes=2),
        remark="batches become sets by partition and minute before its windows see them",
    ),
    Contender(
        name="bytewax-folded-grouped",
        title="Bytewax, folded by hand, 2 processes, grouped",
        prepare=prepare,
        command=command("grouped", processes=2),
        work="grouped",
        remark="batches become pages by partition and minute before its windows see them",
    ),
    Contender(
        name="bytewax-windows",
        title="Bytewax, its own windows, 2 processes",
        prepare=prepare,
        command=command("windows", processes=2),
        remark="a window for every partition, united when closed",
    ),
    Contender(
        name="bytewax-tutorial",
        title="Bytewax, one key for everything",
        prepare=prepare,
        command=command("tutorial", processes=1),
        remark="the textbook form: one watermark for all partitions, which drops records while catching up",
    ),
]
