"""Workers as the coordinator sees them: real unmarshallers and aggregators behind slow links."""

import random
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

from streamagg.decode import Decoder
from streamagg.engine.workers.aggregator import Aggregator
from streamagg.engine.workers.contract import AggregatorLost, Event, ShardAnswer, UnmarshallerReplaced
from streamagg.engine.workers.port import Port
from streamagg.engine.workers.unmarshaller import Unmarshaller
from streamagg.model.batch import Batch
from streamagg.model.measured import ClientNumbers
from streamagg.model.messages import (
    AggregatorSetup,
    AnyMessage,
    ColumnBlock,
    FreeWindow,
    Lease,
    Revoke,
    ShardCount,
    ToAggregator,
    Trying,
)
from streamagg.sources.contract import Source
from streamagg.telemetry.snapshot import WorkersSample
from tests.simulation.broker import Broker, Difference
from tests.simulation.scenario import Scenario

_decoder = cache(Decoder)


class SimWorker:
    """A process at the far end of a link, which keeps the order of its messages."""

    def __init__(self) -> None:
        self.inbox: deque[AnyMessage] = deque()
        self.outbox: deque[AnyMessage] = deque()
        self.alive = True
        self.frozen_until_ms = 0
        """SIGSTOP."""

    @property
    def ready(self) -> bool:
        """There is something to do."""
        return bool(self.inbox)

    def work(self, chance: random.Random) -> None:
        """One step of the process."""
        raise NotImplementedError

    def die(self) -> None:
        """SIGKILL: what it has sent is still on the link."""
        self.alive = False
        self.inbox.clear()


class SimUnmarshaller(SimWorker):
    """Reads leases through the real reader and decoder."""

    def __init__(self, scenario: Scenario, source: Source, letters: "Letters") -> None:
        super().__init__()
        decode = scenario.asked.decode
        reader = source.reader(decode.max_record_bytes, ClientNumbers())
        self._unmarshaller = Unmarshaller(reader, _decoder(decode), scenario.window.max_jump_ms, letters)

    @property
    def ready(self) -> bool:
        """There is a message or a lease."""
        return self.alive and (bool(self.inbox) or self._unmarshaller.busy)

    def work(self, chance: random.Random) -> None:
        """Take some messages; fetch; send the blocks, unless it dies between two of them."""
        for _ in range(min(len(self.inbox), chance.randrange(1, 4))):
            message = self.inbox.popleft()
            assert isinstance(message, Lease | Revoke)
            self._unmarshaller.handle(message)
        if self._unmarshaller.busy:
            for block in self._unmarshaller.step(0):
                self.outbox.append(block)


class SimAggregator(SimWorker):
    """Counts in the real ring."""

    def __init__(self, setup: AggregatorSetup, dawdles: Callable[[], bool]) -> None:
        super().__init__()
        self._dawdles = dawdles
        self._aggregator = Aggregator(setup)

    @property
    def ready(self) -> bool:
        """There is a message, and it feels like it."""
        return bool(self.inbox) and not self._dawdles()

    def work(self, chance: random.Random) -> None:
        """Take some messages."""
        for _ in range(min(len(self.inbox), chance.randrange(1, 6))):
            message = self.inbox.popleft()
            assert isinstance(message, ToAggregator)
            self.outbox.extend(self._aggregator.handle(message))


class Letters:
    """The dead-letter topic of unmarshallers."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def put(self, batch: Batch, rejected: Sequence[tuple[int, str]]) -> None:
        """Write down where they are."""
        self._broker.letters.update((batch.partition, int(batch.offsets[at])) for at, _ in rejected)


class SimPort:
    """The coordinator's end of a link."""

    def __init__(self, worker: SimWorker, full: int, may_free: Callable[[int], bool]) -> None:
        self._worker = worker
        self._full = full
        self._may_free = may_free

    def post(self, message: AnyMessage) -> None:
        """Send without waiting; a dead worker gets nothing."""
        if isinstance(message, FreeWindow) and not self._may_free(message.window):
            raise Difference(f"window {message.window} is freed before it is committed")
        if self._worker.alive:
            self._worker.inbox.append(message)

    @property
    def backlog_bytes(self) -> int:
        """Full at so many messages."""
        return 9 << 20 if len(self._worker.inbox) >= self._full else 0


class SimWorkers:
    """All workers of one instance; implements ``engine.workers.contract.Workers``."""

    def __init__(
        self,
        scenario: Scenario,
        broker: Broker,
        source: Source,
        chance: random.Random,
    ) -> None:
        self._scenario = scenario
        self._broker = broker
        self._source = source
        self._chance = chance
        self._linger = scenario.odds.linger
        self.readers = [self._reader() for _ in range(scenario.unmarshallers)]
        self.shards = [self._shard() for _ in range(scenario.aggregators)]

    @property
    def all(self) -> list[SimWorker]:
        """Every process."""
        return [*self.readers, *self.shards]

    @property
    def unmarshallers(self) -> Sequence[Port]:
        """Ports by number."""
        return [self._port(worker) for worker in self.readers]

    @property
    def aggregators(self) -> Sequence[Port]:
        """Ports by shard."""
        return [self._port(worker) for worker in self.shards]

    def poll(self, timeout_ms: int) -> list[Event]:
        """Some of what is on the links; raises AggregatorLost."""
        events: list[Event] = []
        for number, worker in enumerate(self.readers):
            events += self._received(worker, ColumnBlock | Trying)
            if self._ended(worker):
                self.readers[number] = self._reader()
                events.append(UnmarshallerReplaced(number))
        for number, shard in enumerate(self.shards):
            events += [ShardAnswer(number, count) for count in self._received(shard, ShardCount)]
            if self._ended(shard):
                self.shards[number] = self._shard()
                raise AggregatorLost(f"aggregator {number} died")
        return events

    def _received(self, worker: SimWorker, kind: Any) -> Iterator[Any]:
        if not worker.outbox or self._chance.random() < self._linger:
            return
        for _ in range(min(len(worker.outbox), self._chance.randrange(1, 6))):
            message = worker.outbox.popleft()
            assert isinstance(message, kind)
            yield message

    def _ended(self, worker: SimWorker) -> bool:
        return not worker.alive and not worker.outbox

    def _reader(self) -> SimUnmarshaller:
        return SimUnmarshaller(self._scenario, self._source, Letters(self._broker))

    def _shard(self) -> SimAggregator:
        plan, sluggish = self._scenario.plan, self._scenario.odds.sluggish
        setup = AggregatorSetup(plan.slots, plan.ceiling, plan.decode, window=plan.window)
        return SimAggregator(setup, lambda: self._chance.random() < sluggish)

    def _port(self, worker: SimWorker) -> SimPort:
        windows = self._scenario.plan.windows
        may_free = lambda window: windows.start_ms(window) in self._broker.published  # noqa: E731
        return SimPort(worker, self._scenario.full_link, may_free)

    @property
    def survive_errors(self) -> bool:
        """Nobody reports any."""
        return True

    def watch(self, fileno: int) -> None:
        """Nothing waits here."""

    def unwatch(self, fileno: int) -> None:
        """Nothing waits here."""

    def rss_bytes(self) -> int:
        """No processes."""
        return 0

    def sample(self) -> WorkersSample:
        """No processes."""
        return WorkersSample()

    @property
    def starting(self) -> bool:
        """They are there from the beginning."""
        return False

    def silent(self) -> list[str]:
        """Nobody asks."""
        return []

    def excuse(self, deaths: int) -> None:
        """Nobody reads with care here."""

    def close(self) -> None:
        """Nothing to end."""
