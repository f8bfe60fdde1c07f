"""One connection, with limits on what its client may make the server keep, and for how long.

uvicorn has no limits on heads, on the time of a request and on requests sent ahead of their answers, nor
does the parser below it: what is added here.
"""

import asyncio
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from streamagg.http.front import CROWDED
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

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._due, self._write_due):
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
        super().on_message_begin()
        self._in_head = self._reading = True
        self._head_bytes = 0

    def on_url(self, url: bytes) -> None:
        self._head_bytes += len(url)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        # Behind a body they mean nothing here, and would be kept.
        if self._in_head:
            self._head_bytes += len(name) + len(value)
            super().on_header(name, value)

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
        elif self._crowded:
            self.scope[CROWDED] = True  # type: ignore[typeddict-unknown-key]
            super().on_headers_complete()
            self.cycle.keep_alive = False
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if not self.transport.is_closing():
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._reading = False
        self._in_head = True
        # What else is in the piece that is being read is not known; it is counted by what the parser finds.
        self._raw_bytes = 0
        if not self.transport.is_closing():
            super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._reading and not self.transport.is_closing():
            self._wait(LINGER_S)

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
