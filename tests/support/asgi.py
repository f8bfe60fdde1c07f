"""Requests to an ASGI application in this process, without a socket."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, NamedTuple

import orjson

Scope = dict[str, Any]


class Answered(NamedTuple):
    """The answer to a request."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read."""
        return orjson.loads(self.body)


def scope(target: str, headers: Mapping[str, str] | None = None, method: str = "GET") -> Scope:
    """Of a request for a path and query, as they stand in it."""
    path, _, query = target.partition("?")
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()],
        "client": ("127.0.0.1", 1),
    }


async def ask(
    app: Any, target: str, headers: Mapping[str, str] | None = None, method: str = "GET"
) -> Answered:
    """One request whose client waits for the whole answer."""
    messages: list[dict[str, Any]] = []
    asked, never = False, asyncio.Event()

    async def receive() -> dict[str, Any]:
        nonlocal asked
        if asked:
            await never.wait()
        asked = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        messages.append(message)

    await app(scope(target, headers, method), receive, send)
    found = {name.decode(): value.decode() for name, value in messages[0]["headers"]}
    return Answered(messages[0]["status"], found, b"".join(one.get("body", b"") for one in messages))


class Listener:
    """A client of a stream that takes its pieces one by one, and may leave."""

    def __init__(self, app: Any, target: str, headers: Mapping[str, str] | None = None) -> None:
        self.left = asyncio.Event()
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue(maxsize=1)
        self._asked = False
        self._task = asyncio.ensure_future(self._run(app, scope(target, headers)))
        self.status = 0

    async def _run(self, app: Any, request: Scope) -> None:
        await app(request, self._receive, self._send)
        await self._pieces.put(None)

    async def _receive(self) -> dict[str, Any]:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif message.get("body"):
            await self._pieces.put(message["body"])

    async def pieces(self) -> AsyncIterator[bytes]:
        """Until the answer ends."""
        while (piece := await self._pieces.get()) is not None:
            yield piece

    async def leave(self) -> None:
        """Be gone, and wait until that is noticed; nothing is taken any more."""
        self.left.set()
        while not self._task.done():
            try:
                self._pieces.get_nowait()
            except asyncio.QueueEmpty:
                await asyncio.sleep(0)
        await self._task
