"""A request and its answer as uvicorn has them, with short cuts for what is there whole."""

from functools import lru_cache
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from streamagg.http.front import WHOLE
from streamagg.http.problems import Answer


class Exchange(RequestResponseCycle):
    """One request."""

    async def receive(self) -> Any:
        """The next message of ASGI; without waiting if a whole body is there, and has not been taken."""
        if self.more_body or not self.message_event.is_set() or self.disconnected or self.response_complete:
            return await super().receive()
        self.flow.resume_reading()
        self.message_event.clear()
        body, self.body = bytes(self.body), bytearray()
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(self, message: Any) -> None:
        """A message of ASGI, or a whole answer."""
        if message["type"] == WHOLE:
            await self._answer(message["answer"])
        else:
            await super().send(message)

    async def _answer(self, answer: Answer) -> None:
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        self.response_started = self.response_complete = True
        lines = [_first_lines(answer.status, answer.kind), b"content-length: %d\r\n" % len(answer.body)]
        lines += [b"%b: %b\r\n" % header for header in self.default_headers]
        lines.append(b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n")
        if self.scope["method"] != "HEAD":
            lines.append(answer.body)
        # One piece is written without a queue.
        self.transport.write(b"".join(lines))
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()


@lru_cache(64)
def _first_lines(status: int, kind: bytes) -> bytes:
    return STATUS_LINE[status] + b"content-type: %b\r\n" % kind
