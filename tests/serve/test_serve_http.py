"""The API as its clients see it, in this process: answers, forms, errors, limits, events."""

import asyncio
import csv
import io
import threading
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import orjson
import pytest
from openapi_spec_validator import validate

from streamagg.http.access_log import AccessLog
from streamagg.http.front import ClientGone, Front
from streamagg.http.meter import Meter, keys
from streamagg.http.numbers import SharedNumbers
from streamagg.http.problems import Problem
from streamagg.http.tokens import Tokens, digest
from streamagg.serve.api import live as live_events
from streamagg.serve.api.application import Application
from streamagg.serve.api.desk import Desk
from streamagg.serve.api.live import Happened, Live
from streamagg.serve.figures import ROWS, Seen, registry
from streamagg.serve.running import RunningPeriods
from streamagg.serve.standing import Standings
from streamagg.serve.store.reading import Reading
from streamagg.serve.store.store import Store
from tests.support.asgi import Answered, Listener, ask
from tests.support.asked_store import fill
from tests.support.published_history import EPOCH_S, Visits, values

VISITS = Visits.made(seed=2, windows=130)
RECORDS = list(VISITS.published())
ALL = f"from={EPOCH_S}&to={EPOCH_S + 130 * 60}"


class Served(NamedTuple):
    """Everything behind one application."""

    app: Front
    store: Store
    desk: Desk
    live: Live
    running: RunningPeriods
    standings: Standings


def serving(store: Store, tokens: Tokens | None = None, most: int = 8, timeout_ms: int = 10_000) -> Served:
    desk, live = Desk(store, most, timeout_ms), Live("here")
    running, standings = RunningPeriods(), Standings()
    application = Application(store, desk, live, running, standings)
    meter = Meter(SharedNumbers(keys(application.names), 1), application.names)
    application.show(registry(Seen(store, standings, desk, live, meter)))
    front = Front(application.find, tokens or Tokens(), meter, AccessLog(0))
    return Served(front, store, desk, live, running, standings)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    made = Store(tmp_path_factory.mktemp("serve") / "store")
    fill(made, values(iter(RECORDS)))
    yield made
    made.close()


@pytest.fixture
def served(store: Store) -> Iterator[Served]:
    made = serving(store)
    made.standings.change(trouble=None, behind=0, begun=True)
    yield made
    made.desk.close()


def get(served: Served, target: str, **headers: str) -> Answered:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return asyncio.run(ask(served.app, target, named))


