"""The main function of a worker: ``python -m streamagg.engine.workers.process <fd> <log level> <log form>``.

The first message on the link says what the worker is. It ends when the link closes, and so with its
parent, however that died.
"""

import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from streamagg import faults
from streamagg.decode import Decoded, Decoder
from streamagg.engine.workers.aggregator import Aggregator
from streamagg.engine.workers.link import Link, LinkClosed
from streamagg.engine.workers.memory import Tidiness, collected_rarely
from streamagg.engine.workers.unmarshaller import Decodes, Unmarshaller, open_unmarshaller
from streamagg.errors import ExitCode, StreamaggError
from streamagg.model.messages import (
    AggregatorSetup,
    Heartbeat,
    Lease,
    Revoke,
    ToAggregator,
    UnmarshallerSetup,
    WorkerFailed,
)
from streamagg.model.settings import DecodeSettings
from streamagg.telemetry import logs
from streamagg.telemetry.process import rss_bytes
from streamagg.telemetry.streams import prepare_stderr

_FETCH_WAIT_MS: Final = 50
"""How long a fetch waits for records."""
_IDLE_WAIT_MS: Final = 500
"""A worker with nothing to do wakes twice a second, to send its heartbeat in time."""
_HEARTBEAT_S: Final = 1.0
"""A thirtieth of the silence after which a worker is taken to be stuck. Sending and taking one costs 8 µs
("What metrics cost" in REPORT.md)."""


class _Heart:
    """Sends a heartbeat every second, and keeps the process tidy."""

    def __init__(self, link: Link, report: Callable[[float, int], Heartbeat]) -> None:
        self._link = link
        self._report = report
        self._next = 0.0
        self._tidiness = Tidiness()

    def beat(self) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + _HEARTBEAT_S
        self._link.send(self._report(time.process_time(), rss_bytes()))
        self._tidiness.keep()


def run_unmarshaller(link: Link, unmarshaller: Unmarshaller) -> None:
    """Read and decode until the link closes."""
    heart = _Heart(link, unmarshaller.heartbeat)
    while True:
        heart.beat()
        for message in link.receive(0 if unmarshaller.busy else _IDLE_WAIT_MS):
            assert isinstance(message, Lease | Revoke)
            unmarshaller.handle(message)
        if unmarshaller.busy:
            for block in unmarshaller.step(_FETCH_WAIT_MS):
                link.send(block)


def run_aggregator(link: Link, aggregator: Aggregator) -> None:
    """Count until the link closes."""
    heart = _Heart(link, aggregator.heartbeat)
    while True:
        heart.beat()
        for message in link.receive(_IDLE_WAIT_MS):
            assert isinstance(message, ToAggregator)
            for answer in aggregator.handle(message):
                link.send(answer)


class _PoisonedDecoder:
    """Dies of a record that holds a text: for tests only."""

    def __init__(self, decoder: Decoder, poison: bytes) -> None:
        self._decoder = decoder
        self._poison = poison

    def decode(self, payloads: Sequence[bytes | None]) -> Decoded:
        for payload in payloads:
            if payload is not None and self._poison in payload:
                os.kill(os.getpid(), signal.SIGKILL)
        return self._decoder.decode(payloads)


def _decoder(settings: DecodeSettings) -> Decodes:
    decoder, poison = Decoder(settings), faults.poison()
    return decoder if poison is None else _PoisonedDecoder(decoder, poison)


def _work(link: Link) -> None:
    messages = link.receive(_IDLE_WAIT_MS)
    while not messages:
        messages = link.receive(_IDLE_WAIT_MS)
    match messages:
        case [UnmarshallerSetup() as setup, *rest]:
            unmarshaller = open_unmarshaller(setup, _decoder(setup.decode))
            for message in rest:
                assert isinstance(message, Lease | Revoke)
                unmarshaller.handle(message)
            with collected_rarely():
                run_unmarshaller(link, unmarshaller)
        case [AggregatorSetup() as setup, *rest]:
            aggregator = Aggregator(setup)
            for message in rest:
                assert isinstance(message, ToAggregator)
                for answer in aggregator.handle(message):
                    link.send(answer)
            run_aggregator(link, aggregator)


def main() -> None:
    """Work until the link closes; a StreamaggError is reported to the coordinator."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    prepare_stderr()
    level, form = sys.argv[2:]
    logs.setup(level, "json" if form == "json" else "human")
    link = Link(socket.socket(fileno=int(sys.argv[1])))
    try:
        _work(link)
    except LinkClosed:
        pass
    except StreamaggError as error:
        # Unless another worker has said the same before, and the coordinator has ended.
        with suppress(LinkClosed):
            link.send(WorkerFailed(type(error).__name__, str(error)))
    except MemoryError:
        logs.tell("worker_out_of_memory", "a worker has no memory left, and ends", logging.ERROR)
        os._exit(ExitCode.FAILURE)
    sys.stdout.flush()
    logs.close()
    # The clients' threads hold nothing that matters: leases are issued again.
    os._exit(0)


if __name__ == "__main__":
    main()
