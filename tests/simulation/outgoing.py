"""What publishers of the simulator share: one publication at a time, in steps that somebody else takes."""

import random
from abc import ABC, abstractmethod
from typing import ClassVar

from streamagg.sinks.contract import Publication, PublishFailed
from streamagg.sinks.json_records import render
from tests.simulation.broker import Broker
from tests.simulation.scenario import Scenario


class Outgoing(ABC):
    """A part of ``sinks.contract.LeaderPublisher``."""

    given_up: ClassVar[float]
    """How often a publication has waited for too long, of the times that it is looked at."""

    def __init__(self, scenario: Scenario, broker: Broker, chance: random.Random) -> None:
        self._scenario = scenario
        self._broker = broker
        self._chance = chance
        self._epoch = 0
        """Of the broker's."""
        self._publication: Publication | None = None
        self._result: Publication | Exception | None = None
        self.busy = False

    @abstractmethod
    def _begin(self, publication: Publication) -> None:
        """The first step comes next."""

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
        self._begin(publication)

    def finished(self) -> Publication | None:
        """The publication that is out; raises PublishFailed, also when it has waited for too long."""
        result, self._result = self._result, None
        if result is None:
            if self.busy and self._fails(self.given_up):
                self.busy = False
                raise PublishFailed("waited for too long")
            return None
        self.busy = False
        if isinstance(result, Exception):
            raise result
        return result

    def _rows(self, publication: Publication) -> list[tuple[bytes, bytes]]:
        windows, group_by = self._scenario.plan.windows, self._scenario.asked.decode.group_by
        return [row for table in publication.tables for row in render(windows, table, group_by)]

    def _fails(self, share: float = 1.0) -> bool:
        return self._chance.random() < share * self._scenario.odds.publish


def late_of(publication: Publication) -> list[tuple[int, int]]:
    """Partition and offset of each late record."""
    return [(told.partition, offset) for told in publication.late for offset in told.offset.tolist()]
