"""``streamagg ingest``: a port, the workers that accept at it, and what becomes of them."""

import os
import selectors
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from time import monotonic
from types import FrameType
from typing import Final

from streamagg import errors
from streamagg.errors import AccessDenied, ExitCode, StreamaggError, WorkersKeepDying
from streamagg.events import Log
from streamagg.http.meter import Meter
from streamagg.http.numbers import SharedNumbers
from streamagg.http.server import DRAIN_S, check_packages, listeners, tls_context, url_of
from streamagg.ingest.app import ROUTES
from streamagg.ingest.destinations.directory import prepared
from streamagg.ingest.figures import BEAT, Figures, Seen
from streamagg.ingest.link import Credentials, Failed, Link, LinkClosed, Ready, Setup, State, Stop
from streamagg.ingest.seen_keys import SeenKeys
from streamagg.ingest.worker import numbers_of
from streamagg.model.settings import IngestSettings
from streamagg.signals import handled
from streamagg.telemetry import logs
from streamagg.telemetry.endpoint import Shown, open_endpoint
from streamagg.telemetry.health import Health
from streamagg.telemetry.notify import Notifier

Read = Callable[[], list[str]]
"""Digests of the tokens that are good now; raises SettingsError."""
_PROGRAM: Final = "streamagg.ingest.worker"
_LOOK_S: Final = 0.2
_STUCK_S: Final = 30.0
"""A worker that has not moved for so long is replaced."""
_PERIOD_S: Final = 600.0
"""``--max-restarts`` counts deaths within ten minutes."""
USUAL_BYTES: Final = 1_000_000
"""What clients and topics take in a request unless they are told otherwise."""
_OVERHEAD_BYTES: Final = 512
"""Of a record in a request to Kafka, with its key, and of the request."""
_END_S: Final = DRAIN_S + 5.0

log = Log(__name__)


def run(settings: IngestSettings, read_tokens: Read) -> None:
    """Take requests until SIGTERM or SIGINT, and answer what is under way. Raises StreamaggError."""
    check_packages()
    # What is wrong with it is told before anything begins.
    tls_context(settings.listen)
    digests = read_tokens()
    with ExitStack() as stack:
        if settings.sink.kind == "topic":
            settings = _for_topic(settings)
        else:
            stack.enter_context(prepared(settings.sink.at))
        listening = [stack.enter_context(one) for one in listeners(settings.listen.address, settings.workers)]
        if not digests and not _is_here(settings.listen.address):
            log.warning(
                "open_to_all",
                "whoever reaches {address} may write: give --token-file",
                address=settings.listen.address,
            )
        supervisor = Supervisor(settings, listening, digests)
        stack.enter_context(open_endpoint(settings.http, supervisor.shown()))
        stack.enter_context(supervisor.started())
        stack.enter_context(supervisor.listening_to_signals())
        supervisor.run(read_tokens)


def _is_here(address: str) -> bool:
    """Only programs of this machine reach it."""
    return address.rpartition(":")[0] in ("127.0.0.1", "[::1]", "localhost")


def _for_topic(settings: IngestSettings) -> IngestSettings:
    """The same with the limits of the topic, which exists then."""
    from streamagg.kafka.admin import ensure_topic, topic_setting  # librdkafka takes 0.1 s to load

    topic = settings.sink.at
    ensure_topic(
        settings.kafka,
        topic,
        partitions=settings.output_partitions,
        replicas=settings.output_replicas,
        config={},
        create=settings.create_topics,
    )
    try:
        most = int(topic_setting(settings.kafka, topic, "max.message.bytes") or USUAL_BYTES)
    except AccessDenied:
        # A larger one would take all that are sent together with it along.
        most = USUAL_BYTES
    fitting = min(settings.max_record_bytes, most - _OVERHEAD_BYTES)
    return replace(settings, topic_bytes=most, max_record_bytes=fitting)


class _Process:
    """A worker, and the link to it."""

    def __init__(self, setup: Setup, digests: list[str]) -> None:
        ours, theirs = socket.socketpair()
        descriptors = (theirs.fileno(), setup.listening, setup.numbers, setup.keys)
        # A Ctrl-C of the terminal must not hit it before it can ignore the signal.
        numbers = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
        before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-m", _PROGRAM, str(theirs.fileno()), logs.level(), logs.form()],
                pass_fds=descriptors,
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        self.link = Link(ours)
        self.ready = False
        self.trouble: str | None = None
        """Why it can write nothing."""
        self.began = monotonic()
        self.send(setup)
        self.send(Credentials(digests))

    def send(self, message: Setup | Credentials | Stop) -> None:
        """One that is dying is replaced, and hears it then."""
        with suppress(LinkClosed):
            self.link.send(message)


