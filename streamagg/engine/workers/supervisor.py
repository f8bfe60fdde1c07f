"""Worker processes: started afresh (never forked), watched, replaced within a budget, ended by id.

A worker is alive while it sends heartbeats. Its socket closes with this process, however that dies,
and then it ends too.
"""

import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from time import monotonic
from typing import Final

from streamagg import errors
from streamagg.engine.workers.contract import AggregatorLost, Event, ShardAnswer, UnmarshallerReplaced
from streamagg.engine.workers.heartbeat_totals import HeartbeatTotals
from streamagg.engine.workers.link import Link, LinkClosed
from streamagg.engine.workers.port import Port
from streamagg.engine.workers.restart_limit import RestartLimit
from streamagg.events import Log
from streamagg.model.messages import (
    AggregatorSetup,
    AnyMessage,
    ColumnBlock,
    Heartbeat,
    ShardCount,
    Trying,
    UnmarshallerSetup,
    WorkerFailed,
)
from streamagg.telemetry import logs
from streamagg.telemetry.snapshot import RestartCause, WorkerKind, WorkersSample

_SILENCE_S: Final = 30.0
"""A worker that sends nothing for so long is stuck. Waits for Kafka inside it end after 20 s
(``kafka.client.TUNED_CONSUMER``), and a busy machine delays heartbeats by seconds."""
_QUIET_S: Final = 10.0
"""One that sends nothing for so long is not counted on; there is a heartbeat every second."""
_END_S: Final = 3.0
"""For workers to end by themselves, once their links are closed, before they are killed."""
_PROGRAM: Final = "streamagg.engine.workers.process"

log = Log(__name__)


