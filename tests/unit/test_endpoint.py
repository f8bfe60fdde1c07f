"""The HTTP endpoint against clients that are idle, slow, large or many."""

import http.client
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamagg.settings.parsers import listen_address
from streamagg.telemetry import endpoint
from streamagg.telemetry.endpoint import MOST_CONNECTIONS, MOST_REQUEST_BYTES, Shown, serving
from streamagg.telemetry.health import Health
from streamagg.telemetry.metrics import Metrics
from tests.support.crowd import crowd, is_closed
from tests.support.instances import wait_until

IDLE = 2_000
SHORT_S = 0.3


def shown() -> Shown:
    return Shown(Metrics().registry, Health())


@pytest.fixture
def address() -> Iterator[tuple[str, int]]:
    with serving("127.0.0.1:0", shown()) as url:
        yield "127.0.0.1", int(url.rpartition(":")[2])


def ask(address: tuple[str, int], method: str = "GET", path: str = "/metrics") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(*address, timeout=30)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("says", [b"", b"GET /metrics HTTP/1.1\r\nX: "], ids=["idle", "unfinished"])
def test_thousands_of_idle_connections_keep_nobody_out(address: tuple[str, int], says: bytes) -> None:
    threads, descriptors = threading.active_count(), open_descriptors()
    with crowd(address, IDLE, says=says):
        for _ in range(5):
            status, page = ask(address)
            assert status == 200
            assert b"streamagg_build_info" in page
        assert threading.active_count() == threads
        # Both ends are in this process.
        wait_until(
            lambda: open_descriptors() <= descriptors + IDLE + MOST_CONNECTIONS + 1,
            "the connections that were pushed out are closed",
        )


def test_the_one_that_waits_longest_is_pushed_out(address: tuple[str, int]) -> None:
    with crowd(address, 1) as (first,), crowd(address, MOST_CONNECTIONS):
        assert is_closed(first)


def test_a_drop_at_a_time_is_not_enough(address: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "REQUEST_S", SHORT_S)
    with crowd(address, 1) as (slow,):
        slow.settimeout(SHORT_S / 10)
        dripped = 0

        def ended() -> bool:
            nonlocal dripped
            try:
                slow.sendall(b"G")
                dripped += 1
                return slow.recv(1) == b""
            except TimeoutError:
                return False
            except ConnectionError:
                return True

        wait_until(ended, "the end of a slow request")
        assert dripped > 1


def test_who_does_not_read_is_cut_off_and_holds_nobody_up(
    address: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, "REQUEST_S", SHORT_S)
    monkeypatch.setattr(endpoint, "_response", lambda head, shown: b"x" * (64 << 20))
    with crowd(address, 1, says=b"GET /metrics HTTP/1.1\r\n\r\n") as (deaf,):
        received = len(deaf.recv(1))
        monkeypatch.undo()
        assert ask(address)[0] == 200
        try:
            while chunk := deaf.recv(1 << 20):
                received += len(chunk)
                # Far slower than the limit allows.
                threading.Event().wait(SHORT_S / 2)
        except ConnectionResetError:
            pass
        assert received < 64 << 20


def test_a_request_without_end_is_cut_off(address: tuple[str, int]) -> None:
    with crowd(address, 1, says=b"x" * (MOST_REQUEST_BYTES + 1)) as (endless,):
        assert is_closed(endless)
    assert ask(address)[0] == 200


@pytest.mark.parametrize(
    "garbage", [b"\r\n\r\n", b"\0\xff\r\n\r\n", b"GET\r\n\r\n", b"GET  /metrics\r\n\r\n"]
)
def test_garbage_is_answered_and_forgotten(address: tuple[str, int], garbage: bytes) -> None:
    with crowd(address, 1, says=garbage) as (odd,):
        assert odd.recv(64).split(b" ")[1] in (b"404", b"405")
    assert ask(address)[0] == 200


def test_methods(address: tuple[str, int]) -> None:
    assert ask(address, "POST")[0] == 405
    assert ask(address, "HEAD") == (200, b"")
    assert ask(address, path="/metrics?name[]=x")[0] == 200


def test_many_requests_in_one_connection_get_one_answer(address: tuple[str, int]) -> None:
    with crowd(address, 1, says=b"GET /livez HTTP/1.1\r\n\r\n" * 3) as (greedy,):
        answer = b""
        while part := greedy.recv(4096):
            answer += part
    assert answer.count(b"HTTP/1.1 200") == 1


def test_loopback_is_the_default() -> None:
    assert listen_address("9100") == "127.0.0.1:9100"
    assert listen_address(":9100") == "127.0.0.1:9100"


def test_it_ends_with_clients_connected() -> None:
    with serving("[::1]:0" if socket.has_ipv6 else "127.0.0.1:0", shown()) as url:
        host, port = url.removeprefix("http://").rsplit(":", 1)
        with crowd((host.strip("[]"), int(port)), 10):
            assert ask((host.strip("[]"), int(port)), path="/livez") == (200, b'{"live":true,"reasons":[]}\n')
    assert "http" not in {thread.name for thread in threading.enumerate()}
