"""A server of ``streamagg.http`` in a thread, and a client that may say anything."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple, Self

import orjson
import uvloop

from streamagg.http.access_log import AccessLog
from streamagg.http.front import Front, Route
from streamagg.http.meter import Meter, keys
from streamagg.http.numbers import SharedNumbers
from streamagg.http.server import listener, server, tls_context
from streamagg.http.tokens import Tokens, digest
from streamagg.model.settings import ListenSettings

TIMEOUT_S = 20


class Served(NamedTuple):
    """Where it is, and what it has noted."""

    port: int
    meter: Meter
    stop: threading.Event
    """Set it to begin the end."""


@contextmanager
def serving(
    routes: Mapping[str, Route],
    settings: ListenSettings | None = None,
    tokens: tuple[str, ...] = (),
    meter: Meter | None = None,
) -> Iterator[Served]:
    """Serve while the context lasts."""
    settings = settings or ListenSettings(address="127.0.0.1:0", access_log_ms=0)
    names = [route.name for route in routes.values()]
    meter = meter or Meter(SharedNumbers(keys(names), processes=1), names)
    front = Front(routes.get, Tokens(map(digest, tokens)), meter, AccessLog(settings.access_log_ms))
    one = server(front, settings, meter, tls_context(settings))
    listening, stop = listener(settings.address), threading.Event()
    port = listening.getsockname()[1]

    async def serve() -> None:
        task = asyncio.create_task(one.serve(sockets=[listening]))
        await asyncio.to_thread(stop.wait)
        one.should_exit = True
        await task

    def run() -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve())

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield Served(port, meter, stop)
    finally:
        stop.set()
        thread.join()


class Reply(NamedTuple):
    """A response as it came."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, object]:
        found = orjson.loads(self.body)
        assert isinstance(found, dict)
        return found


class Client:
    """A connection on which bytes are sent as they are."""

    def __init__(self, port: int, context: ssl.SSLContext | None = None) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), TIMEOUT_S)
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_hostname="127.0.0.1")
        self._file = self.socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._file.close()
        self.socket.close()

    def certificate(self) -> Mapping[str, object]:
        """Of the server."""
        assert isinstance(self.socket, ssl.SSLSocket)
        return self.socket.getpeercert() or {}

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def ask(
        self, method: str, target: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Reply:
        """One request, and its response."""
        self.ask_only(method, target, body, headers)
        return self.reply(with_body=method != "HEAD")

    def ask_only(
        self, method: str, target: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> None:
        """One request."""
        lines = [f"{method} {target} HTTP/1.1", "host: x", f"content-length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def reply(self, *, with_body: bool = True) -> Reply:
        """The next response."""
        line = self._file.readline()
        assert line, "the connection was closed without an answer"
        headers = {}
        while field := self._file.readline().strip():
            name, _, value = field.decode().partition(": ")
            headers[name.lower()] = value
        body = self._file.read(int(headers.get("content-length", "0"))) if with_body else b""
        return Reply(int(line.split()[1]), headers, body)

    def closed(self) -> bool:
        """Wait until the server has closed it; whether nothing else came."""
        try:
            return self._file.read() == b""
        except OSError:
            return True
