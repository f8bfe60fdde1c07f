"""Pathway: a table of the topic as it is, grouped by minute.

Its licence is the Business Source License: it is installed to be measured, and no part of streamagg.
"""

from pathlib import Path
from typing import Final

from bench.contender import Contender
from bench.environment import Environment

HERE: Final = Path(__file__).parent
ENVIRONMENT: Final = Environment("pathway", HERE / "requirements.txt")


def prepare(cache: Path) -> dict[str, str]:
    """Install it."""
    ENVIRONMENT.install(cache)
    return ENVIRONMENT.versions(cache, ["pathway"])


CONTENDERS: Final = [
    Contender(
        name="pathway",
        title="Pathway, a static table, 2 threads",
        prepare=prepare,
        command=ENVIRONMENT.program(HERE / "job.py"),
        remark="reads what the topic holds and ends; no event time; its licence (BSL) is not open source",
    )
]
