"""Transactions of another producer that are open when a bounded run begins, and are committed under it."""

import random
from typing import Final

from tests.simulation.broker import Broker

_CHANCE: Final = 0.3
_LONGEST_MS: Final = 8_000


class Transactions:
    """One at a time in each partition."""

    def __init__(self, broker: Broker, seed: int) -> None:
        """Draws of its own: what it draws changes nothing else of the seed."""
        self._broker = broker
        self._chance = random.Random(f"transactions of {seed}")
        self._until_ms: dict[int, int] = {}

    def begin(self, now_ms: int) -> None:
        """Hide what some partitions hold from one of their records on."""
        for number, log in self._broker.logs.items():
            if log.records and self._chance.random() < _CHANCE:
                log.hidden_from = self._chance.choice(log.records).offset
                self._until_ms[number] = now_ms + self._chance.randrange(_LONGEST_MS)

    def end(self, now_ms: int) -> None:
        """Commit those whose time has come."""
        for number in [number for number, until_ms in self._until_ms.items() if until_ms <= now_ms]:
            del self._until_ms[number]
            self._broker.logs[number].hidden_from = None
