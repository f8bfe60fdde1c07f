"""The logs of the simulated broker as a source."""

import random
from collections.abc import Callable, Iterable, Mapping

from streamagg.errors import CheckpointError
from streamagg.model.batch import Identity, Standing
from streamagg.model.measured import ClientNumbers
from streamagg.sources.contract import At, Unit
from streamagg.sources.kafka.reader import LeaseReader
from tests.simulation.broker import Broker
from tests.simulation.fetching import SimFetching


class SimSource:
    """Implements ``sources.contract.Source``; read through the real lease reader."""

    name = "input"
    unit: Unit = "records"
    marks = None
    repeatable = True
    hidden_by = "a transaction of the simulator is not ended"

    def __init__(self, broker: Broker, chance: random.Random, stalled: Callable[[int], bool]) -> None:
        self._broker = broker
        self._chance = chance
        self._stalled = stalled

    def partitions(self) -> int:
        """How many there are."""
        return len(self._broker.logs)

    def identity(self) -> Identity:
        """Which logs they are."""
        return Identity(self._broker.input_id, self.partitions())

    def confirm(self, expected: str) -> Identity:
        """Raises CheckpointError when they are others."""
        found = self.identity()
        if expected not in ("", found.id):
            raise CheckpointError("the logs of the simulator were made anew")
        return found

    def offsets(self, partitions: Iterable[int], at: At) -> dict[int, int]:
        """Nobody asks for a time, which would be the earliest."""
        logs = self._broker.logs
        return {n: logs[n].committed_end if at == "latest" else logs[n].begin for n in partitions}

    def log_ends(self, partitions: Iterable[int]) -> dict[int, int]:
        """Behind the last record, committed or not."""
        return {number: self._broker.logs[number].end for number in partitions}

    def held(self, standing: Mapping[int, Standing]) -> dict[int, str]:
        """Those that stand where a transaction begins."""
        hidden = {number: self._broker.logs[number].hidden_from for number in standing}
        return {n: self.hidden_by for n, at in standing.items() if hidden[n] == at.offset}

    def hold_timeout_ms(self) -> int:
        """Longer than any of its transactions."""
        return 60_000

    def reader(self, max_record_bytes: int, numbers: ClientNumbers) -> LeaseReader:
        """Fetches at random."""
        return LeaseReader(lambda: SimFetching(self._broker, self._chance, self._stalled), self.name)