class TestAnswers:
    def test_windows_and_the_next_page(self, served: Served) -> None:
        first = get(served, f"/v1/windows?{ALL}&limit=100").json
        second = get(served, f"/v1/windows?{ALL}&limit=100&cursor={first['next']}").json
        assert second["next"] is None
        wanted = [one for one in RECORDS if "group" not in one and "calendar" not in one]
        assert [*first["windows"], *second["windows"]] == wanted

    def test_a_group_by_its_fields_or_as_an_object(self, served: Served) -> None:
        by_field = get(served, f"/v1/windows?{ALL}&group.country=F%22R").json
        as_object = get(served, f"/v1/windows?{ALL}&group=%7B%22country%22%3A%22F%5C%22R%22%7D").json
        assert by_field == as_object
        windows = [one for one in RECORDS if "calendar" not in one]
        assert by_field["windows"] == [one for one in windows if one.get("group") == {"country": 'F"R'}]

    def test_times_back_are_counted_from_the_freshest_window(self, served: Served) -> None:
        end = VISITS.starts[-1] + 60
        relative = get(served, "/v1/windows?from=-10m").json
        assert relative == get(served, f"/v1/windows?from={end - 600}&to={end}").json
        assert relative["windows"]

    def test_a_time_zone_reads_and_tells_times(self, served: Served) -> None:
        local = get(
            served, "/v1/windows?from=2016-07-11T14:10:00&to=2016-07-11T14:20:00&tz=Europe/Berlin"
        ).json
        utc = get(served, "/v1/windows?from=2016-07-11T12:10:00Z&to=2016-07-11T12:20:00%2B00:00").json
        assert [one["ts"] for one in local["windows"]] == [one["ts"] for one in utc["windows"]]
        assert local["windows"][0]["time"].startswith("2016-07-11T14:1")
        assert local["windows"][0]["time"].endswith("+02:00")

    def test_series(self, served: Served) -> None:
        found = get(served, f"/v1/series?{ALL}&points=13&measure=cnt,price&how=mean").json
        assert found["series"].keys() == {"cnt", "price"}
        assert len(found["series"]["cnt"]["ts"]) == len(found["series"]["cnt"]["values"]) == 13
        assert found["series"]["cnt"]["ts"][-1] == EPOCH_S + 130 * 60

    def test_what_was_read_is_told_if_asked_for(self, served: Served) -> None:
        explain = get(served, f"/v1/windows?{ALL}&explain=true").json["explain"]
        assert explain.keys() == {"segments", "segments_read", "milliseconds"}

    def test_status(self, served: Served) -> None:
        served.running.take([(b"day 0", orjson.dumps(VISITS.period("day", 0, 86_400) | {"final": False}))])
        status = get(served, "/v1/status").json
        assert status["calendars"]["window"]["end"] == VISITS.starts[-1] + 60
        assert status["group_by"] == ["country"]
        assert [one["calendar"] for one in status["running"]] == ["day"]
        assert (status["following"], status["behind"]) == (True, 0)

    def test_metrics(self, served: Served) -> None:
        get(served, "/v1/status")
        text = get(served, "/metrics").body.decode()
        assert {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")} >= {
            row.name for row in ROWS
        }
        assert 'streamagg_serve_request_seconds_count{route="/v1/status",status="2xx"} 1.0' in text

    def test_ready_when_what_was_there_is_stored(self, store: Store) -> None:
        served = serving(store)
        assert get(served, "/readyz").status == 503
        served.standings.change(trouble=None, behind=5)
        assert get(served, "/readyz").json["reasons"] == [
            "what was published before is not read to its end yet"
        ]
        served.standings.change(begun=True)
        assert get(served, "/readyz").json == {"ready": True, "reasons": []}
        assert get(served, "/livez").json == {"live": True, "reasons": []}


class TestForms:
    def test_csv(self, served: Served) -> None:
        answer = get(served, f"/v1/windows?{ALL}&groups=all&limit=10000", accept="text/csv")
        assert answer.headers["content-type"].startswith("text/csv")
        rows = list(csv.DictReader(io.StringIO(answer.body.decode())))
        assert len(rows) == sum("group" in one and "calendar" not in one for one in RECORDS)
        assert {row["group.country"] for row in rows} == {"", "DE", "US", 'F"R'}

    def test_pages_of_csv_lead_to_each_other(self, served: Served) -> None:
        target, found = f"/v1/windows?{ALL}&groups=all&group.country=F%22R&limit=20", 0
        while target:
            answer = get(served, target, accept="text/csv")
            found += len(list(csv.DictReader(io.StringIO(answer.body.decode()))))
            link = answer.headers.get("link", "")
            assert link == "" or (link.startswith("</v1/windows?from=") and link.endswith('>; rel="next"'))
            target = link.partition(">")[0].removeprefix("<")
        assert found == sum(
            record.get("group") == {"country": 'F"R'} for record in RECORDS if "calendar" not in record
        )

    def test_arrow(self, served: Served) -> None:
        pa = pytest.importorskip("pyarrow")
        answer = get(served, f"/v1/series?{ALL}&points=7", accept="application/vnd.apache.arrow.stream")
        table = pa.ipc.open_stream(answer.body).read_all()
        json = get(served, f"/v1/series?{ALL}&points=7").json["series"]
        assert table.column("cnt").to_pylist() == json["cnt"]["values"]
        assert table.column("ts").to_pylist() == json["cnt"]["ts"]

    @pytest.mark.parametrize(
        ("accept", "kind"),
        [
            ("*/*", "application/json"),
            ("text/*", "text/csv; charset=utf-8; header=present"),
            ("application/json;q=0.5, text/csv", "text/csv; charset=utf-8; header=present"),
            ("text/html, application/xhtml+xml, */*;q=0.8", "application/json"),
            ("text/csv;q=zero, application/json;q=0.1", "application/json"),
        ],
    )
    def test_the_form_that_a_client_likes_best(self, served: Served, accept: str, kind: str) -> None:
        assert get(served, f"/v1/windows?{ALL}", accept=accept).headers["content-type"] == kind

    def test_a_form_that_there_is_not(self, served: Served) -> None:
        assert get(served, f"/v1/windows?{ALL}", accept="image/png").status == 406
        assert get(served, f"/v1/windows?{ALL}", accept="application/json;q=0").status == 406

    def test_a_range_that_is_over_is_cached_and_confirmed(self, served: Served) -> None:
        over = f"/v1/windows?from={EPOCH_S}&to={EPOCH_S + 3600}"
        first = get(served, over)
        assert first.headers["cache-control"] == "private, max-age=3600"
        again = get(served, over, if_none_match=f'"other", W/{first.headers["etag"]}')
        assert (again.status, again.body, again.headers["etag"]) == (304, b"", first.headers["etag"])
        assert get(served, over, accept="text/csv").headers["etag"] != first.headers["etag"]

    def test_a_range_that_is_not_over_is_not(self, served: Served) -> None:
        for target in (f"/v1/windows?from={EPOCH_S}", f"/v1/windows?from=0&to={EPOCH_S + 10**6}"):
            assert get(served, target).headers["cache-control"] == "no-cache"
        served.standings.change(behind=3)
        assert get(served, f"/v1/windows?from=0&to={EPOCH_S + 60}").headers["cache-control"] == "no-cache"


