"""All routes, and what they answer with."""

import hashlib
from collections.abc import Sequence
from functools import partial
from http import HTTPStatus
from importlib.resources import files
from time import monotonic, perf_counter
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

import orjson
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from streamagg import __version__
from streamagg.http.front import Handler, Request, Route
from streamagg.http.problems import JSON, Answer, Problem, Stream
from streamagg.serve.api.desk import Desk
from streamagg.serve.api.endpoints import ENDPOINTS, Endpoint, Result
from streamagg.serve.api.formats import rendered, wanted
from streamagg.serve.api.live import KIND, Live, Wish
from streamagg.serve.api.openapi import LIVE_PARAMETERS, document
from streamagg.serve.api.parameters import CURSOR, GROUP, read
from streamagg.serve.records import WINDOW
from streamagg.serve.running import RunningPeriods
from streamagg.serve.standing import Standings
from streamagg.serve.store.reading import Reading
from streamagg.serve.store.store import Store
from streamagg.serve.times import seconds

STUCK_S: Final = 60.0
"""A thread that follows and has given no sign of life for so long is stuck."""
_CLOSED: Final = (b"cache-control", b"private, max-age=3600")
"""Of a range whose end has passed: it does not change, unless records are published anew."""
_OPEN: Final = (b"cache-control", b"no-cache")
_NEVER: Final = (b"cache-control", b"no-store")
_VARY: Final = (b"vary", b"accept, authorization")
_PAGE_HEADERS: Final = (
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:;"
        b" connect-src 'self';"
        b" font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
_KINDS: Final = {
    ".html": b"text/html; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".mjs": b"text/javascript; charset=utf-8",
    ".css": b"text/css; charset=utf-8",
    ".svg": b"image/svg+xml",
    ".png": b"image/png",
    ".ico": b"image/x-icon",
    ".woff2": b"font/woff2",
    ".json": JSON,
    ".webmanifest": b"application/manifest+json",
    ".txt": b"text/plain; charset=utf-8",
}


class Application:
    """Finds the route of a path."""

    def __init__(
        self, store: Store, desk: Desk, live: Live, running: RunningPeriods, standings: Standings
    ) -> None:
        self._store = store
        self._desk = desk
        self._live = live
        self._running = running
        self._standings = standings
        self.routes = {
            endpoint.path: _get(endpoint.path, partial(self._question, endpoint)) for endpoint in ENDPOINTS
        }
        self.routes |= {
            "/v1/live": _get("/v1/live", self._listen),
            "/v1/status": _get("/v1/status", self._status),
            "/openapi.json": _get("/openapi.json", self._document),
            "/metrics": _get("/metrics", self._metrics),
            "/livez": _get("/livez", self._livez, is_open=True),
            "/readyz": _get("/readyz", self._readyz, is_open=True),
        }
        self._page = _get("page", self._page_file, is_open=True)
        self._pages = page_files()
        self._registry = CollectorRegistry()

    def show(self, registry: CollectorRegistry) -> None:
        """What ``/metrics`` has from here on."""
        self._registry = registry

    @property
    def names(self) -> Sequence[str]:
        """Of all routes, as they stand in metrics."""
        return (*self.routes, "page")

    def find(self, path: str) -> Route | None:
        """The route of a path, if there is one."""
        return self.routes.get(path) or (self._page if path in self._pages else None)

    async def _question(self, endpoint: Endpoint, request: Request) -> Answer:
        kind = wanted(request.header(b"accept"), endpoint.tabular)
        values = read(request.query, endpoint.parameters)
        answer = await self._desk.ask(partial(_answered, endpoint, values, kind), request.gone)
        body, result = answer
        closed = result.closed and self._is_over(result)
        headers = (_CLOSED if closed else _OPEN, _VARY, *_links(request, result.following))
        return _tagged(request, Answer(HTTPStatus.OK, body, kind, headers))

    def _is_over(self, result: Result) -> bool:
        """Whether all windows of its range are stored."""
        extent = self._store.extents.get(WINDOW)
        return (
            extent is not None and result.span.to_ms <= extent.freshest_ms and self._standings.now.caught_up
        )

    async def _listen(self, request: Request) -> Stream:
        values = read(request.query, LIVE_PARAMETERS)
        # Not at the desk, which turns all but a few away: after a restart all clients come at once.
        group = _group_text(values.get(GROUP, {}), self._store.groups.fields())
        wish = Wish(frozenset(values["calendar"]) if "calendar" in values else None, group)
        last = request.header(b"last-event-id")
        pieces = self._live.listen(wish, None if last is None else last.decode("latin-1"))
        return Stream(HTTPStatus.OK, pieces, KIND, (_NEVER, (b"x-accel-buffering", b"no")))

    async def _status(self, request: Request) -> Answer:
        read(request.query, ())
        return Answer(HTTPStatus.OK, orjson.dumps(self.status()) + b"\n", JSON, (_NEVER,))

    def status(self) -> dict[str, Any]:
        """What is stored, and how far behind it is."""
        now = self._standings.now
        calendars = {}
        for name, calendar in self._store.layout.calendars.items():
            extent = self._store.extents.get(name)
            if extent is not None:
                calendars[name] = {
                    "oldest": seconds(extent.oldest_ms),
                    "freshest": seconds(extent.freshest_ms),
                    "end": seconds(extent.end_ms),
                    "length": seconds(extent.longest_ms),
                    "measures": list(calendar.measures),
                    "segments": len(calendar.segments),
                }
        return {
            "version": __version__,
            "following": now.trouble is None,
            "trouble": now.trouble,
            "behind": now.behind,
            "records": now.records,
            "unreadable": now.unreadable,
            "calendars": calendars,
            "group_by": self._store.groups.fields(),
            "groups": len(self._store.groups),
            "running": self._running.of_all(),
            "run": None if self._standings.run is None else self._standings.run._asdict(),
            "store_bytes": self._store.size_bytes,
            "live_clients": self._live.clients,
            "questions": self._desk.open,
        }

    async def _document(self, request: Request) -> Answer:
        return _tagged(request, Answer(HTTPStatus.OK, document(), JSON, (_OPEN,)))

    async def _metrics(self, request: Request) -> Answer:
        encode, kind = choose_encoder((request.header(b"accept") or b"").decode("latin-1"))
        return Answer(HTTPStatus.OK, encode(self._registry), kind.encode(), (_NEVER,))

    async def _livez(self, request: Request) -> Answer:
        silent_s = monotonic() - self._standings.beat_s
        stuck = [f"nothing has been read for {silent_s:.0f} s, nor looked for"] if silent_s >= STUCK_S else []
        return _verdict("live", stuck)

    async def _readyz(self, request: Request) -> Answer:
        now = self._standings.now
        reasons = [now.trouble] if now.trouble is not None else []
        if not now.begun:
            reasons.append("what was published before is not read to its end yet")
        return _verdict("ready", reasons)

    async def _page_file(self, request: Request) -> Answer:
        kind, body = self._pages[request.path]
        return _tagged(request, Answer(HTTPStatus.OK, body, kind, (_OPEN, *_PAGE_HEADERS)))


def _get(name: str, handler: Handler, is_open: bool = False) -> Route:
    return Route(name, {"GET": handler}, is_open)


def _answered(
    endpoint: Endpoint, values: dict[str, Any], kind: bytes, reading: Reading
) -> tuple[bytes, Result]:
    """In a thread of the desk."""
    began = perf_counter()
    result = endpoint.answer(reading, values)
    if values.get("explain") == "true":
        total = sum(len(calendar.segments) for calendar in reading.layout.calendars.values())
        explain = {
            "segments": total,
            "segments_read": reading.segments_read,
            "milliseconds": round((perf_counter() - began) * 1_000, 3),
        }
        result = result._replace(body={**result.body, "explain": explain})
    return rendered(result, kind), result


def _links(request: Request, following: str | None) -> list[tuple[bytes, bytes]]:
    """To the next page (RFC 8288), for forms that have no place for a cursor."""
    if following is None:
        return []
    asked = [pair for pair in parse_qsl(request.query.decode(), True) if pair[0] != CURSOR.name]
    target = f"{request.path}?{urlencode([*asked, (CURSOR.name, following)])}"
    return [(b"link", f'<{target}>; rel="next"'.encode())]


def _group_text(wanted_group: dict[str, str | None], fields: Sequence[str]) -> bytes | None:
    """The text in a key of the group that is wanted, by the names that groups have. Raises Problem."""
    if not wanted_group:
        return None
    if set(fields) != set(wanted_group):
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"Give one value of each field of a group: {', '.join(fields) or 'there are none'}.",
        )
    return orjson.dumps([wanted_group[name] for name in fields])


