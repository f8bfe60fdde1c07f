"""A worker process: ``python -m streamagg.ingest.worker <descriptor of its link> <log level> <log form>``.

It ends when it is told to or its link closes, and so with its parent, however that died.
"""

import asyncio
import gc
import logging
import os
import signal
import socket
import ssl
import sys
import threading
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any, Final

import uvloop

from streamagg.errors import ExitCode, StreamaggError
from streamagg.events import Log
from streamagg.http.access_log import AccessLog
from streamagg.http.front import Front
from streamagg.http.meter import Meter
from streamagg.http.meter import keys as meter_keys
from streamagg.http.numbers import SharedNumbers
from streamagg.http.server import load_certificate, server, tls_context
from streamagg.http.tokens import Tokens
from streamagg.ingest.app import ROUTES, Ingest, Limits
from streamagg.ingest.committer import Committer
from streamagg.ingest.destinations.contract import Destination
from streamagg.ingest.destinations.directory import Directory, folder_of
from streamagg.ingest.figures import BEAT, KEYS, Figures
from streamagg.ingest.link import Credentials, Failed, Link, LinkClosed, Message, Ready, Setup, State, Stop
from streamagg.ingest.room import Room
from streamagg.ingest.seen_keys import SeenKeys
from streamagg.model.settings import IngestSettings
from streamagg.telemetry import logs
from streamagg.telemetry.streams import prepare_stderr

BEAT_S: Final = 1.0
_SWITCH_S: Final = 0.002
"""How long the thread that writes waits for the one that takes requests, or the other way round; Python would
have them wait for 5 ms, and less makes both of them slower."""
_MOST_YOUNG: Final = 50_000
"""Objects between two looks for cycles. A request has some twenty, none in a cycle, and they come and go by
groups of hundreds: with Python's 700, looking for cycles took 15 % of the time."""

log = Log(__name__)


def numbers_of(workers: int, worker: int = 0, descriptor: int | None = None) -> SharedNumbers:
    """The memory for what all workers count."""
    return SharedNumbers([*meter_keys(ROUTES), *KEYS], workers, worker, descriptor)


class Worker:
    """What one process consists of."""

    def __init__(self, setup: Setup, tokens: Tokens, link: Link) -> None:
        """Raises StreamaggError and OSError."""
        self._settings = setup.settings
        self._link = link
        self._tokens = tokens
        self._listening = socket.socket(fileno=setup.listening)
        self._numbers = numbers_of(setup.settings.workers, setup.worker, setup.numbers)
        self._meter = Meter(self._numbers, ROUTES)
        self._figures = Figures(self._numbers)
        self._seen = SeenKeys(
            setup.settings.idempotency_keys, setup.settings.workers, setup.worker, setup.keys
        )
        self._seen.begin_life()
        self._room = Room(setup.settings.queue_bytes)
        self._told: str | None = None
        """What the parent was told last: why nothing can be written."""
        self._context: ssl.SSLContext | None = tls_context(setup.settings.listen)
        self._destination = _destination(setup.settings, setup.worker)

    async def serve(self, told: Sequence[Message]) -> None:
        """Until it is told to end, and what was taken is answered; ``told``: what has come so far."""
        loop = asyncio.get_running_loop()
        committer = Committer(self._destination, loop, self._figures.committed)
        listen = self._settings.listen
        routes = self._app(committer).routes
        front = Front(routes.get, self._tokens, self._meter, AccessLog(listen.access_log_ms))
        http = server(front, listen, self._meter, self._context)
        loop.add_reader(self._link, self._hear, http)
        self._beat(loop, committer)
        self._obey(told, http)
        self._link.send(Ready())
        await http.serve(sockets=[self._listening])
        loop.remove_reader(self._link)
        await asyncio.to_thread(committer.close)

    def _app(self, committer: Committer) -> Ingest:
        settings = self._settings
        return Ingest(
            Limits(settings.max_body_bytes, settings.max_record_bytes, settings.sink.kind == "topic"),
            self._room,
            self._seen,
            committer.write,
            lambda: committer.trouble,
            self._figures,
            self._meter,
        )

    def _hear(self, http: Any) -> None:
        try:
            messages = self._link.receive()
        except LinkClosed:
            messages = [Stop()]
        self._obey(messages, http)

    def _obey(self, messages: Sequence[Message], http: Any) -> None:
        for message in messages:
            match message:
                case Credentials(digests):
                    self._renew(digests)
                case Stop():
                    http.should_exit = True

    def _renew(self, digests: list[str]) -> None:
        self._tokens.replace(digests)
        if self._context is None:
            return
        try:
            load_certificate(self._context, self._settings.listen)
        except StreamaggError as error:
            log.warning("not_renewed", "{error} The former ones are kept.", error=error)

    def _beat(self, loop: asyncio.AbstractEventLoop, committer: Committer) -> None:
        self._numbers.set(BEAT, monotonic())
        self._figures.waiting(self._room.taken)
        if committer.trouble != self._told:
            self._told = committer.trouble
            # The parent may be gone; then this ends, too.
            with suppress(LinkClosed):
                self._link.send(State(self._told))
        loop.call_later(BEAT_S, self._beat, loop, committer)


def _destination(settings: IngestSettings, worker: int) -> Destination:
    if settings.sink.kind == "topic":
        from streamagg.ingest.destinations.topic import Topic  # librdkafka takes 0.1 s to load

        return Topic(settings.kafka, settings.sink.at, settings.topic_bytes)
    return Directory(folder_of(Path(settings.sink.at), worker), settings.roll_ms)


def _work(link: Link) -> None:
    messages = link.receive()
    while len(messages) < 2:
        messages += link.receive()
    setup, credentials, *rest = messages
    assert isinstance(setup, Setup)
    assert isinstance(credentials, Credentials)
    worker = Worker(setup, Tokens(credentials.digests), link)
    # What is there now stays: no collection has to look at it again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(_MOST_YOUNG)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(worker.serve(rest))


def _end(failed: threading.ExceptHookArgs) -> None:
    """Nothing waits for a thread that has failed: another worker is better."""
    text = "".join(traceback.format_exception(failed.exc_value))
    logs.tell("worker_failed", f"a worker has met a defect, and ends: {text}", logging.ERROR)
    os._exit(ExitCode.FAILURE)


def main() -> None:
    """Serve until the link closes; a StreamaggError is reported to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    prepare_stderr()
    level, form = sys.argv[2:]
    logs.setup(level, "json" if form == "json" else "human")
    sys.setswitchinterval(_SWITCH_S)
    threading.excepthook = _end
    link = Link(socket.socket(fileno=int(sys.argv[1])))
    try:
        _work(link)
    except LinkClosed:
        pass
    except StreamaggError as error:
        # The parent may have ended meanwhile.
        with suppress(LinkClosed):
            link.send(Failed(type(error).__name__, str(error)))
    except OSError as error:
        with suppress(LinkClosed):
            link.send(Failed(StreamaggError.__name__, f"A worker cannot write: {error}."))
    logs.close()
    # The threads of the client hold nothing that matters: what they had is acknowledged, or refused.
    os._exit(ExitCode.OK)


if __name__ == "__main__":
    main()
