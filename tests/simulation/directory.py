"""An output directory: the real one, on a simulated file system, one step at a time.

What it names is compared with what the simulated broker has been told, publication by publication; the broker
stands for all who look at what is out.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from typing import Any, Final

from streamagg.model.measured import PublisherNumbers
from streamagg.model.settings import RunSettings
from streamagg.sinks.contract import Publication, PublishFailed, Stored
from streamagg.sinks.directory import manifest as manifests
from streamagg.sinks.directory.manifest import Manifest
from streamagg.sinks.directory.output import Output
from streamagg.sinks.json_records import render
from tests.simulation.broker import Broker, Difference, Fenced, Transaction
from tests.simulation.disk import Process
from tests.simulation.scenario import Scenario
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


class DirectoryPublisher:
    """One leader's; implements ``sinks.contract.LeaderPublisher``."""

    def __init__(
        self,
        scenario: Scenario,
        broker: Broker,
        directory: Directory,
        signature: str,
        confirm: Callable[[], object],
        chance: random.Random,
    ) -> None:
        self._scenario = scenario
        self._broker = broker
        self._directory = directory
        self._chance = chance
        self._process = Process(directory.machine, chance, lambda: self._fails(0.2))
        self._process.replaced = self._replaced
        numbers = PublisherNumbers()
        self._output = Output(
            directory.settings, NAME, self._process, signature, confirm, lambda point: None, numbers
        )
        self._epoch = 0
        self._publication: Publication | None = None
        self._result: Publication | Exception | None = None
        self._wrong: Difference | None = None
        self.busy = False

    @property
    def working(self) -> bool:
        """There is a step to take."""
        return self._process.works

    def start(self, give_up: Callable[[], bool]) -> bool:
        """Raise the epoch."""
        self._output.open(lambda: True)
        return True

    def checkpoints(self, partitions: Iterable[int]) -> Stored:
        """Those of the manifest."""
        return self._output.checkpoints(partitions)

    def state(self, alive: Callable[[], object]) -> Iterator[tuple[bytes, bytes]]:
        """What its files hold."""
        found = dict(self._output.state(alive))
        if found != self._broker.state:
            raise Difference(f"state: {sorted(found)} is kept, not {sorted(self._broker.state)}")
        return iter(found.items())

    def fileno(self) -> int:
        """Nobody waits here."""
        raise NotImplementedError

    def close(self, timeout_s: float) -> None:
        """What it has begun goes on."""

    def submit(self, publication: Publication) -> None:
        """Begin to publish."""
        assert not self.busy, "one publication at a time"
        self.busy = True
        self._publication = publication
        self._broker.letters |= set(publication.future)
        self._process.begin(lambda: self._publish(publication))

    def finished(self) -> Publication | None:
        """The publication that is out; raises PublishFailed, also when it has waited for too long."""
        result, self._result = self._result, None
        if result is None:
            # It is looked at some forty times until it is out.
            if self.busy and self._fails(0.02):
                self.busy = False
                raise PublishFailed("waited for too long")
            return None
        self.busy = False
        if isinstance(result, Exception):
            raise result
        return result

    def step(self) -> None:
        """One call to the file system; raises Difference."""
        self._process.step()
        if self._wrong is not None:
            raise self._wrong

    def describe(self) -> str:
        """What it is about."""
        publication = self._publication
        assert publication is not None
        return f"windows {[count.window for count in publication.windows]} to the directory"

    def die(self) -> None:
        """SIGKILL."""
        self._process.kill()

    def _publish(self, publication: Publication) -> None:
        try:
            self._output.publish(publication, 0.0)
        except Difference as difference:
            self._wrong = difference
        except Exception as error:
            self._result = self._output.failure(error)
        else:
            self._result = publication

    def _replaced(self, target: str) -> None:
        if target != manifests.NAME:
            return
        publication = self._publication
        if publication is None:
            self._epoch = self._broker.start_producer()
            return
        if self._directory.commit == self._output._manifest.commit:
            # A manifest of the same publications, by whoever has got that wrong.
            return
        windows, decode = self._scenario.plan.windows, self._scenario.asked.decode
        rows = [row for table in publication.tables for row in render(windows, table, decode.group_by)]
        late = [(told.partition, offset) for told in publication.late for offset in told.offset.tolist()]
        offsets = self._output._encoded(publication)
        transaction = Transaction(self._epoch, rows, late, offsets, publication.state)
        self._directory.committed(transaction, [value for _, value in rows])

    def _fails(self, share: float) -> bool:
        return self._chance.random() < share * self._scenario.odds.publish


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
