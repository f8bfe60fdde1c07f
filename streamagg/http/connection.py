"""One connection, with limits on what its client may make the server keep, and for how long.

uvicorn has no limits on heads, on the time of a request and on requests sent ahead of their answers, nor
does the parser below it: what is added here. What the parser calls stands in the place of what uvicorn has,
which knows web sockets, proxies and access logs and sets a timer for each answer: without these, and with
answers in one piece, a request of one record takes 25 µs instead of 35, sockets and Kafka apart.
"""

import asyncio
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from streamagg.http.exchange import Exchange
from streamagg.http.front import CROWDED, WHOLE
from streamagg.http.meter import Meter, Refusal
from streamagg.http.problems import Problem, raw

MOST_HEAD_BYTES: Final = 16 << 10
"""Of names and values of all headers, and the address: what other servers allow (8 to 64 KiB)."""
MOST_AHEAD: Final = 16
"""Requests that a client may send before it has the answer to the first."""
SPARE_CONNECTIONS: Final = 64
"""Beyond the limit, for clients that are told to come later, and for those who ask how the server is."""
UNREAD_S: Final = 10.0
"""An answer that the client does not take for so long is given up."""
LINGER_S: Final = 2.0
"""A client that has its answer may finish sending, so that it gets to read it."""
_ASGI: Final = {"version": "3.0", "spec_version": "2.3"}
_EXTENSIONS: Final[dict[str, Any]] = {WHOLE: {}}


class Limits(NamedTuple):
    """What a client may take."""

    connections: int
    request_s: float
    """A whole request comes in so long, and so the first byte of the first one."""


