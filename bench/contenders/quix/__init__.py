"""Quix Streams: as a consumer only, and with its own windows."""

from pathlib import Path
from typing import Final

from bench.contender import Contender
from bench.environment import Environment

HERE: Final = Path(__file__).parent
ENVIRONMENT: Final = Environment("quix", HERE / "requirements.txt")


def prepare(cache: Path) -> dict[str, str]:
    """Install it."""
    ENVIRONMENT.install(cache)
    return ENVIRONMENT.versions(cache, ["quixstreams", "confluent-kafka", "orjson"])


CONTENDERS: Final = [
    Contender(
        name="quix-hand",
        title="Quix Streams, sets by hand",
        prepare=prepare,
        command=ENVIRONMENT.program(HERE / "hand.py"),
        slow=True,
        remark="one process; windows are read when the topic has ended",
    ),
    Contender(
        name="quix-windows",
        title="Quix Streams, its own windows",
        prepare=prepare,
        command=ENVIRONMENT.program(HERE / "windows.py"),
        slow=True,
        remark="one process; a window for every partition, united when closed; the last one never closes",
    ),
]
