"""The proxy that makes a network worse: each condition seen from a client of an echo server."""

import socket
import socketserver
import threading
import time
from collections.abc import Iterator

import pytest

from tests.chaos.proxy import HOST, Network, Proxy

PATIENCE_S = 20.0


class Echo(socketserver.BaseRequestHandler):
    """Sends back what comes."""

    def handle(self) -> None:
        while data := self.request.recv(65_536):
            self.request.sendall(data)


class Server(socketserver.ThreadingTCPServer):
    """Knows how many clients came, and forgives those that break off."""

    daemon_threads = True
    accepted = 0

    def process_request(self, request: object, client_address: object) -> None:
        self.accepted += 1
        super().process_request(request, client_address)  # type: ignore[arg-type]

    def handle_error(self, request: object, client_address: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server((HOST, 0), Echo) as echo:
        thread = threading.Thread(target=echo.serve_forever, args=(0.01,))
        thread.start()
        yield echo
        echo.shutdown()
        thread.join()


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    with Proxy(server.server_address[1]) as between:
        yield between


@pytest.fixture
def client(proxy: Proxy) -> Iterator[socket.socket]:
    with connect(proxy) as connection:
        assert exchange(connection, b"hello") == b"hello"
        yield connection


def connect(proxy: Proxy) -> socket.socket:
    return socket.create_connection((HOST, proxy.port), PATIENCE_S)


def exchange(connection: socket.socket, data: bytes) -> bytes:
    connection.sendall(data)
    back = b""
    while len(back) < len(data) and (more := connection.recv(65_536)):
        back += more
    return back


def is_silent(connection: socket.socket) -> bool:
    """Nothing comes, and the connection stays open; true only after a while."""
    connection.settimeout(0.3)
    try:
        connection.recv(1)
    except TimeoutError:
        return True
    finally:
        connection.settimeout(PATIENCE_S)
    return False


def is_broken(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_it_passes_everything_on(client: socket.socket) -> None:
    data = bytes(range(256)) * 4_000
    sender = threading.Thread(target=client.sendall, args=(data,))
    sender.start()
    back = b""
    while len(back) < len(data):
        back += client.recv(65_536)
    sender.join()
    assert back == data


def test_a_delay_comes_both_ways(proxy: Proxy, client: socket.socket) -> None:
    proxy.become(Network(delay_ms=100))
    began = time.monotonic()
    assert exchange(client, b"slow") == b"slow"
    assert time.monotonic() - began >= 0.2


def test_a_throttle(proxy: Proxy, client: socket.socket) -> None:
    proxy.become(Network(bytes_per_s=100_000))
    began = time.monotonic()
    assert len(exchange(client, bytes(20_000))) == 20_000
    assert time.monotonic() - began >= 0.2


@pytest.mark.parametrize("way", ["up", "down"])
def test_a_direction_in_which_nothing_passes(way: str, proxy: Proxy, client: socket.socket) -> None:
    proxy.become(Network(held=frozenset({way})))  # type: ignore[arg-type]
    client.sendall(b"held")
    assert is_silent(client)
    with connect(proxy) as late:
        assert is_silent(late)
    proxy.become(Network())
    assert client.recv(100) == b"held"


def test_cut_connections_are_broken_and_new_ones_work(proxy: Proxy, client: socket.socket) -> None:
    proxy.cut()
    assert is_broken(client)
    with connect(proxy) as again:
        assert exchange(again, b"again") == b"again"


def test_a_stranded_client_is_not_told(proxy: Proxy, server: Server, client: socket.socket) -> None:
    proxy.strand()
    client.sendall(b"lost")
    assert is_silent(client)
    with connect(proxy) as again:
        assert exchange(again, b"again") == b"again"
        assert server.accepted == 2
        assert proxy.connections == 2
    proxy.cut()
    assert is_broken(client)
    assert proxy.connections == 0


def test_a_server_that_is_away(server: Server, proxy: Proxy) -> None:
    server.shutdown()
    server.server_close()
    with connect(proxy) as refused:
        assert is_broken(refused)
