"""A publisher with the real output of a sink, one step at a time; any of them may go wrong.

What is out is told to the simulated broker, publication by publication, which stands for all who look at it.
"""

import random
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any

from streamagg.sinks.contract import Publication, Stored
from streamagg.sinks.publisher_thread import Output
from tests.simulation.broker import Broker, Difference, Transaction
from tests.simulation.outgoing import Outgoing, late_of
from tests.simulation.scenario import Scenario
from tests.simulation.stepper import Stepper


class SteppedPublisher(Outgoing):
    """One leader's; implements ``sinks.contract.LeaderPublisher``."""

    given_up = 0.02
    """It is looked at up to forty times until it is out."""

    def __init__(self, scenario: Scenario, broker: Broker, chance: random.Random, stepper: Stepper) -> None:
        super().__init__(scenario, broker, chance)
        self._stepper = stepper
        self._wrong: Difference | None = None

    @property
    @abstractmethod
    def _output(self) -> Output:
        """The real one."""

    @property
    def working(self) -> bool:
        """There is a step to take."""
        return self._stepper.works

    def start(self, give_up: object) -> bool:
        """Raise the epoch."""
        self._output.open(lambda: True)
        return True

    def checkpoints(self, partitions: Iterable[int]) -> Stored:
        """Those that are out; raises Difference unless they are what the broker has."""
        partitions = list(partitions)
        found = self._output.checkpoints(partitions)
        if found != self._broker.stored(partitions):
            raise Difference(f"checkpoints: {found} are kept, not {self._broker.stored(partitions)}")
        return found

    def state(self, alive: Any) -> Iterator[tuple[bytes, bytes]]:
        """What is kept; raises Difference unless it is what the broker has."""
        found = dict(self._output.state(alive))
        if found != self._broker.state:
            raise Difference(f"state: {sorted(found)} is kept, not {sorted(self._broker.state)}")
        return iter(found.items())

    def _begin(self, publication: Publication) -> None:
        self._broker.letters |= set(publication.future)
        self._stepper.begin(lambda: self._publish(publication))

    def step(self) -> None:
        """Up to the next pause; raises Difference."""
        self._stepper.step()
        self._tell_wrong()

    def describe(self) -> str:
        """What it is about."""
        publication = self._publication
        assert publication is not None
        return f"windows {[count.window for count in publication.windows]} to {self._output.name}"

    def die(self) -> None:
        """SIGKILL; raises Difference."""
        self._stepper.kill()
        self._tell_wrong()

    def _tell_wrong(self) -> None:
        if self._wrong is not None:
            raise self._wrong

    def _publish(self, publication: Publication) -> None:
        try:
            self._output.publish(publication, 0.0)
        except Difference as difference:
            self._wrong = difference
        except Exception as error:
            self._result = self._output.failure(error)
        else:
            self._result = publication

    def _transaction(self, publication: Publication, offsets: Stored) -> Transaction:
        """What the broker has to have of a publication once it is out."""
        rows, late = self._rows(publication), late_of(publication)
        return Transaction(self._epoch, rows, late, offsets, publication.state)