class TestErrors:
    @pytest.mark.parametrize(
        ("query", "status", "detail"),
        [
            ("", 400, "The parameter from is missing"),
            (
                "from=yesterday",
                400,
                "from = 'yesterday' must be seconds since 1970, a time in ISO 8601 such as",
            ),
            ("from=5&to=5", 400, "from must be before to"),
            ("from=-1d&from=-2d", 400, "The parameter 'from' is given twice."),
            ("from=-1d&colour=red", 400, "There is no parameter 'colour' here; there are: from, to,"),
            ("from=-1d&tz=Mars", 400, "tz = 'Mars' must be the name of a time zone such as Europe/Berlin."),
            ("from=-1d&tz=../../etc/passwd", 400, "must be the name of a time zone"),
            ("from=-1d&limit=0", 400, "limit = '0' must be a whole number from 1 to 10000."),
            ("from=-1d&group=%5B1%5D", 400, "must be an object such as"),
            ("from=-1d&cursor=AAAA", 400, "must be what the page before has under next"),
            (
                "from=-1d&calendar=fortnight",
                422,
                "There is no calendar fortnight here; there are: hour, window.",
            ),
            ("from=-1d&group.page=x", 422, "Groups have no field page; there are: country."),
            ("from=%FF", 400, "A query is made of at most"),
            ("from=99999999999999", 400, "must be seconds since 1970"),
            ("from=" + "1" * 9_000, 400, "A query has at most 8192 bytes."),
        ],
    )
    def test_problem_details(self, served: Served, query: str, status: int, detail: str) -> None:
        answer = get(served, f"/v1/windows?{query}")
        assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json")
        assert detail in answer.json["detail"]

    def test_nothing_but_reading(self, served: Served) -> None:
        answer = asyncio.run(ask(served.app, "/v1/windows", method="DELETE"))
        assert (answer.status, answer.headers["allow"]) == (405, "GET")

    def test_an_empty_store(self, tmp_path: Any) -> None:
        empty = Store(tmp_path / "empty")
        served = serving(empty)
        assert get(served, "/v1/windows?from=-1d").status == 422
        assert get(served, "/v1/status").json["calendars"] == {}
        empty.close()

    def test_a_token_where_one_is_wanted(self, store: Store) -> None:
        served = serving(store, Tokens([digest("secret")]))
        assert get(served, f"/v1/windows?{ALL}").status == 401
        assert get(served, f"/v1/windows?{ALL}", authorization="Bearer secret").status == 200
        assert get(served, "/livez").status == 200