class Supervisor:
    """Starts workers, replaces those that die, and ends them."""

    def __init__(
        self, settings: IngestSettings, listening: Sequence[socket.socket], digests: list[str]
    ) -> None:
        """``listening``: the socket of each worker, kept for the one that takes its place."""
        self._settings = settings
        self._listening = listening
        self._digests = digests
        self._numbers: SharedNumbers = numbers_of(settings.workers)
        self._figures = Figures(self._numbers)
        self._keys = SeenKeys(settings.idempotency_keys, settings.workers)
        self._health = Health()
        self._notifier = Notifier()
        self._deaths: deque[float] = deque()
        self._selector = selectors.DefaultSelector()
        self._processes: list[_Process] = []
        self._told_ready = False
        self._stop = False
        self._reload = False

    def shown(self) -> Shown:
        """What others may ask."""
        room = self._settings.queue_bytes * self._settings.workers
        return Shown(Seen(self._figures, Meter(self._numbers, ROUTES), room).registry, self._health)

    @contextmanager
    def started(self) -> Iterator["Supervisor"]:
        """With its workers; all of them have ended behind it."""
        try:
            self._processes = [self._start(number) for number in range(self._settings.workers)]
            yield self
        finally:
            self._end()

    @contextmanager
    def listening_to_signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT end it, a second SIGINT at once; SIGHUP reads tokens and certificate again."""

        def stop(number: int, frame: FrameType | None) -> None:
            if self._stop and number == signal.SIGINT:
                # The workers see their links close.
                os._exit(ExitCode.INTERRUPTED)
            self._stop = True
            logs.tell("stopping", "stopping ...")

        def reload(number: int, frame: FrameType | None) -> None:
            self._reload = True

        with handled([signal.SIGTERM, signal.SIGINT], stop), handled([signal.SIGHUP], reload):
            yield

    def run(self, read_tokens: Read) -> None:
        """Until a signal says so. Raises what a worker reports, and WorkersKeepDying."""
        while not self._stop:
            self._beat()
            ready = {key.data for key, _ in self._selector.select(_LOOK_S)}
            for number, process in enumerate(self._processes):
                if number in ready:
                    self._hear(number, process)
                elif monotonic() - max(self._numbers.of(BEAT, number), process.began) > _STUCK_S:
                    process.process.kill()
            self._tell_ready()
            if self._reload:
                self._reload = False
                self._renew(read_tokens)

    def _beat(self) -> None:
        self._notifier.beat()
        self._health.beat()
        why = [one.trouble if one.ready else "does not take requests yet" for one in self._processes]
        self._health.show([f"worker-{number}: {text}" for number, text in enumerate(why) if text is not None])

    def _hear(self, number: int, process: _Process) -> None:
        try:
            messages = process.link.receive()
        except LinkClosed:
            self._replace(number, process)
            return
        for message in messages:
            match message:
                case Ready():
                    process.ready = True
                case State(trouble):
                    process.trouble = trouble
                case Failed(kind, text):
                    raise getattr(errors, kind, StreamaggError)(text)

    def _replace(self, number: int, process: _Process) -> None:
        """Raises WorkersKeepDying."""
        self._selector.unregister(process.link)
        process.link.close()
        code = process.process.wait()
        now = monotonic()
        self._deaths.append(now)
        while now - self._deaths[0] > _PERIOD_S:
            self._deaths.popleft()
        if len(self._deaths) > self._settings.max_restarts:
            raise WorkersKeepDying(
                f"Workers have died {len(self._deaths)} times within ten minutes, more often than"
                " --max-restarts allows. The log says of what."
            )
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        log.warning(
            "worker_replaced",
            "{worker} (process {pid}) died: {how}; replaced",
            worker=f"worker-{number}",
            pid=process.process.pid,
            how=how,
        )
        self._figures.restarted()
        self._processes[number] = self._start(number)

    def _start(self, number: int) -> _Process:
        descriptors = (self._listening[number].fileno(), self._numbers.descriptor, self._keys.descriptor)
        process = _Process(Setup(self._settings, number, *descriptors), self._digests)
        self._selector.register(process.link, selectors.EVENT_READ, number)
        log.debug(
            "worker_started",
            "{worker} is process {pid}",
            worker=f"worker-{number}",
            pid=process.process.pid,
        )
        return process

    def _tell_ready(self) -> None:
        if self._told_ready or not all(process.ready for process in self._processes):
            return
        self._told_ready = True
        self._notifier.ready()
        log.info(
            "ingest_serving",
            "taking records at {url}/v1/records, into {output}",
            url=url_of(self._listening[0], self._settings.listen),
            output=self._settings.output,
        )

    def _renew(self, read_tokens: Read) -> None:
        try:
            self._digests = read_tokens()
        except StreamaggError as error:
            log.warning("not_renewed", "{error} The former ones are kept.", error=error)
            return
        for process in self._processes:
            process.send(Credentials(self._digests))
        log.info("renewed", "tokens and certificate were read again")

    def _end(self) -> None:
        """Wait until the workers have answered what is under way; kill those that do not end."""
        self._notifier.stopping()
        # With those of the workers: then nothing waits here that nobody accepts.
        for one in self._listening:
            one.close()
        for process in self._processes:
            process.send(Stop())
        deadline = monotonic() + _END_S
        for process in self._processes:
            try:
                process.process.wait(max(0.0, deadline - monotonic()))
            except subprocess.TimeoutExpired:
                process.process.kill()
                process.process.wait()
            process.link.close()
        self._notifier.close()
        self._selector.close()
