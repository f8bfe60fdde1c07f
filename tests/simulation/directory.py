"""An output directory: the real one, on a simulated file system.

What it names is compared with what the simulated broker has been told, publication by publication.
"""

import random
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any, Final

from streamagg.model.measured import PublisherNumbers
from streamagg.model.settings import RunSettings
from streamagg.sinks.directory import manifest as manifests
from streamagg.sinks.directory.manifest import Manifest
from streamagg.sinks.directory.output import Output
from tests.simulation.broker import Broker, Difference, Fenced, Transaction
from tests.simulation.disk import Process
from tests.simulation.scenario import Scenario
from tests.simulation.stepped import SteppedPublisher
from tests.support.simulated_files import World

NAME: Final = "The directory of the simulator"
_OUT: Final = ("output", "periods", "transactions", "published", "late", "state", "committed")
"""What a broker has of publications."""


class Directory:
    """What lasts, and what must be in it."""

    def __init__(self, scenario: Scenario, broker: Broker, chance: random.Random) -> None:
        decode, window = scenario.asked.decode, scenario.window
        self.settings = RunSettings("dir:/in", "dir:/out", window=window, decode=decode)
        self.machine = World()
        self._broker = broker
        self._chance = chance
        self._lines: list[bytes] = []
        self._states: dict[int, tuple[list[bytes], dict[str, Any]]] = {}
        """By commit: the lines, and what the broker had."""
        self._remember(0)

    def committed(self, transaction: Transaction, lines: list[bytes]) -> None:
        """There is a new manifest; raises Difference unless it names these lines more than the one before."""
        try:
            self._broker.commit(transaction)
        except Fenced:
            raise Difference("fenced: a leader that was replaced has published") from None
        self._lines += lines
        found = self._manifest()
        assert found is not None
        self._compare(found)
        self._remember(found.commit)

    @property
    def commit(self) -> int:
        """Of the manifest."""
        found = self._manifest()
        return 0 if found is None else found.commit

    def lose_power(self) -> None:
        """The machine is started again; what is left must be what once was."""
        self.machine.lose_power(self._chance)
        found = self._manifest()
        lines, of_broker = self._states[0 if found is None else found.commit]
        self._lines = list(lines)
        for name, value in deepcopy(of_broker).items():
            setattr(self._broker, name, value)
        if found is not None:
            self._compare(found)

    def _manifest(self) -> Manifest | None:
        content = self.machine.content(manifests.NAME)
        return None if content is None else manifests.decode(content, NAME)

    def _compare(self, found: Manifest) -> None:
        lines: list[bytes] = []
        for day in found.days.values():
            for file in (*day.jsonl, *day.parquet):
                if len(self.machine.content(file.path) or b"") < file.bytes:
                    raise Difference(f"lost: {file.path} has less than the {file.bytes} bytes that count")
            for file in day.jsonl:
                lines += (self.machine.content(file.path) or b"")[: file.bytes].splitlines()
        if lines != self._lines:
            raise Difference(f"lines: {len(lines)} are named, which are not the {len(self._lines)} published")

    def _remember(self, commit: int) -> None:
        of_broker = deepcopy({name: getattr(self._broker, name) for name in _OUT})
        self._states[commit] = list(self._lines), of_broker


class DirectoryPublisher(SteppedPublisher):
    """A step is a call to the file system."""

    def __init__(
        self,
        scenario: Scenario,
        broker: Broker,
        directory: Directory,
        signature: str,
        confirm: Callable[[], object],
        chance: random.Random,
    ) -> None:
        process = Process(directory.machine, chance, lambda: self._fails(0.2))
        process.replaced = self._replaced
        super().__init__(scenario, broker, chance, process)
        self._directory = directory
        numbers = PublisherNumbers()
        self._real = Output(
            directory.settings, NAME, process, signature, confirm, lambda point: None, numbers
        )

    @property
    def _output(self) -> Output:
        return self._real

    def _replaced(self, target: str) -> None:
        if target != manifests.NAME:
            return
        publication = self._publication
        if publication is None:
            self._epoch = self._broker.start_producer()
            return
        if self._directory.commit == self._real._manifest.commit:
            # A manifest of the same publications, by whoever has got that wrong.
            return
        transaction = self._transaction(publication, self._real._encoded(publication))
        self._directory.committed(transaction, [value for _, value in transaction.windows])


class DirectorySink:
    """Makes the publishers of one instance."""

    def __init__(
        self, scenario: Scenario, broker: Broker, directory: Directory, chance: random.Random
    ) -> None:
        self._made_of = scenario, broker, directory
        self._chance = chance

    def publisher(
        self, view: object, signature: str, confirm: Callable[[], object], numbers: Mapping[str, int] | Any
    ) -> DirectoryPublisher:
        """Whoever has it leads."""
        return DirectoryPublisher(*self._made_of, signature, confirm, self._chance)
