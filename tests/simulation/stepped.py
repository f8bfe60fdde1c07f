"""A publisher with the real output of a sink, one step at a time; any of them may go wrong.

What is out is told to the simulated broker, publication by publication, which stands for all who look at it.
"""

import random
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any

from streamagg.model.results import WindowTable
from streamagg.sinks.contract import Publication, PublishFailed, Stored
from streamagg.sinks.json_records import render
from streamagg.sinks.publisher_thread import Output
from tests.simulation.broker import Broker, Difference, Transaction
from tests.simulation.scenario import Scenario
from tests.simulation.stepper import Stepper


class SteppedPublisher(ABC):
    """One leader's; implements ``sinks.contract.LeaderPublisher``."""

    def __init__(self, scenario: Scenario, broker: Broker, chance: random.Random, stepper: Stepper) -> None:
        self._scenario = scenario
        self._broker = broker
        self._chance = chance
        self._stepper = stepper
        self._epoch = 0
        """Of the broker's."""
        self._publication: Publication | None = None
        self._result: Publication | Exception | None = None
        self._wrong: Difference | None = None
        self.busy = False

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

    def fileno(self) -> int:
        """Nobody waits here."""
        raise NotImplementedError

    def close(self, timeout_s: float) -> None:  # noqa: B027 # nothing is held
        """What it has begun goes on."""

    def submit(self, publication: Publication) -> None:
        """Begin to publish."""
        assert not self.busy, "one publication at a time"
        self.busy = True
        self._publication = publication
        self._broker.letters |= set(publication.future)
        self._stepper.begin(lambda: self._publish(publication))

    def finished(self) -> Publication | None:
        """The publication that is out; raises PublishFailed, also when it has waited for too long."""
        result, self._result = self._result, None
        if result is None:
            # It is looked at up to forty times until it is out.
            if self.busy and self._fails(0.02):
                self.busy = False
                raise PublishFailed("waited for too long")
            return None
        self.busy = False
        if isinstance(result, Exception):
            raise result
        return result

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
        rows = [row for table in publication.tables for row in self._rendered(table)]
        late = [(told.partition, offset) for told in publication.late for offset in told.offset.tolist()]
        return Transaction(self._epoch, rows, late, offsets, publication.state)

    def _rendered(self, table: WindowTable) -> Iterator[tuple[bytes, bytes]]:
        return render(self._scenario.plan.windows, table, self._scenario.asked.decode.group_by)

    def _fails(self, share: float) -> bool:
        return self._chance.random() < share * self._scenario.odds.publish
