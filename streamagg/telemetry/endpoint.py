"""Serves ``/metrics``, ``/livez`` and ``/readyz`` over HTTP from one thread, whoever connects.

Connections cost neither threads nor, beyond ``MOST_CONNECTIONS``, descriptors: a further one takes the place
of the one that has waited longest. A client has ``REQUEST_S`` for its request and for reading the answer.
"""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from http import HTTPStatus
from typing import Final, NamedTuple

import msgspec
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from streamagg.errors import SettingsError
from streamagg.events import Log
from streamagg.model.settings import HttpSettings
from streamagg.telemetry.health import Health

MOST_CONNECTIONS: Final = 100
"""Descriptors that idle or slow clients can take; 1,024 are enough for all of a run (docs/operations.md)."""
REQUEST_S: Final = 5.0
"""A scrape is answered in milliseconds (REPORT.md, "What metrics cost"); whoever takes seconds is slow on
purpose, or gone."""
MOST_REQUEST_BYTES: Final = 8 << 10
"""What other servers allow for all headers, too: 8 KiB."""
_BACKLOG: Final = 128
"""Connections that wait to be accepted: more than ``MOST_CONNECTIONS``, so that it is the limit that
decides."""
_TEXT: Final = "text/plain; charset=utf-8"
_JSON: Final = "application/json"

log = Log(__name__)


class Shown(NamedTuple):
    """What is served."""

    registry: CollectorRegistry
    health: Health


def open_endpoint(settings: HttpSettings | None, shown: Shown) -> AbstractContextManager[str | None]:
    """Serve while the context lasts, if that is wanted and, for the default address, possible.

    Raises SettingsError when an address that was asked for cannot be had.
    """
    if settings is None:
        return nullcontext()
    try:
        return serving(settings.address, shown)
    except SettingsError as error:
        if settings.required:
            raise
        log.warning(
            "http_unavailable",
            "it goes on without metrics and health: {error}",
            error=error,
            address=settings.address,
        )
        return nullcontext()


def serving(address: str, shown: Shown) -> AbstractContextManager[str]:
    """Serve at ``host:port`` while the context lasts, which yields the URL, with the real port for port 0.

    Raises SettingsError when the address cannot be had.
    """
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, int(port)), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise SettingsError(
            f"--http {address} cannot be served: {error.strerror}. Name a free port of this machine."
        ) from error
    return _served(listener, f"[{host}]" if ":" in host else host, shown)


@contextmanager
def _served(listener: socket.socket, host: str, shown: Shown) -> Iterator[str]:
    loop, stop = asyncio.new_event_loop(), asyncio.Event()
    thread = threading.Thread(
        target=loop.run_until_complete, args=(_serve(listener, shown, stop),), name="http", daemon=True
    )
    thread.start()
    url = f"http://{host}:{listener.getsockname()[1]}"
    log.info("http_serving", "metrics at {url}/metrics", url=url)
    try:
        yield url
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


async def _serve(listener: socket.socket, shown: Shown, stop: asyncio.Event) -> None:
    connections: _Connections = {}
    server = await asyncio.get_running_loop().create_server(
        lambda: _Connection(shown, connections), sock=listener, backlog=_BACKLOG
    )
    await stop.wait()
    server.close()
    for connection in list(connections):
        connection.abort()
    # The loop closes their sockets in its next round.
    await asyncio.sleep(0)


class _Connection(asyncio.Protocol):
    """One client, one request."""

    def __init__(self, shown: Shown, all_of_them: "_Connections") -> None:
        self._shown = shown
        self._all = all_of_them
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the time limit; make room."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._limit = asyncio.get_running_loop().call_later(REQUEST_S, transport.abort)
        self._all[self] = None
        if len(self._all) > MOST_CONNECTIONS:
            next(iter(self._all)).abort()

    def data_received(self, data: bytes) -> None:
        """Answer once the head of the request is complete; a body is not looked at."""
        if self._transport.is_closing():
            return
        self._received += data
        head, ended, _ = self._received.partition(b"\r\n\r\n")
        if ended:
            self._transport.write(_response(head.decode("latin-1"), self._shown))
            self._transport.close()
        elif len(self._received) > MOST_REQUEST_BYTES:
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Make room for another."""
        self._limit.cancel()
        self._all.pop(self, None)

    def abort(self) -> None:
        """Close at once, whatever is not sent; the place is free from here on."""
        self._all.pop(self, None)
        self._transport.abort()


_Connections = dict[_Connection, None]
"""Open connections, the oldest first."""


def _response(head: str, shown: Shown) -> bytes:
    """What the head of a request is answered with, body included."""
    request, *headers = head.split("\r\n")
    method, _, rest = request.partition(" ")
    if method not in ("GET", "HEAD"):
        return _rendered(HTTPStatus.METHOD_NOT_ALLOWED, _TEXT, b"GET or HEAD\n")
    match rest.partition(" ")[0].partition("?")[0]:
        case "/metrics":
            encode, kind = choose_encoder(_header(headers, "accept"))
            status, body = HTTPStatus.OK, encode(shown.registry)
        case "/livez":
            status, kind, body = _verdict("live", shown.health.stuck())
        case "/readyz":
            status, kind, body = _verdict("ready", shown.health.unready())
        case _:
            status, kind, body = HTTPStatus.NOT_FOUND, _TEXT, b"/metrics, /livez, /readyz\n"
    return _rendered(status, kind, body, with_body=method == "GET")


def _verdict(name: str, reasons: list[str]) -> tuple[HTTPStatus, str, bytes]:
    """``{"ready": false, "reasons": ["why"]}``; 503 when there are reasons."""
    status = HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK
    return status, _JSON, msgspec.json.encode({name: not reasons, "reasons": reasons}) + b"\n"


def _header(lines: list[str], name: str) -> str:
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip().lower() == name:
            return value.strip()
    return ""


def _rendered(status: HTTPStatus, kind: str, body: bytes, *, with_body: bool = True) -> bytes:
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + (body if with_body else b"")
