"""The simulated broker as a sink: see ``publisher``."""

import random
from collections.abc import Callable, Iterable

from streamagg.model.measured import PublisherNumbers
from streamagg.sinks.contract import Stored
from tests.simulation.broker import Broker
from tests.simulation.publisher import SimPublisher, View
from tests.simulation.scenario import Scenario


class SimSink:
    """Implements ``sinks.contract.Sink``."""

    most_future = 0

    def __init__(self, scenario: Scenario, broker: Broker, chance: random.Random) -> None:
        self._scenario = scenario
        self._broker = broker
        self._chance = chance

    def make(self) -> None:
        """It is there."""

    def require(self, alive: Callable[[], None]) -> None:
        """It is there."""
        alive()

    def holds_results(self) -> bool:
        """Somebody has published."""
        return bool(self._broker.output)

    def checkpoints(self, partitions: Iterable[int]) -> Stored:
        """What is committed."""
        return self._broker.stored(partitions)

    def publisher(
        self,
        view: View,
        signature: str,
        confirm: Callable[[], object],
        numbers: PublisherNumbers,
    ) -> SimPublisher:
        """Publishes in steps that somebody else takes."""
        return SimPublisher(self._scenario, self._broker, view, signature, confirm, self._chance)
