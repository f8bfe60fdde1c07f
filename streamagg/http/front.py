"""The ASGI application in front of all routes: finds the route, asks for the token, answers, and takes note.

A route is a coroutine that takes a ``Request`` and returns an ``Answer`` or raises ``Problem``.
"""

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from http import HTTPStatus
from time import perf_counter
from typing import Any, Final

from streamagg.events import Log
from streamagg.http.access_log import AccessLog
from streamagg.http.meter import OTHER, Meter
from streamagg.http.problems import Answer, Problem, Stream, overloaded
from streamagg.http.tokens import Tokens

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
CROWDED: Final = "streamagg.crowded"
"""In the scope of a request on a connection beyond the limit."""
WHOLE: Final = "streamagg.answer"
"""An extension of ASGI: such a message has a whole ``Answer``, without headers of its own, in ``answer``."""
MOST_LOGGED: Final = 200
"""Characters of a path in the log."""

log = Log(__name__)


class ClientGone(Exception):
    """Nobody waits for the answer."""


class Request:
    """A request whose body is read by whoever needs it."""

    def __init__(self, scope: Mapping[str, Any], receive: Receive) -> None:
        self._scope = scope
        self._receive = receive
        self._headers: dict[bytes, bytes] = dict(scope["headers"])
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.query: bytes = scope["query_string"]

    def header(self, name: bytes) -> bytes | None:
        """The value of a header, whose name is in lower case; the last one, if it came more than once."""
        return self._headers.get(name)

    def headers(self, name: bytes) -> list[bytes]:
        """All values of a header, whose name is in lower case."""
        return [value for key, value in self._scope["headers"] if key == name]

    @property
    def client(self) -> str:
        """The address at the other end of the connection."""
        return str((self._scope.get("client") or ("unknown",))[0])

    @property
    def crowded(self) -> bool:
        """It came on a connection beyond the limit."""
        return CROWDED in self._scope

    async def chunk(self) -> tuple[bytes, bool]:
        """The next bytes of the body, and whether there are more. Raises ClientGone."""
        message = await self._receive()
        if message["type"] != "http.request":
            raise ClientGone
        return message["body"], message["more_body"]

    async def gone(self) -> None:
        """Returns when nobody waits for the answer any more; what comes of a body meanwhile is lost."""
        while (await self._receive())["type"] != "http.disconnect":
            pass


Handler = Callable[[Request], Awaitable[Answer | Stream]]


@dataclass(frozen=True, slots=True)
class Route:
    """What can be done at a path."""

    name: str
    """As it stands in metrics: no part of it comes from a client."""
    methods: Mapping[str, Handler]
    """By their names; HEAD is what GET would answer."""
    open: bool = False
    """For everybody, without a token, and on a connection beyond the limit."""


Find = Callable[[str], Route | None]
"""The route of a path."""


class Front:
    """An application of ASGI 3."""

    def __init__(self, find: Find, tokens: Tokens, meter: Meter, access_log: AccessLog) -> None:
        self._find = find
        self._tokens = tokens
        self._meter = meter
        self._access_log = access_log

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        began = perf_counter()
        request = Request(scope, receive)
        route = self._find(request.path)
        try:
            answer = await self._answer(request, route)
        except ClientGone:
            return
        if isinstance(answer, Answer):
            await _send_whole(answer, scope, send)
        seconds = perf_counter() - began
        self._meter.answered(OTHER if route is None else route.name, answer.status, seconds)
        if self._access_log.wants(answer.status):
            path = request.path[:MOST_LOGGED]
            self._access_log.write(request.method, path, answer.status, seconds, request.client)
        if isinstance(answer, Stream):
            is_open = route is not None and route.open
            await _send_stream(answer, request, send, lambda: is_open or self._is_allowed(request))

    async def _answer(self, request: Request, route: Route | None) -> Answer | Stream:
        try:
            return await self._handler(request, route)(request)
        except Problem as problem:
            return problem.answer()
        except ClientGone:
            raise
        except Exception as error:
            log.error(
                "request_failed",
                "{method} {path} failed: {error}; this is a defect",
                method=request.method,
                path=request.path,
                error=error,
                traceback=traceback.format_exc(),
            )
            return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "This is a defect; the log says more.").answer()

    def _is_allowed(self, request: Request) -> bool:
        return self._tokens.allow(request.header(b"authorization"))

    def _handler(self, request: Request, route: Route | None) -> Handler:
        """Raises Problem."""
        if request.crowded and not (route and route.open):
            raise overloaded("There are too many connections: use fewer, each for many requests.")
        if route is None or not route.open:
            # Before anything else is told, be it that there is no such path.
            self._tokens.check(request.header(b"authorization"))
        if route is None:
            raise Problem(HTTPStatus.NOT_FOUND, "There is nothing at this path; GET / says what there is.")
        handler = route.methods.get("GET" if request.method == "HEAD" else request.method)
        if handler is None:
            allowed = ", ".join(route.methods)
            raise Problem(
                HTTPStatus.METHOD_NOT_ALLOWED,
                f"At this path there is {allowed} only.",
                headers=[(b"allow", allowed.encode())],
            )
        return handler


async def _send_whole(answer: Answer, scope: Mapping[str, Any], send: Send) -> None:
    if not answer.headers and WHOLE in scope.get("extensions", ()):
        await send({"type": WHOLE, "answer": answer})
        return
    headers = [
        (b"content-type", answer.kind),
        (b"content-length", b"%d" % len(answer.body)),
        *answer.headers,
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


async def _send_stream(answer: Stream, request: Request, send: Send, is_allowed: Callable[[], bool]) -> None:
    """Until its end, or until nobody listens or may listen: that is noticed with the next piece."""
    headers = [(b"content-type", answer.kind), *answer.headers]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    gone = asyncio.ensure_future(request.gone())
    try:
        async with aclosing(answer.pieces) as pieces:
            async for piece in pieces:
                if gone.done() or request.method == "HEAD" or not is_allowed():
                    break
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        # Nothing comes of it where nobody listens.
        await send({"type": "http.response.body", "body": b""})
    finally:
        gone.cancel()
