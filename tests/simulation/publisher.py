"""A publisher that takes the steps of ``sinks.kafka.transaction`` one by one, any of which may go wrong."""

import random
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Literal

from streamagg.core import checkpoint
from streamagg.errors import CheckpointError
from streamagg.sinks.contract import Publication, PublishFailed, State, Stored
from tests.simulation.broker import Broker, Fenced, StaleGeneration, Transaction
from tests.simulation.outgoing import Outgoing, late_of
from tests.simulation.scenario import Scenario

_ATTEMPTS: Final = 3
Stage = Literal["letters", "produce", "offsets", "commit"]


class View:
    """What an instance knows of its place in the group."""

    def __init__(self) -> None:
        self.leader = False
        self.generation = 0


class SimPublisher(Outgoing):
    """One producer; implements ``sinks.contract.LeaderPublisher``."""

    given_up = 0.1

    def __init__(
        self,
        scenario: Scenario,
        broker: Broker,
        view: View,
        signature: str,
        confirm: Callable[[], object],
        chance: random.Random,
    ) -> None:
        super().__init__(scenario, broker, chance)
        self._view = view
        self._signature = signature
        self._confirm = confirm
        self._stage: Stage = "letters"
        self._transaction = Transaction(self._epoch)
        self._attempts = 0
        self.dropped = False
        """Its session is over; what it has begun goes on."""

    @property
    def working(self) -> bool:
        """There is a step to take."""
        return self._publication is not None

    def start(self, give_up: Callable[[], bool]) -> bool:
        """Fence whoever was before."""
        if self._scenario.delivery == "exactly-once":
            self._epoch = self._broker.start_producer()
        return True

    def checkpoints(self, partitions: Iterable[int]) -> Stored:
        """What is committed."""
        return self._broker.stored(partitions)

    def state(self, alive: Callable[[], object]) -> Iterator[tuple[bytes, bytes]]:
        """What is committed."""
        alive()
        return iter(self._broker.state.copy().items())

    def _begin(self, publication: Publication) -> None:
        self._stage = "letters"
        self._attempts = 0

    def step(self) -> None:
        """One step of the protocol."""
        publication = self._publication
        assert publication is not None
        try:
            self._step(publication)
        except CheckpointError as error:
            self._end(error)
        except Fenced:
            self._end(PublishFailed("fenced"))
        except StaleGeneration:
            self._attempts += 1
            self._stage = "produce"
            if (
                self._scenario.delivery != "exactly-once"
                or self._attempts == _ATTEMPTS
                or not self._view.leader
            ):
                self._end(PublishFailed("the group has moved on"))

    def describe(self) -> str:
        """What it is about to do."""
        publication = self._publication
        assert publication is not None
        windows = [count.window for count in publication.windows]
        places = {p: at.state.offset for p, at in publication.checkpoints.items()}
        return f"{self._stage} of windows {windows}, checkpoint {places}"

    def die(self) -> None:
        """SIGKILL; a request that was sent may still arrive."""
        if self.working and self._stage == "commit" and self._chance.random() < 0.5:
            self._broker.in_flight.append(self._transaction)
        self._publication = None

    def _step(self, publication: Publication) -> None:
        once = self._scenario.delivery == "exactly-once"
        match self._stage:
            case "letters":
                self._confirm()
                self._broker.letters |= set(publication.future)
                self._stage = "produce"
            case "produce":
                self._produce(publication, once)
            case "offsets":
                if self._scenario.in_group:
                    self._broker.check_generation(self._view.generation)
                self._transaction.offsets = self._offsets(publication)
                if once:
                    self._stage = "commit"
                    return
                self._broker.commit_offsets(self._transaction.offsets)
                self._end(PublishFailed("timed out, committed") if self._fails() else publication)
            case "commit":
                self._commit(publication)

    def _produce(self, publication: Publication, once: bool) -> None:
        self._transaction = Transaction(self._epoch)
        rows, late = self._rows(publication), late_of(publication)
        if once:
            self._broker.check_epoch(self._epoch)
            self._transaction.windows = rows
            self._transaction.late = late
            self._transaction.state = publication.state
        else:
            delivered = self._chance.randrange(len(rows)) if rows and self._fails() else len(rows)
            for key, value in rows[:delivered]:
                self._broker.append_output(key, value)
            if delivered < len(rows):
                self._end(PublishFailed("not delivered"))
                return
            self._broker.late += late
            if not self._append_state(publication.state):
                return
        if self._fails(0.5) and self._scenario.in_group:
            raise StaleGeneration
        self._stage = "offsets"

    def _append_state(self, state: State) -> bool:
        """At-least-once: all of it; or the first steps, a part of the next, and it has failed."""
        steps = _steps(state)
        broken = self._chance.randrange(len(steps)) if state and self._fails() else len(steps)
        for step in steps[:broken]:
            self._broker.append_state(step)
        if broken == len(steps):
            return True
        self._broker.append_state(tuple(record for record in steps[broken][1:] if self._fails(2)))
        self._end(PublishFailed("not delivered"))
        return False

    def _commit(self, publication: Publication) -> None:
        if not self._fails():
            self._broker.commit(self._transaction)
            self._end(publication)
            return
        match self._chance.randrange(3):
            case 0:
                self._broker.commit(self._transaction)
                self._end(PublishFailed("timed out, committed"))
            case 1:
                self._broker.in_flight.append(self._transaction)
                self._end(PublishFailed("timed out, on its way"))
            case _:
                self._end(PublishFailed("timed out, lost"))

    def _offsets(self, publication: Publication) -> dict[int, tuple[int, str]]:
        signature, window, decode = self._signature, self._scenario.window, self._scenario.asked.decode
        return {
            partition: (at.state.offset, checkpoint.encode(at, signature, window, decode))
            for partition, at in publication.checkpoints.items()
        }

    def _end(self, result: Publication | Exception) -> None:
        self._publication = None
        self._result = result


def _steps(state: State) -> tuple[State, ...]:
    """Of ``sinks.contract``: values but the last, the last, what is removed."""
    values = tuple(record for record in state if record[1] is not None)
    return values[:-1], values[-1:], tuple(record for record in state if record[1] is None)