class Connection(HttpToolsProtocol):
    """Ends what goes beyond the limits, with an answer where there can be one."""

    def __init__(self, limits: Limits, meter: Meter, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._limits = limits
        self._meter = meter
        self._crowded = False
        self._in_head = True
        self._raw_bytes = 0
        """Of a head that came in more than one piece: the parser keeps what has no end yet."""
        self._head_bytes = 0
        """Of what the parser has handed on."""
        self._reading = True
        """A request has begun to come, or the first is waited for."""
        self._due: asyncio.TimerHandle | None = None
        self._write_due: asyncio.TimerHandle | None = None
        self._moved_s = 0.0
        """When a request had come or had its answer, by the clock of the loop."""
        self._idle_due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        count = len(self.connections)
        self._meter.connected(count)
        self._crowded = count > self._limits.connections
        if count > self._limits.connections + SPARE_CONNECTIONS:
            self._meter.refused("crowded")
            transport.abort()
        else:
            self._wait(self._limits.request_s)
            self._close_if_idle()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._due, self._write_due, self._idle_due):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)
        self._meter.connected(len(self.connections))

    def eof_received(self) -> bool | None:  # type: ignore[override]
        """Who has sent a whole request and will send no more may still wait for the answer."""
        if self.cycle is None or self.cycle.more_body or self.cycle.response_complete:
            return None
        self.cycle.keep_alive = False
        # Without TLS, which knows no half of a connection.
        return self.scheme == "http"

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self._raw_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._in_head and self._raw_bytes > MOST_HEAD_BYTES:
            self._refuse_head()
        elif not self._reading:
            self._stop_waiting()
        elif self._due is None:
            self._wait(self._limits.request_s)

    def on_message_begin(self) -> None:
        self._in_head = self._reading = True
        self._head_bytes = 0
        self.url = b""
        self.headers = []
        self.expect_100_continue = False

    def on_url(self, url: bytes) -> None:
        self._head_bytes += len(url)
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        # Behind a body they mean nothing here, and would be kept.
        if not self._in_head:
            return
        self._head_bytes += len(name) + len(value)
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._raw_bytes = 0
        if self.transport.is_closing():
            return
        if self._head_bytes > MOST_HEAD_BYTES:
            self._refuse_head()
        elif len(self.pipeline) >= MOST_AHEAD:
            self._meter.refused("crowded")
            self.transport.abort()
        else:
            self._begin()

    def on_body(self, body: bytes) -> None:
        if self.transport.is_closing() or self.cycle.response_complete:
            return
        self.cycle.body += body
        if len(self.cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        self.cycle.message_event.set()

    def on_message_complete(self) -> None:
        self._reading = False
        self._in_head = True
        # What else is in the piece that is being read is not known; it is counted by what the parser finds.
        self._raw_bytes = 0
        self._moved_s = self.loop.time()
        if self.transport.is_closing() or self.cycle.response_complete:
            return
        self.cycle.more_body = False
        self.cycle.message_event.set()

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self._moved_s = self.loop.time()
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        if self._reading:
            self._wait(LINGER_S)

    def _begin(self) -> None:
        """The head of a request is there: answer it, or have it wait for the answers before."""
        before = self.cycle
        self.cycle = self._exchange()
        if before is None or before.response_complete:
            self._start_asgi_task(self.cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))

    def _exchange(self) -> Exchange:
        version = self.parser.get_http_version()
        path, raw_path, query = _parts(self.url)
        scope: Any = {
            "type": "http",
            "asgi": _ASGI,
            "extensions": _EXTENSIONS,
            "http_version": version,
            "method": self.parser.get_method().decode("ascii"),
            "scheme": self.scheme,
            "server": self.server,
            "client": self.client,
            "root_path": "",
            "path": path,
            "raw_path": raw_path,
            "query_string": query,
            "headers": self.headers,
        }
        if self._crowded:
            scope[CROWDED] = True
        return Exchange(
            scope=scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=not self._crowded and version != "1.0" and self.parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )

    def send_400_response(self, msg: str) -> None:
        self._refuse("malformed", HTTPStatus.BAD_REQUEST, "This is not a request of HTTP/1.1.")

    def pause_writing(self) -> None:
        super().pause_writing()
        self._write_due = self.loop.call_later(UNREAD_S, self._give_up_writing)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._write_due is not None:
            self._write_due.cancel()
            self._write_due = None

    def _wait(self, seconds: float) -> None:
        self._stop_waiting()
        self._due = self.loop.call_later(seconds, self._too_slow)

    def _stop_waiting(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _close_if_idle(self) -> None:
        """One timer for all requests of a connection: it looks again where there was one meanwhile."""
        if self.transport.is_closing():
            return
        now_s = self.loop.time()
        busy = self._reading or not self.cycle.response_complete
        left_s = self.timeout_keep_alive - (0.0 if busy else now_s - self._moved_s)
        if left_s > 0:
            self._idle_due = self.loop.call_later(left_s, self._close_if_idle)
        else:
            self.transport.close()

    def _too_slow(self) -> None:
        self._due = None
        text = f"The request did not come in whole within {self._limits.request_s:g} s."
        self._refuse("slow", HTTPStatus.REQUEST_TIMEOUT, text)

    def _give_up_writing(self) -> None:
        self._meter.refused("unread")
        self.transport.abort()

    def _refuse_head(self) -> None:
        text = f"The headers have more than {MOST_HEAD_BYTES} bytes."
        self._refuse("head", HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, text)

    def _refuse(self, reason: Refusal, status: HTTPStatus, text: str) -> None:
        """End the connection, with an answer unless another request waits for one."""
        self._meter.refused(reason)
        if self._is_next_answer():
            self.transport.write(raw(Problem(status, text).answer()))
        self.transport.close()

    def _is_next_answer(self) -> bool:
        """What is written next is taken for the answer to the request that is being read."""
        if self.pipeline:
            return False
        if self.cycle is None:
            return True
        return not self.cycle.response_started if self.cycle.more_body else self.cycle.response_complete


@lru_cache(256)
def _parts(url: bytes) -> tuple[str, bytes, bytes]:
    """Path, path as it came, and query; raises what the parser takes for a malformed request."""
    parsed = httptools.parse_url(url)
    return unquote(parsed.path.decode("ascii")), parsed.path, parsed.query or b""
