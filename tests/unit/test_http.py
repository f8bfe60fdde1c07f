"""What is served over HTTP, what is refused, and what a client may take."""

import asyncio
import gc
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamagg.errors import SettingsError
from streamagg.http.access_log import AccessLog
from streamagg.http.connection import MOST_AHEAD, MOST_HEAD_BYTES, SPARE_CONNECTIONS
from streamagg.http.front import Request, Route
from streamagg.http.handshakes import Handshakes
from streamagg.http.meter import Meter, keys
from streamagg.http.numbers import SharedNumbers
from streamagg.http.problems import Answer, Problem
from streamagg.http.server import check_packages, listener, listeners, tls_context
from streamagg.http.tokens import Tokens, digest
from streamagg.model.settings import ListenSettings
from tests.support.certificates import Authority
from tests.support.clock import Clock
from tests.support.http_server import Client, Served, serving
from tests.support.instances import wait_until

TOKEN = "an-open-secret-0123456789"
AUTHORIZED = {"authorization": f"Bearer {TOKEN}"}


async def echo(request: Request) -> Answer:
    body, more = b"", True
    while more:
        chunk, more = await request.chunk()
        body += chunk
    return Answer(200, body)


async def hello(request: Request) -> Answer:
    return Answer(200, b"hello")


async def broken(request: Request) -> Answer:
    raise ZeroDivisionError("secret")


class Gate:
    """A handler that answers when it may."""

    def __init__(self) -> None:
        self.entered, self.open = threading.Event(), threading.Event()

    async def __call__(self, request: Request) -> Answer:
        self.entered.set()
        await asyncio.to_thread(self.open.wait)
        return Answer(200, b"passed")


ROUTES = {
    "/echo": Route("echo", {"POST": echo}),
    "/hello": Route("hello", {"GET": hello}, open=True),
    "/broken": Route("broken", {"GET": broken}),
}


def limited(**limits: int) -> ListenSettings:
    return ListenSettings(address="127.0.0.1:0", access_log_ms=0, **limits)


@pytest.fixture(scope="module")
def plain() -> Iterator[Served]:
    with serving(ROUTES) as served:
        yield served


@pytest.fixture
def client(plain: Served) -> Iterator[Client]:
    with Client(plain.port) as client:
        yield client


def test_requests_of_one_connection_are_answered_one_after_the_other(client: Client) -> None:
    for body in (b"", b"one", b"x" * 1_000_000):
        reply = client.ask("POST", "/echo", body)
        assert (reply.status, reply.body) == (200, body)
    assert client.ask("HEAD", "/hello").headers["content-length"] == "5"


def test_requests_may_be_sent_ahead(client: Client) -> None:
    client.send(b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\n1" * MOST_AHEAD)
    assert [client.reply().body for _ in range(MOST_AHEAD)] == [b"1"] * MOST_AHEAD


def test_but_not_without_end(plain: Served) -> None:
    gate = Gate()
    with serving({"/gate": Route("gate", {"GET": gate})}) as served, Client(served.port) as client:
        client.send(b"GET /gate HTTP/1.1\r\nhost: x\r\n\r\n" * (2 * MOST_AHEAD))
        assert client.closed()
        assert dict(served.meter.refusals())["crowded"] == 1
        gate.open.set()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nowhere", 404), ("GET", "/echo", 405), ("GET", "/broken", 500), ("DELETE", "/hello", 405)],
)
def test_an_error_is_a_problem(client: Client, method: str, path: str, status: int) -> None:
    reply = client.ask(method, path)
    assert reply.status == status
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json["status"] == status
    assert "secret" not in str(reply.json)
    assert client.ask("GET", "/hello").status == 200


def test_what_is_allowed_is_named(client: Client) -> None:
    assert client.ask("GET", "/echo").headers["allow"] == "POST"


@pytest.mark.parametrize(
    "request_",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
        b"GET\r\n\r\n",
        b"POST /echo HTTP/1.1\r\ncontent-length: x\r\n\r\n",
    ],
)
def test_what_is_not_http_is_refused(client: Client, request_: bytes) -> None:
    client.send(request_)
    assert client.reply().status == 400
    assert client.closed()


