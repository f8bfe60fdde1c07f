"""Faust (faust-streaming): as a consumer only, and with a windowed table."""

from pathlib import Path
from typing import Final

from bench.contender import Contender
from bench.environment import Environment

HERE: Final = Path(__file__).parent
ENVIRONMENT: Final = Environment("faust", HERE / "requirements.txt")


def prepare(cache: Path) -> dict[str, str]:
    """Install it."""
    ENVIRONMENT.install(cache)
    return ENVIRONMENT.versions(cache, ["faust-streaming", "aiokafka", "uvloop", "orjson"])


CONTENDERS: Final = [
    Contender(
        name="faust-hand",
        title="Faust, sets by hand",
        prepare=prepare,
        command=ENVIRONMENT.program(HERE / "hand.py"),
        slow=True,
        remark="one process; windows are read when the topic has ended",
    ),
    Contender(
        name="faust-table",
        title="Faust, windowed table",
        prepare=prepare,
        command=ENVIRONMENT.program(HERE / "table.py"),
        slow=True,
        remark="in memory, with changelog; read at the end, because it expires windows by the wall clock",
    ),
]
