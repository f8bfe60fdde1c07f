"""The page with made-up answers: in the forms of the API of ``serve``, and a function of time alone."""

import json
import math
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

MINUTE: Final = 60
HOUR: Final = 3_600
DAY: Final = 86_400
LENGTHS: Final = {"window": MINUTE, "hour": HOUR, "day": DAY}
COUNTRIES: Final = ("DE", "FR", "US", "BR", "JP", "IN", "GB", "IT", "ES", "PL", "NL", "SE", None)
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self';"
    " font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
KINDS: Final = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
}
Record = dict[str, Any]
Asked = dict[str, str]


def users_of(ts: int, length: int = MINUTE) -> int:
    """Those of a window or a period: a wave of a day, one of a week, and what looks like chance."""
    day = math.sin((ts / DAY - 0.3) * 2 * math.pi) + 0.35 * math.sin((ts / DAY - 0.1) * 4 * math.pi)
    week = 0.75 if (ts // DAY + 4) % 7 in (0, 6) else 1.0
    chance = (math.sin(ts / 37.3) + math.sin(ts / 2_711.9) + math.sin(ts / 211.7 + 1)) / 6 + 0.5
    scale = {MINUTE: 1.0, HOUR: 21.0, DAY: 160.0}[length]
    return int((5_200 + 2_400 * day * (length < DAY)) * week * (0.95 + 0.1 * chance) * scale)


def window_of(ts: int, calendar: str = "window") -> Record:
    """As it is published."""
    length = LENGTHS[calendar]
    users = users_of(ts, length)
    period = {} if calendar == "window" else {"calendar": calendar, "end": ts + length}
    numbers = {"cnt": users, "granularity": MINUTE, "records": users * 3, "partial": False}
    return {"ts": ts, **period, **numbers, "v": 1, "groups": 13, "bytes": users * 611}


def counted(users: int, exact: bool) -> Record:
    """A number of users, or an estimate."""
    error = 0 if exact else users // 70
    return {"users": users, "low": users - error, "high": users + error, "exact": exact}


@dataclass
class World:
    """What the server knows."""

    end: int
    """Of the freshest window."""
    days: int = 30
    groups: int = len(COUNTRIES)
    token: str | None = None
    marked: dict[int, Record] = field(default_factory=dict)
    """More fields of a window, by its begin."""
    missing: set[int] = field(default_factory=set)
    """Windows that nobody hit."""
    asked: list[tuple[str, Asked]] = field(default_factory=list)
    """Questions, in their order."""
    listening: list["queue.Queue[bytes | None]"] = field(default_factory=list)
    follows: bool = True
    run: Record | None = None
    """What the run says of its records."""

    @property
    def oldest(self) -> int:
        return (self.end - self.days * DAY) // DAY * DAY

    def publish(self, more: Record | None = None) -> Record:
        """The next window, told to everybody who listens."""
        record = window_of(self.end) | (more or {})
        if more:
            self.marked[self.end] = more
        self.end += MINUTE
        self.tell("window", record)
        self.tell("running", self.running())
        return record

    def tell(self, kind: str, record: Record) -> None:
        """An event."""
        said = f"id: e-{self.end}-{kind}\nevent: {kind}\ndata: {json.dumps(record)}\n\n".encode()
        for one in self.listening:
            one.put(said)

    def running(self) -> Record:
        """The day that is not over."""
        day = self.end // DAY * DAY
        users = int(users_of(day, DAY) * (self.end - day) / DAY)
        return {**window_of(day, "day"), "cnt": users, "through": self.end, "final": False}

    def windows(self, asked: Asked) -> Record:
        """``/v1/windows``."""
        length = LENGTHS[asked.get("calendar", "window")]
        begin = max(self.oldest, -(-int(float(asked["from"])) // length) * length)
        end = min(int(float(asked.get("to", self.end))), self.end - length + 1)
        starts = [ts for ts in range(begin, end, length) if ts not in self.missing]
        if asked.get("order") == "desc":
            starts.reverse()
        calendar = asked.get("calendar", "window")
        rows = [
            window_of(ts, calendar) | self.marked.get(ts, {})
            for ts in starts[: int(asked.get("limit", 1_000))]
        ]
        return {"windows": rows, "next": None}

    def series(self, asked: Asked) -> Record:
        """``/v1/series``."""
        begin, end, points = float(asked["from"]), float(asked["to"]), int(asked["points"])
        length = LENGTHS[asked.get("calendar", "window")]
        scale = {"mean": 1.0, "min": 0.93, "max": 1.07, "last": 1.0}[asked["how"]]
        times = [begin + (end - begin) * number / points for number in range(1, points + 1)]
        known = [self.oldest <= ts <= self.end for ts in times]
        values = [
            users_of(int(ts) // length * length, length) * scale if here else None
            for ts, here in zip(times, known, strict=True)
        ]
        return {"series": {name: {"ts": times, "values": values} for name in asked["measure"].split(",")}}

    def users(self, asked: Asked) -> Record:
        """``/v1/users``: exact where it is an hour at most."""
        length = float(asked["to"]) - float(asked["from"])
        users = int(users_of(int(float(asked["from"])) // DAY * DAY, DAY) * (length / DAY) ** 0.6)
        return counted(int(users * 0.62) if "and" in asked else users, length <= HOUR)

    def top(self, asked: Asked) -> Record:
        """``/v1/top``."""
        names = [*COUNTRIES, *(f"group-{number:05}" for number in range(self.groups))][: self.groups]
        found = asked.get("find", "").casefold()
        rows = [
            {
                "value": name,
                "records": int(412_000 / (place + 1.6)),
                **counted(int(98_000 / (place + 1.6)), False),
            }
            for place, name in enumerate(names)
            if found in (name or "").casefold()
        ]
        return {"top": rows[: int(asked["n"])], "values": len(rows), "groups_left_out": False}

    def retention(self, asked: Asked) -> Record:
        """``/v1/retention``: a period for each of those that are over."""
        length = {"day": DAY, "week": 7 * DAY, "month": 30 * DAY}[asked["cohort"]]
        begins = range(int(float(asked["from"])) // length * length, self.end, length)
        cohorts = []
        for place, begin in enumerate(begins):
            first = 41_000 - 1_700 * place
            later = range(1, min(len(begins) - place, int(asked["periods"])))
            retained = [counted(first, True), *(counted(int(first * 0.46 * 0.8**n), False) for n in later)]
            cohorts.append({"from": begin, "to": begin + length, "retained": retained})
        return {"cohorts": cohorts}

    def status(self, asked: Asked) -> Record:
        """``/v1/status``."""
        calendars = {
            name: {
                "oldest": self.oldest,
                "freshest": self.end // length * length - length,
                "end": self.end // length * length,
                "length": length,
                "measures": ["bytes"],
                "segments": 3,
            }
            for name, length in LENGTHS.items()
        }
        return {
            "version": "0.1.0",
            "following": self.follows,
            "trouble": None if self.follows else "Kafka at 127.0.0.1:9092 does not answer.",
            "behind": 0,
            "records": 43_200,
            "unreadable": 0,
            "calendars": calendars,
            "group_by": ["country"],
            "groups": self.groups,
            "running": [self.running()],
            "run": self.run,
            "store_bytes": 187_000_000,
            "live_clients": len(self.listening),
            "questions": 1,
        }


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    world: World

    def do_GET(self) -> None:
        where = urlsplit(self.path)
        asked = {name: values[0] for name, values in parse_qs(where.query).items()}
        if not where.path.startswith("/v1/"):
            self._file(where.path)
            return
        self.world.asked.append((where.path, asked))
        if self.world.token and self.headers["authorization"] != f"Bearer {self.world.token}":
            self._send(
                HTTPStatus.UNAUTHORIZED, "application/problem+json", b'{"detail":"A token is needed."}'
            )
        elif where.path == "/v1/live":
            self._listen()
        else:
            answer = getattr(self.world, where.path.removeprefix("/v1/"))(asked)
            self._send(HTTPStatus.OK, "application/json", json.dumps(answer).encode())

    def _file(self, path: str) -> None:
        found = files("streamagg.serve.page").joinpath(path.strip("/") or "index.html")
        if found.is_file():
            self._send(HTTPStatus.OK, KINDS[found.name.rpartition(".")[2]], found.read_bytes())
        else:
            self._send(HTTPStatus.NOT_FOUND, "application/problem+json", b'{"detail":"There is nothing."}')

    def _send(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.send_header("content-security-policy", POLICY)
        self.end_headers()
        self.wfile.write(body)

    def _listen(self) -> None:
        events: queue.Queue[bytes | None] = queue.Queue()
        self.send_response(HTTPStatus.OK)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        self.close_connection = True
        self.wfile.write(b"retry: 2000\n\n")
        self.world.listening.append(events)
        try:
            while (event := events.get()) is not None:
                self.wfile.write(event)
        except OSError:
            return
        finally:
            self.world.listening.remove(events)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser may leave before it has its answer."""


@contextmanager
def page_server(world: World, port: int = 0) -> Iterator[str]:
    """Its address."""
    handler = type("Handler", (_Handler,), {"world": world})
    with _Server(("127.0.0.1", port), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            for one in list(world.listening):
                one.put(None)
            thread.join()