class Held:
    """A question that lasts until it is let go."""

    def __init__(self) -> None:
        self.begun, self.free = threading.Event(), threading.Event()

    def __call__(self, _reading: Any) -> str:
        self.begun.set()
        assert self.free.wait(60)
        return "answered"


async def never() -> None:
    await asyncio.Event().wait()


class TestLimits:
    def test_one_question_too_many_comes_again(self, store: Store) -> None:
        served = serving(store, most=1)
        held = Held()

        async def both() -> tuple[Answered, str]:
            first = asyncio.ensure_future(served.desk.ask(held, never))
            await asyncio.to_thread(held.begun.wait, 60)
            second = await ask(served.app, f"/v1/windows?{ALL}")
            held.free.set()
            return second, await first

        refused, answered = asyncio.run(both())
        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
        assert (answered, served.desk.open, served.desk.refused) == ("answered", 0, 1)

    def test_a_question_that_takes_too_long_is_interrupted(self, store: Store) -> None:
        """It would take hours."""
        served = serving(store, timeout_ms=200)
        rows = "SELECT count(*) FROM range(1000000000) a, range(1000000) b WHERE a.range % 7 = b.range"
        self._is_interrupted(served, served.desk.ask(lambda reading: reading.rows(rows), never), Problem)

    def test_a_question_of_many_short_queries_is_interrupted(self, store: Store) -> None:
        """It would never end, and hardly a query of it runs when the time is over."""
        served = serving(store, timeout_ms=200)

        def counting(reading: Reading) -> None:
            while True:
                reading.rows("SELECT 1")
                sum(range(1_000_000))

        self._is_interrupted(served, served.desk.ask(counting, never), Problem)

    def test_a_question_whose_client_left_is_interrupted(self, store: Store) -> None:
        served = serving(store)
        rows = "SELECT count(*) FROM range(1000000000) a, range(1000000) b WHERE a.range % 7 = b.range"
        left = partial(asyncio.sleep, 0.2)
        self._is_interrupted(served, served.desk.ask(lambda reading: reading.rows(rows), left), ClientGone)

    def _is_interrupted(self, served: Served, asked: Awaitable[object], error: type[Exception]) -> None:
        async def asking() -> None:
            with pytest.raises(error):
                await asked
            while served.desk.open:
                await asyncio.sleep(0.01)

        asyncio.run(asking())
        assert served.desk.cancelled == 1
        served.desk.close()


def event(number: int, size: int = 10, group: bytes | None = None, calendar: str = "window") -> Happened:
    return Happened("window", b'{"n":%d,"x":"%s"}' % (number, b"x" * size), calendar, group)


async def numbers(listener: Listener, count: int) -> list[int]:
    """Of the next events."""
    found: list[int] = []
    async for piece in listener.pieces():
        for line in piece.decode().splitlines():
            if line.startswith("data: ") and "n" in (data := orjson.loads(line[6:])):
                found.append(data["n"])
        if len(found) >= count:
            return found
    return found