def _tagged(request: Request, answer: Answer) -> Answer:
    """With an ETag, and without a body for a client that has it."""
    tag = b'"' + hashlib.blake2b(answer.kind + answer.body, digest_size=16).hexdigest().encode() + b'"'
    headers = (*answer.headers, (b"etag", tag))
    known = b",".join(request.headers(b"if-none-match"))
    if known.strip() == b"*" or tag in [one.strip().removeprefix(b"W/") for one in known.split(b",")]:
        return Answer(HTTPStatus.NOT_MODIFIED, b"", answer.kind, headers)
    return answer._replace(headers=headers)


def _verdict(name: str, reasons: list[str]) -> Answer:
    status = HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK
    return Answer(status, orjson.dumps({name: not reasons, "reasons": reasons}) + b"\n", JSON, (_NEVER,))


def page_files() -> dict[str, tuple[bytes, bytes]]:
    """Kind and bytes of each file of the page, by path; ``index.html`` is ``/``, too."""
    found = {}
    root = files("streamagg.serve.page")
    waiting = [("/", root)]
    while waiting:
        path, folder = waiting.pop()
        for entry in folder.iterdir():
            suffix = "." + entry.name.rpartition(".")[2]
            if entry.is_dir():
                waiting.append((f"{path}{entry.name}/", entry))
            elif suffix in _KINDS:
                found[path + entry.name] = (_KINDS[suffix], entry.read_bytes())
    if "/index.html" in found:
        found["/"] = found["/index.html"]
    return found
