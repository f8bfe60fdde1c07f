"""A client that is made of the OpenAPI document, against a live server: every route, its types and errors.

Made when the test runs, and not written out as code: of the kept generators of code the one that could do it,
openapi-python-client, wants an older typer than this program runs on.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import orjson
import pytest
from aiopenapi3 import OpenAPI
from aiopenapi3.errors import HTTPClientError

from streamagg.http.front import Route
from streamagg.serve.api import live as live_events
from streamagg.serve.api.application import Application
from streamagg.serve.api.endpoints import ENDPOINTS
from streamagg.serve.api.live import Happened
from streamagg.serve.store.store import Store
from tests.serve.test_serve_http import Served
from tests.serve.test_serve_http import serving as answering
from tests.support.asked_store import fill
from tests.support.http_server import serving
from tests.support.published_history import EPOCH_S, Visits, sketches, values
from tests.support.serving import wait_for

VISITS = Visits.made(seed=11, windows=130)
END_S = VISITS.starts[-1] + 60
ALL = {"from": str(EPOCH_S), "to": str(END_S)}
TOLD = {"ts": EPOCH_S, "cnt": 5, "records": 7, "granularity": 60, "partial": False, "v": 1}
TOKEN = "sesame"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    store = Store(tmp_path_factory.mktemp("client") / "store")
    fill(store, values(VISITS.published()), sketches(VISITS))
    made = answering(store)
    made.standings.change(trouble=None, behind=0, begun=True)
    made.live.publish([Happened("window", orjson.dumps(TOLD), "window", None)])
    yield made
    made.desk.close()
    store.close()


@pytest.fixture(scope="module")
def routes(served: Served) -> dict[str, Route]:
    return Application(served.store, served.desk, served.live, served.running, served.standings).routes


@pytest.fixture(scope="module")
def client(routes: dict[str, Route]) -> Iterator[Any]:
    """Its questions by their names."""
    with serving(routes) as server:
        yield OpenAPI.load_sync(f"http://127.0.0.1:{server.port}/openapi.json")


def users_of(begin: int, end: int, country: Any = ...) -> int:
    return len(VISITS.between(begin, end, country))


def test_it_has_a_question_for_every_path(client: Any) -> None:
    names = {path.rpartition("/")[2] for path in client.paths.paths}
    assert set(client._) == names
    assert names == {one.path.rpartition("/")[2] for one in ENDPOINTS} | {"live", "status", "livez", "readyz"}


def test_pages_by_cursor(client: Any) -> None:
    """Until there is no next one."""
    found, cursor = [], {}
    while True:
        page = client._.windows(parameters=ALL | {"limit": 50} | cursor)
        found += page.windows
        if page.next is None:
            break
        cursor = {"cursor": page.next}
    assert [(one.ts, one.cnt, one.group) for one in found] == [
        (start, users_of(start, start + 60), None) for start in VISITS.starts
    ]


def test_groups_of_windows(client: Any) -> None:
    asked = ALL | {"group": orjson.dumps({"country": None}).decode(), "order": "desc", "limit": 3}
    page = client._.windows(parameters=asked)
    last = sorted((start for start, country in VISITS.users if country is None), reverse=True)[:3]
    assert [one.ts for one in page.windows] == last
    assert page.windows[0].group.root == {"country": None}


def test_samples(client: Any) -> None:
    asked = ALL | {"points": 13, "measure": "cnt,price", "how": "mean", "explain": "true"}
    found = client._.series(parameters=asked)
    column = found.series.root["cnt"]
    assert (len(column.ts), len(column.values), column.ts[-1]) == (13, 13, END_S)
    assert found.explain.segments_read <= found.explain.segments


def test_users_of_ranges(client: Any) -> None:
    half = (EPOCH_S + END_S) // 2
    back = client._.users(parameters={"from": str(half), "to": str(END_S), "and": [f"{EPOCH_S}/{half}"]})
    both = VISITS.between(half, END_S) & VISITS.between(EPOCH_S, half)
    assert (back.users, back.exact, back.complete) == (len(both), True, True)
    only = {"and": ["group.country=DE", f"{EPOCH_S}/{half}"], "not": ["group.country=US"]}
    found = client._.users(parameters=ALL | only)
    wanted = VISITS.between(EPOCH_S, END_S, "DE") & VISITS.between(EPOCH_S, half)
    assert found.users == len(wanted - VISITS.between(EPOCH_S, END_S, "US"))


def test_who_comes_back(client: Any) -> None:
    (cohort,) = client._.retention(parameters=ALL | {"cohort": "day"}).cohorts
    assert cohort.retained[0].users == users_of(EPOCH_S, END_S)


def test_the_largest_groups(client: Any) -> None:
    found = client._.top(parameters=ALL | {"by": "country", "n": 2})
    assert (len(found.top), found.by, found.groups_left_out) == (2, "country", False)
    assert found.top[0].users == max(users_of(EPOCH_S, END_S, one.value) for one in found.top)


def test_status_and_health(client: Any, served: Served) -> None:
    status = client._.status()
    window = status.calendars.root["window"]
    assert (window.oldest, window.end, window.length) == (VISITS.starts[0], VISITS.starts[-1] + 60, 60)
    assert (status.following, status.trouble, status.behind) == (True, None, 0)
    assert client._.livez().reasons == client._.readyz().reasons == []


def test_what_is_told(client: Any, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """The latest event, of a stream that has no end."""
    # That nobody listens any more is noticed with the next sign of life, and the server ends only then.
    monkeypatch.setattr(live_events, "HEARTBEAT_S", 0.05)
    answer = client.createRequest("live").stream(parameters={"calendar": ["window"]})
    try:
        lines = answer.result.iter_lines()
        data = next(line for line in lines if line.startswith("data: "))
        assert orjson.loads(data.removeprefix("data: ")) == TOLD
    finally:
        answer.result.close()
        answer.session.close()
    wait_for(lambda: not served.live.clients)


@pytest.mark.parametrize(
    ("asked", "status", "detail"),
    [
        ({"from": "2026-02-31"}, 400, "from = '2026-02-31' must be"),
        ({"from": "-1h", "calendar": "fortnight"}, 422, "There is no calendar fortnight here"),
    ],
)
def test_errors(client: Any, asked: dict[str, str], status: int, detail: str) -> None:
    with pytest.raises(HTTPClientError) as refused:
        client._.windows(parameters=asked)
    problem = client.components.schemas["Problem"].get_type().model_validate_json(refused.value.data)
    assert (refused.value.status_code, problem.status) == (status, status)
    assert problem.detail.startswith(detail)


def test_a_token(routes: dict[str, Route]) -> None:
    open_to_all = {**routes, "/openapi.json": replace(routes["/openapi.json"], open=True)}
    with serving(open_to_all, tokens=(TOKEN,)) as server:
        client = OpenAPI.load_sync(f"http://127.0.0.1:{server.port}/openapi.json")
        with pytest.raises(HTTPClientError, match="401"):
            client._.status()
        client.authenticate(token=TOKEN)
        assert client._.status().following