def test_a_head_that_is_too_large_is_refused(client: Client) -> None:
    head = b"POST /hello HTTP/1.1\r\ncontent-length: 9\r\nx: " + b"y" * MOST_HEAD_BYTES
    client.send(head + b"\r\n\r\nsome body")
    assert client.reply().status == 431
    assert client.closed()


def test_and_one_that_has_no_end(plain: Served) -> None:
    with Client(plain.port) as client:
        client.send(b"GET /hello HTTP/1.1\r\n")
        for _ in range(MOST_HEAD_BYTES // 1_000 + 2):
            try:
                client.send(b"x: " + b"y" * 1_000 + b"\r\n")
            except OSError:
                break
        assert client.reply().status == 431


def test_a_large_body_behind_a_small_head_is_none(client: Client) -> None:
    head = b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n"
    client.send(head + b"x" * 100_000 + b"GET /hello HTTP/1.1\r\n")
    assert len(client.reply().body) == 100_000
    client.send(b"host: x\r\n\r\n")
    assert client.reply().body == b"hello"


def test_headers_behind_a_body_are_not_kept(client: Client) -> None:
    trailer = b"x: y\r\n" * 10
    client.send(
        b"POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n"
        + trailer
        + b"\r\n"
    )
    assert client.reply().body == b"a"


def test_who_will_send_no_more_gets_the_answer(client: Client) -> None:
    client.send(b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\n1" * 3)
    client.socket.shutdown(socket.SHUT_WR)
    assert [client.reply().body for _ in range(3)] == [b"1"] * 3
    assert client.closed()


def test_half_a_request_gets_none(client: Client) -> None:
    client.send(b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nhalf")
    client.socket.shutdown(socket.SHUT_WR)
    assert client.closed()


@pytest.mark.parametrize("sent", [b"", b"GET /he", b"POST /echo HTTP/1.1\r\ncontent-length: 9\r\n\r\nhalf"])
def test_a_slow_request_is_given_up(sent: bytes) -> None:
    with serving(ROUTES, limited(request_timeout_ms=100)) as served, Client(served.port) as client:
        client.send(sent)
        assert client.reply().status == 408
        assert client.closed()
        assert dict(served.meter.refusals())["slow"] == 1


def test_a_connection_without_a_request_is_ended_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamagg.http.server.IDLE_S", 0.1)

    async def slow(request: Request) -> Answer:
        await asyncio.sleep(0.3)
        return Answer(200, b"slow")

    with serving({"/slow": Route("slow", {"GET": slow})}) as served, Client(served.port) as client:
        assert client.ask("GET", "/slow").body == b"slow"
        assert client.closed()
        assert not any(count for _, count in served.meter.refusals())


@pytest.mark.parametrize(("method", "path"), [("POST", "/echo"), ("GET", "/nowhere")])
def test_a_request_leaves_nothing_to_look_for(client: Client, method: str, path: str) -> None:
    """No cycles of objects: workers look for them rarely, and bodies would wait in them."""
    requests = 50

    def cycles() -> int:
        """Of whatever runs in this process: threads of other tests may leave some once."""
        gc.collect()
        gc.disable()
        try:
            for _ in range(requests):
                client.ask(method, path, b"1")
            return gc.collect()
        finally:
            gc.enable()

    client.ask(method, path, b"1")
    assert min(cycles() for _ in range(3)) < requests


def test_an_answer_is_never_taken_for_that_to_another_request() -> None:
    """The first request is still at work when the second turns out to be too slow."""
    gate = Gate()
    routes = {"/gate": Route("gate", {"GET": gate})}
    with serving(routes, limited(request_timeout_ms=100)) as served, Client(served.port) as client:
        client.send(b"GET /gate HTTP/1.1\r\nhost: x\r\n\r\nGET /ga")
        assert client.closed()
        gate.open.set()


def test_who_is_refused_at_once_gets_to_read_it(plain: Served) -> None:
    with serving(ROUTES, tokens=(TOKEN,)) as served, Client(served.port) as client:
        client.send(b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n")
        assert client.reply().status == 401
        client.send(b"x" * 1_000_000)
        assert client.ask("POST", "/echo", b"1", AUTHORIZED).body == b"1"


def test_beyond_the_limit_of_connections_only_what_is_open_is_answered() -> None:
    with serving(ROUTES, limited(max_connections=1)) as served, Client(served.port) as first:
        assert first.ask("POST", "/echo", b"1").status == 200
        with Client(served.port) as second:
            reply = second.ask("POST", "/echo", b"1")
            assert (reply.status, reply.headers["retry-after"]) == (503, "1")
            assert second.closed()
        with Client(served.port) as third:
            assert third.ask("GET", "/hello").status == 200
        assert first.ask("POST", "/echo", b"1").status == 200
        wait_until(lambda: served.meter.connections == 1, "the others are gone")


def test_and_beyond_the_spare_ones_nothing() -> None:
    with serving(ROUTES, limited(max_connections=1)) as served:
        clients = [Client(served.port) for _ in range(1 + SPARE_CONNECTIONS)]
        wait_until(lambda: served.meter.connections == len(clients), "all are there")
        with Client(served.port) as last:
            assert last.closed()
        for client in clients:
            client.__exit__()


def test_a_token_is_needed_where_there_are_tokens() -> None:
    with serving(ROUTES, tokens=(TOKEN, "another")) as served, Client(served.port) as client:
        for headers in ({}, {"authorization": f"Basic {TOKEN}"}, {"authorization": "Bearer x"}):
            reply = client.ask("POST", "/echo", b"1", headers)
            assert (reply.status, reply.headers["www-authenticate"]) == (401, "Bearer")
        assert client.ask("GET", "/nowhere").status == 401
        assert client.ask("GET", "/hello").status == 200
        assert client.ask("POST", "/echo", b"1", AUTHORIZED).status == 200
        assert client.ask("POST", "/echo", b"1", {"authorization": "bearer another"}).status == 200


def test_tokens_may_be_replaced() -> None:
    tokens = Tokens([digest("old-token")])
    tokens.replace([digest("new-token")])
    tokens.check(b"Bearer new-token")
    with pytest.raises(Problem):
        tokens.check(b"Bearer old-token")


def test_what_is_under_way_is_answered_before_the_end() -> None:
    gate = Gate()
    with serving({"/gate": Route("gate", {"GET": gate})}) as served, Client(served.port) as client:
        client.send(b"GET /gate HTTP/1.1\r\nhost: x\r\n\r\n")
        gate.entered.wait()
        served.stop.set()
        wait_until(lambda: not accepts(served.port), "nothing is accepted")
        gate.open.set()
        reply = client.reply()
        assert (reply.body, reply.headers["connection"]) == (b"passed", "close")


def accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


class Secure:
    """A certificate, and a client's context that knows it."""

    def __init__(self, directory: Path) -> None:
        authority = Authority("anybody")
        issued = authority.server("127.0.0.1")
        self.certificate, self.key = directory / "cert.pem", directory / "key.pem"
        self.certificate.write_text(issued.certificate, "utf-8")
        self.key.write_text(issued.key, "utf-8")
        self.context = ssl.create_default_context(cadata=authority.pem)

    def limited(self, **limits: int) -> ListenSettings:
        return ListenSettings("127.0.0.1:0", str(self.certificate), str(self.key), access_log_ms=0, **limits)


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Secure:
    return Secure(tmp_path_factory.mktemp("secure"))


def test_tls(secure: Secure) -> None:
    with serving(ROUTES, secure.limited()) as served, Client(served.port, secure.context) as client:
        for body in (b"1", b"x" * 1_000_000):
            assert client.ask("POST", "/echo", body).body == body


def test_a_handshake_without_an_end_is_given_up(secure: Secure) -> None:
    """Nothing, the first bytes of a hello, and what is no TLS at all."""
    with serving(ROUTES, secure.limited(request_timeout_ms=200)) as served:
        for sent in (b"", b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"):
            with Client(served.port) as client:
                client.send(sent)
                client.closed()
        wait_until(lambda: dict(served.meter.refusals())["handshake"] == 3, "all are counted")
        with Client(served.port, secure.context) as client:
            assert client.ask("GET", "/hello").body == b"hello"


def test_a_client_that_is_accepted_at_the_very_end_is_let_go(secure: Secure) -> None:
    """Its handshake is called off before it has begun."""
    listening = listener("127.0.0.1:0")
    meter = Meter(SharedNumbers(keys(()), processes=1), ())

    async def serve() -> None:
        def has_room(_: int) -> bool:
            asyncio.get_running_loop().call_soon(handshakes.close)
            return True

        context = tls_context(secure.limited())
        assert context is not None
        handshakes = Handshakes(listening, context, asyncio.Protocol, has_room, 20, meter)
        await handshakes.wait_closed()

    with listening, Client(listening.getsockname()[1]) as client:
        asyncio.run(serve())
        assert client.closed()


def test_handshakes_keep_nobody_out_whose_own_is_done(secure: Secure) -> None:
    """They count as connections do, and those beyond the limit are ended at once."""
    most = 1 + SPARE_CONNECTIONS
    with serving(ROUTES, secure.limited(max_connections=1)) as served:
        with Client(served.port, secure.context) as client:
            assert client.ask("GET", "/hello").body == b"hello"
            silent = [Client(served.port) for _ in range(most)]
            assert silent[-1].closed()
            assert dict(served.meter.refusals())["crowded"] == 1
            assert client.ask("GET", "/hello").body == b"hello"
            for one in silent:
                one.__exit__()
            wait_until(lambda: dict(served.meter.refusals())["handshake"] == most - 1, "they are gone")
        with Client(served.port, secure.context) as client:
            assert client.ask("GET", "/hello").body == b"hello"


def test_what_is_under_way_is_answered_before_the_end_with_tls(secure: Secure) -> None:
    gate = Gate()
    with serving({"/gate": Route("gate", {"GET": gate})}, secure.limited()) as served:
        silent = Client(served.port)
        with Client(served.port, secure.context) as client:
            client.send(b"GET /gate HTTP/1.1\r\nhost: x\r\n\r\n")
            gate.entered.wait()
            served.stop.set()
            wait_until(lambda: not accepts(served.port), "nothing is accepted")
            gate.open.set()
            assert client.reply().body == b"passed"
        assert silent.closed()
        silent.__exit__()


def test_a_certificate_that_is_none_is_told(tmp_path: Path) -> None:
    path = tmp_path / "cert.pem"
    path.write_text("no certificate", "utf-8")
    with pytest.raises(SettingsError, match=r"cannot be used: they are no certificate and its key"):
        tls_context(ListenSettings(tls_certificate=str(path)))
    with pytest.raises(SettingsError, match=r"cannot be used: No such file"):
        tls_context(ListenSettings(tls_certificate=str(tmp_path / "absent")))


def test_an_address_that_is_taken_is_told(plain: Served) -> None:
    with pytest.raises(SettingsError, match=r"^--listen 127\.0\.0\.1:\d+ cannot be served: Address already"):
        listener(f"127.0.0.1:{plain.port}")


def test_sockets_share_an_address_that_nobody_else_has(plain: Served) -> None:
    shared = listeners("127.0.0.1:0", 3)
    assert len({one.getsockname() for one in shared}) == 1
    port = shared[0].getsockname()[1]
    for taken in (plain.port, port):
        with pytest.raises(SettingsError, match="Address already in use"):
            listeners(f"127.0.0.1:{taken}", 2)
    for one in shared:
        one.close()


def test_a_missing_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamagg.http.server.find_spec", lambda name: None if name == "uvloop" else True)
    with pytest.raises(SettingsError, match=r"packages uvloop: .* 'streamagg\[http\]'\.$"):
        check_packages()


def test_a_request_in_an_interval_is_logged() -> None:
    clock = Clock()
    log = AccessLog(10_000, clock)
    assert [log.wants(200), log.wants(204), log.wants(503)] == [True, False, True]
    clock.seconds = 9.9
    assert not log.wants(200)
    clock.seconds = 10
    assert log.wants(200)
    assert not AccessLog(0, clock).wants(500)


def test_processes_add_up() -> None:
    first = SharedNumbers(keys(["r"]), processes=2)
    second = SharedNumbers(keys(["r"]), processes=2, process=1, descriptor=first.descriptor)
    Meter(first, ["r"]).answered("r", 200, 0.001)
    Meter(second, ["r"]).answered("r", 200, 20.0)
    Meter(second, ["r"]).connected(3)
    meter = Meter(first, ["r"])
    ((route, kind, seconds),) = meter.seconds()
    assert (route, kind, meter.connections) == ("r", "2xx", 3)
    assert (seconds.counts[0], seconds.counts[-1], sum(seconds.counts)) == (1, 1, 2)
    assert seconds.sum == pytest.approx(20.001)