class _Worker:
    """One process and the link to it."""

    def __init__(self, name: str, setup: UnmarshallerSetup | AggregatorSetup) -> None:
        self.name = name
        self.setup = setup
        ours, theirs = socket.socketpair()
        self.link = Link(ours)
        # A Ctrl-C of the terminal reaches the whole process group: it must not hit a worker before it
        # can ignore the signal, and a blocked signal stays blocked in the child.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-m", _PROGRAM, str(theirs.fileno()), logs.level(), logs.form()],
                pass_fds=[theirs.fileno()],
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        self.heard = monotonic()
        self.begun = False
        """It has sent something."""
        self.told = False
        """It has said why it ends."""
        self.stuck = False
        """It was given up because nothing was heard of it."""
        self.link.post(setup)

    def end(self, timeout_s: float) -> None:
        """Close the link, wait, and kill what is left."""
        self.link.close()
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class ProcessWorkers:
    """Unmarshallers and aggregators, each a process of its own."""

    def __init__(
        self,
        unmarshallers: Sequence[UnmarshallerSetup],
        aggregators: Sequence[AggregatorSetup],
        max_restarts: int,
    ) -> None:
        self._budget = RestartLimit(max_restarts)
        self._selector = selectors.DefaultSelector()
        self._polled = monotonic()
        self._ledger = HeartbeatTotals()
        self._unmarshallers = [self._start(f"unmarshaller-{i}", one) for i, one in enumerate(unmarshallers)]
        self._aggregators = [self._start(f"aggregator-{i}", one) for i, one in enumerate(aggregators)]

    @property
    def unmarshallers(self) -> Sequence[Port]:
        """Ports by number."""
        return [worker.link for worker in self._unmarshallers]

    @property
    def aggregators(self) -> Sequence[Port]:
        """Ports by shard."""
        return [worker.link for worker in self._aggregators]

    def poll(self, timeout_ms: int) -> list[Event]:
        """What came within the time-out.

        Raises AggregatorLost, the StreamaggError that a worker reports, and WorkersKeepDying when the
        budget is used up.
        """
        self._flush()
        ready = {key.fileobj for key, _ in self._selector.select(timeout_ms / 1000)}
        events: list[Event] = []
        for number, worker in enumerate(self._unmarshallers):
            messages, alive = self._receive(worker, worker.link in ready)
            events += [m for m in messages if isinstance(m, ColumnBlock | Trying)]
            if not alive:
                self._unmarshallers[number] = self._replace(worker)
                events.append(UnmarshallerReplaced(number))
        for number, worker in enumerate(self._aggregators):
            messages, alive = self._receive(worker, worker.link in ready)
            events += [ShardAnswer(number, m) for m in messages if isinstance(m, ShardCount)]
            if not alive:
                self._aggregators[number] = self._replace(worker)
                raise AggregatorLost(f"{worker.name} died")
        return events

    @property
    def survive_errors(self) -> bool:
        """A process ends with its error."""
        return False

    def watch(self, fileno: int) -> None:
        """Let ``poll`` return early when this descriptor is readable."""
        self._selector.register(fileno, selectors.EVENT_READ)

    def unwatch(self, fileno: int) -> None:
        """Undo ``watch``."""
        self._selector.unregister(fileno)

    def rss_bytes(self) -> int:
        """Resident memory of all worker processes together, as last heard."""
        return self._ledger.rss_bytes()

    def sample(self) -> WorkersSample:
        """What the workers have done, hold and use, as last heard."""
        return self._ledger.sample(
            {worker.name: worker.link.backlog_bytes for worker in self._all()}, self.silent()
        )

    @property
    def starting(self) -> bool:
        """Some have not begun yet."""
        return not all(worker.begun for worker in self._all())

    def silent(self) -> list[str]:
        """Names of the workers that have not begun yet, or from which nothing came for a while."""
        quiet = monotonic() - _QUIET_S
        return [worker.name for worker in self._all() if worker.heard < quiet or not worker.begun]

    def excuse(self, deaths: int) -> None:
        """So many of the last deaths are the fault of records, not of the workers."""
        self._budget.excuse(deaths, monotonic())

    def close(self) -> None:
        """End the workers."""
        deadline = monotonic() + _END_S
        for worker in self._all():
            worker.link.close()
        for worker in self._all():
            worker.end(max(0.0, deadline - monotonic()))
        self._selector.close()

    def _all(self) -> list[_Worker]:
        return [*self._unmarshallers, *self._aggregators]

    def _start(self, name: str, setup: UnmarshallerSetup | AggregatorSetup) -> _Worker:
        worker = _Worker(name, setup)
        self._ledger.begin(name, _kind(setup))
        self._selector.register(worker.link, selectors.EVENT_READ)
        log.debug("worker_started", "started {worker} as process {pid}", worker=name, pid=worker.process.pid)
        return worker

    def _flush(self) -> None:
        for worker in self._all():
            worker.link.flush()
            wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if worker.link.backlog_bytes else 0)
            if self._selector.get_key(worker.link).events != wanted:
                self._selector.modify(worker.link, wanted)
        # Time that the coordinator spent elsewhere is no silence of the workers.
        now = monotonic()
        away = now - self._polled
        self._polled = now
        if away > 1.0:
            for worker in self._all():
                worker.heard += away

    def _receive(self, worker: _Worker, ready: bool) -> tuple[list[AnyMessage], bool]:
        """What a worker sent, if its link is ready, and whether it is alive."""
        try:
            messages = worker.link.receive() if ready else []
        except LinkClosed:
            return [], False
        if messages:
            worker.heard = monotonic()
            worker.begun = True
        for message in messages:
            match message:
                case Heartbeat():
                    self._ledger.heard(worker.name, message)
                case WorkerFailed(kind, text):
                    worker.told = True
                    raise getattr(errors, kind)(text)
        if monotonic() - worker.heard > _SILENCE_S:
            worker.stuck = True
            log.warning(
                "worker_stuck",
                "{worker} (process {pid}) is stuck",
                worker=worker.name,
                pid=worker.process.pid,
            )
            return messages, False
        return messages, True

    def _replace(self, worker: _Worker) -> _Worker:
        self._selector.unregister(worker.link)
        worker.link.close()
        worker.process.kill()
        code = worker.process.wait()
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        self._ledger.ended(worker.name, _cause(worker, code))
        # Whoever heard its reason has decided not to give up because of it.
        before = 0 if worker.told else self._budget.spend(monotonic())
        if self._budget.exceeded:
            raise errors.WorkersKeepDying(
                f"{worker.name} died ({how}), and {before} workers before it within ten minutes; "
                "see the log for the reason, or allow more with --max-restarts"
            )
        log.warning(
            "worker_replaced",
            "{worker} (process {pid}) died: {how}; replaced",
            worker=worker.name,
            pid=worker.process.pid,
            how=how,
        )
        return self._start(worker.name, worker.setup)


def _kind(setup: UnmarshallerSetup | AggregatorSetup) -> WorkerKind:
    return "unmarshaller" if isinstance(setup, UnmarshallerSetup) else "aggregator"


def _cause(worker: _Worker, code: int) -> RestartCause:
    """Why a worker has ended that was killed only after that, or for being stuck."""
    if worker.stuck:
        return "stuck"
    return "signal" if code < 0 else "exit"
