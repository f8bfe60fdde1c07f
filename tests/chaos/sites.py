"""Where Kafka is, for streamagg and for those who judge it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.support.broker import Broker


class Site(Protocol):
    """A Kafka to run on."""

    @property
    def address(self) -> str:
        """Bootstrap servers of streamagg."""

    @property
    def direct(self) -> str:
        """Bootstrap servers of the feeder, of the watch and of the final comparison."""


SiteFactory = Callable[[Path], AbstractContextManager[Site]]


@dataclass(frozen=True, slots=True)
class OneBroker:
    """A broker, and nothing between it and its clients."""

    broker: Broker

    @property
    def address(self) -> str:
        return self.broker.address

    @property
    def direct(self) -> str:
        return self.broker.address


@dataclass(frozen=True, slots=True)
class Running:
    """A broker that others started, which must not be harmed."""

    address: str

    @property
    def direct(self) -> str:
        return self.address


@contextmanager
def one_broker(directory: Path) -> Iterator[OneBroker]:
    """A broker of one's own, which may be killed, frozen and started again."""
    broker = Broker(directory, small=True)
    try:
        yield OneBroker(broker.start())
    finally:
        broker.kill()
