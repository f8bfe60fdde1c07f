"""Faust (faust-streaming): as a consumer only, and with a windowed table."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from bench.contender import Contender, Job
from bench.environment import Environment

HERE: Final = Path(__file__).parent
ENVIRONMENT: Final = Environment("faust", HERE / "requirements.txt")


def prepare(cache: Path) -> dict[str, str]:
    """Install it."""
    ENVIRONMENT.install(cache)
    return ENVIRONMENT.versions(cache, ["faust-streaming", "aiokafka", "uvloop", "orjson"])


def command(program: str) -> Callable[[Job, Path], list[str]]:
    """Runs one of the programs."""

    def run(job: Job, cache: Path) -> list[str]:
        python = str(ENVIRONMENT.python(cache))
        words = [python, str(HERE / program), job.topic.name, str(job.topic.records), str(job.result)]
        words += ["--bootstrap-servers", job.bootstrap, "--group", job.output]
        return [*words, "--partitions", str(job.topic.partitions), "--scratch", str(job.scratch)]

    return run


CONTENDERS: Final = [
    Contender(
        name="faust-hand",
        title="Faust, sets by hand",
        prepare=prepare,
        command=command("hand.py"),
        slow=True,
        remark="one process; windows are read when the topic has ended",
    ),
    Contender(
        name="faust-table",
        title="Faust, windowed table",
        prepare=prepare,
        command=command("table.py"),
        slow=True,
        remark="in memory, with changelog; read at the end, because it expires windows by the wall clock",
    ),
]