class TestLive:
    def run(self, served: Served, body: Callable[[], Awaitable[None]]) -> None:
        asyncio.run(asyncio.wait_for(body(), 60))
        assert served.live.clients == 0

    def test_events_as_they_happen(self, served: Served) -> None:
        async def body() -> None:
            served.live.publish([event(1), event(2)])
            listener = Listener(served.app, "/v1/live")
            assert await numbers(listener, 1) == [2], "the latest, and nothing before it"
            served.live.publish([event(3), event(4, group=b'["DE"]'), event(5, calendar="day")])
            assert await numbers(listener, 2) == [3, 5]
            served.live.close()
            await listener.leave()

        self.run(served, body)

    def test_as_many_may_come_at_once_as_want_to(self, store: Store) -> None:
        """However few questions are taken: after a restart all clients come back."""
        served = serving(store, most=0)

        async def body() -> None:
            served.live.publish([event(1)])
            listeners = [Listener(served.app, "/v1/live?group.country=DE") for _ in range(20)]
            listeners += [Listener(served.app, "/v1/live") for _ in range(20)]
            while served.live.clients < len(listeners):
                await asyncio.sleep(0)
            served.live.publish([event(2), event(3, group=b'["DE"]')])
            assert [await numbers(one, 1) for one in listeners[:20]] == [[3]] * 20
            assert [await numbers(one, 2) for one in listeners[20:]] == [[1, 2]] * 20
            served.live.close()
            for one in listeners:
                await one.leave()

        self.run(served, body)

    def test_one_group_and_one_calendar(self, served: Served) -> None:
        async def body() -> None:
            listener = Listener(served.app, "/v1/live?group.country=DE&calendar=window")
            while not served.live.clients:
                await asyncio.sleep(0)
            served.live.publish(
                [event(1), event(2, group=b'["DE"]'), event(3, group=b'["DE"]', calendar="day")]
            )
            served.live.publish([event(4, group=b'["US"]'), event(5, group=b'["DE"]')])
            assert await numbers(listener, 2) == [2, 5]
            served.live.close()
            await listener.leave()

        self.run(served, body)

    @pytest.mark.parametrize(
        ("last", "wanted", "reset"), [("here-2", [3, 4], 0), ("here-0", [4], 1), ("x-3", [4], 1)]
    )
    def test_one_that_comes_back_gets_what_it_missed(
        self, served: Served, monkeypatch: pytest.MonkeyPatch, last: str, wanted: list[int], reset: int
    ) -> None:
        """Of what is remembered; else it is told to ask anew."""
        monkeypatch.setattr(live_events, "REMEMBERED", 3)
        served = served._replace(live=Live("here"))

        async def body() -> None:
            served.live.publish([event(number) for number in range(1, 5)])
            pieces = [piece async for piece in _ended(served.live, last)]
            text = b"".join(pieces).decode()
            assert [int(part.split(",")[0]) for part in text.split('{"n":')[1:]] == wanted
            assert text.count("event: reset") == reset

        self.run(served, body)

    def test_a_slow_client_is_dropped_and_told(self, served: Served) -> None:
        async def body() -> None:
            listener = Listener(served.app, "/v1/live")
            while not served.live.clients:
                await asyncio.sleep(0)
            for number in range(100):
                served.live.publish([event(number, size=2_000)])
            text = b"".join([piece async for piece in listener.pieces()]).decode()
            assert "event: dropped" in text
            assert len(text) < live_events.MOST_WAITING
            assert served.live.dropped == 1

        self.run(served, body)

    def test_a_sign_of_life(self, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(live_events, "HEARTBEAT_S", 0.01)

        async def body() -> None:
            listener = Listener(served.app, "/v1/live")
            async for piece in listener.pieces():
                if piece == b": still here\n\n":
                    break
            await listener.leave()

        self.run(served, body)


async def _ended(live: Live, last: str) -> Any:
    """What a client gets that listens for as long as there is something for it."""
    pieces = live.listen(live_events.Wish(), last)
    yield await anext(pieces)
    yield await anext(pieces)
    await pieces.aclose()


class TestTheDocument:
    def test_it_is_openapi(self, served: Served) -> None:
        document = get(served, "/openapi.json").json
        validate(document)

    def test_it_has_every_route(self, served: Served) -> None:
        document = get(served, "/openapi.json").json
        found = Application(served.store, served.desk, served.live, served.running, served.standings).routes
        assert document["paths"].keys() == found.keys() - {"/openapi.json", "/metrics"}


def test_the_page_has_its_policy(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    page = {"/": (b"text/html; charset=utf-8", b"<!doctype html>")}
    monkeypatch.setattr("streamagg.serve.api.application.page_files", lambda: page)
    answer = get(serving(served.store, Tokens([digest("x")])), "/")
    assert (answer.status, answer.body) == (200, b"<!doctype html>")
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]
