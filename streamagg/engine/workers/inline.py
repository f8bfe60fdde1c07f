"""Workers in this process."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from time import sleep
from typing import Final

from streamagg.engine.workers.aggregator import Aggregator
from streamagg.engine.workers.contract import Event, ShardAnswer
from streamagg.engine.workers.heartbeat_totals import HeartbeatTotals
from streamagg.engine.workers.port import Port
from streamagg.engine.workers.unmarshaller import Unmarshaller
from streamagg.model.messages import (
    AggregatorSetup,
    AnyMessage,
    Lease,
    Revoke,
    ShardCount,
    ToAggregator,
)
from streamagg.telemetry.snapshot import WorkerKind, WorkersSample

_FETCH_WAIT_MS: Final = 20
"""Shorter than in a process of its own: the main loop waits meanwhile."""
_REST_MS: Final = 5
"""Where there is nothing to read: 200 looks a second cost next to nothing, and delay a window by no more than
this."""


class _LocalAggregator:
    """An aggregator that answers at once."""

    backlog_bytes = 0

    def __init__(self, setup: AggregatorSetup) -> None:
        self.aggregator = Aggregator(setup)
        self.answers: deque[ShardCount] = deque()

    def post(self, message: AnyMessage) -> None:
        assert isinstance(message, ToAggregator)
        self.answers.extend(self.aggregator.handle(message))


class _LocalUnmarshaller:
    """An unmarshaller that works when it is polled."""

    backlog_bytes = 0

    def __init__(self, unmarshaller: Unmarshaller) -> None:
        self.unmarshaller = unmarshaller

    def post(self, message: AnyMessage) -> None:
        assert isinstance(message, Lease | Revoke)
        self.unmarshaller.handle(message)


class InlineWorkers:
    """The same parts in this process: for pipes, tests and tiny machines."""

    def __init__(self, unmarshallers: Sequence[Unmarshaller], aggregators: Sequence[AggregatorSetup]) -> None:
        self._unmarshallers = [_LocalUnmarshaller(unmarshaller) for unmarshaller in unmarshallers]
        self._aggregators = [_LocalAggregator(setup) for setup in aggregators]

    @property
    def unmarshallers(self) -> Sequence[Port]:
        """Ports by number."""
        return self._unmarshallers

    @property
    def aggregators(self) -> Sequence[Port]:
        """Ports by shard."""
        return self._aggregators

    def poll(self, timeout_ms: int) -> list[Event]:
        """One round of every unmarshaller that has a lease, and all counts."""
        events: list[Event] = []
        for local in self._unmarshallers:
            if local.unmarshaller.busy:
                events += local.unmarshaller.step(min(timeout_ms, _FETCH_WAIT_MS))
        for shard, aggregator in enumerate(self._aggregators):
            while aggregator.answers:
                events.append(ShardAnswer(shard, aggregator.answers.popleft()))
        if not events and not any(local.unmarshaller.busy for local in self._unmarshallers):
            # The caller waits for something else, and should not spin meanwhile.
            sleep(min(timeout_ms, _REST_MS) / 1000)
        return events

    @property
    def survive_errors(self) -> bool:
        """Nothing of this process ends with an error of one file."""
        return True

    def watch(self, fileno: int) -> None:
        """Every round is short: nothing to do."""

    def unwatch(self, fileno: int) -> None:
        """Nothing to undo."""

    def rss_bytes(self) -> int:
        """No processes of their own."""
        return 0

    def sample(self) -> WorkersSample:
        """The same as of processes, but that they use nothing of their own."""
        totals, backlog_bytes = HeartbeatTotals(), dict[str, int]()
        for kind, number, worker in self._all():
            name = f"{kind}-{number}"
            totals.begin(name, kind)
            totals.heard(name, worker.heartbeat(0.0, 0))
            backlog_bytes[name] = 0
        return replace(totals.sample(backlog_bytes, ()), processes={})

    @property
    def starting(self) -> bool:
        """They are there from the beginning."""
        return False

    def silent(self) -> list[str]:
        """Nobody waits here."""
        return []

    def excuse(self, deaths: int) -> None:
        """Nothing dies alone here."""

    def close(self) -> None:
        """Close readers."""
        for local in self._unmarshallers:
            local.unmarshaller.close()

    def _all(self) -> Iterator[tuple[WorkerKind, int, Unmarshaller | Aggregator]]:
        for number, local in enumerate(self._unmarshallers):
            yield "unmarshaller", number, local.unmarshaller
        for shard, counting in enumerate(self._aggregators):
            yield "aggregator", shard, counting.aggregator
