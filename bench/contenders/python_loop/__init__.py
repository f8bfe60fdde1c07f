"""What one writes first: one process, one loop, confluent-kafka, orjson, a dict of sets."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from bench.contender import Contender, Job
from bench.environment import own_versions

TUNED: Final = "consume() in batches of 1,000, client settings of streamagg"
PROGRAM: Final = Path(__file__).parent / "loop.py"


def prepare(cache: Path) -> dict[str, str]:
    """It runs in the environment of streamagg, where everything is installed."""
    return own_versions("confluent-kafka", "orjson")


def command(*flags: str) -> Callable[[Job, Path], list[str]]:
    """Runs the loop with these flags."""

    def run(job: Job, cache: Path) -> list[str]:
        words = [sys.executable, str(PROGRAM), job.topic.name, str(job.topic.records), str(job.result)]
        place = ["--bootstrap-servers", job.bootstrap, "--group", job.output]
        return [*words, str(job.scratch / "rows.jsonl"), *place, *flags]

    return run


CONTENDERS: Final = [
    Contender(
        name="loop-default",
        title="Python: one loop, default client settings",
        prepare=prepare,
        command=command(),
        slow=True,
        remark="poll() record by record; the client waits a second whenever its queue is full",
    ),
    Contender(
        name="loop-tuned",
        title="Python: one loop, tuned client settings",
        prepare=prepare,
        command=command("--tuned"),
        quick=True,
        remark=TUNED,
    ),
    Contender(
        name="loop-tuned-grouped",
        title="Python: one loop, tuned client settings, grouped",
        prepare=prepare,
        command=command("--tuned", "--grouped"),
        work="grouped",
        remark=TUNED,
    ),
]
