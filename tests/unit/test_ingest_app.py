"""What a POST brings, what is answered, and what is written then."""

import gc
import gzip
import threading
from collections.abc import Iterator

import pytest
import zstandard

from streamagg.ingest.app import MOST_KEY_BYTES, Ingest
from streamagg.ingest.figures import Seen
from streamagg.ingest.records import MOST_RECORDS
from streamagg.model.settings import ListenSettings
from tests.support.http_server import Client, Reply, serving
from tests.support.ingest import JSON, LINES, Desk, ingest_of
from tests.support.instances import wait_until

PATH = "/v1/records"
ONE = b'{"uid":"a"}'


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[Desk, Ingest, int]]:
    desk = Desk()
    ingest = ingest_of(desk)
    with serving(ingest.routes, meter=ingest.meter) as served:
        yield desk, ingest, served.port


@pytest.fixture
def desk(running: tuple[Desk, Ingest, int]) -> Desk:
    desk = running[0]
    desk.bodies.clear()
    desk.taken = 0
    desk.trouble = None
    return desk


@pytest.fixture
def client(running: tuple[Desk, Ingest, int]) -> Iterator[Client]:
    with Client(running[2]) as client:
        yield client


def figure(running: tuple[Desk, Ingest, int], name: str) -> float:
    ingest = running[1]
    value = Seen(ingest.figures, ingest.meter, 0).registry.get_sample_value(f"streamagg_ingest_{name}")
    assert value is not None
    return value


@pytest.mark.parametrize(
    ("body", "headers", "records"),
    [
        (ONE + b"\n" + ONE, LINES, [ONE, ONE]),
        (ONE, {}, [ONE]),
        (ONE, {"content-type": "application/JSON; charset=utf-8"}, [ONE]),
        (b"[" + ONE + b"," + ONE + b"]", JSON, [ONE, ONE]),
        (gzip.compress(ONE, mtime=0), {**LINES, "content-encoding": "gzip"}, [ONE]),
        (zstandard.compress(ONE), {**JSON, "content-encoding": "ZSTD"}, [ONE]),
        (ONE, {**LINES, "content-encoding": "identity"}, [ONE]),
        (b"", LINES, []),
    ],
)
def test_records_in_every_form(
    client: Client, desk: Desk, body: bytes, headers: dict[str, str], records: list[bytes]
) -> None:
    reply = client.ask("POST", PATH, body, headers)
    assert (reply.status, reply.json) == (200, {"accepted": len(records)})
    assert desk.records == records


def test_one_bad_line_and_nothing_is_sent(client: Client, desk: Desk) -> None:
    reply = client.ask("POST", PATH, ONE + b"\n[]\n" + ONE, LINES)
    assert reply.status == 400
    assert reply.json["rejected"] == 1
    assert reply.json["errors"] == [{"line": 2, "reason": "not a JSON object"}]
    assert desk.records == []


def test_unless_a_part_is_wanted(client: Client, desk: Desk) -> None:
    reply = client.ask("POST", f"{PATH}?partial=true", ONE + b"\n[]\n" + ONE, LINES)
    assert reply.status == 200
    assert reply.json == {
        "accepted": 2,
        "rejected": 1,
        "errors": [{"line": 2, "reason": "not a JSON object"}],
    }
    assert desk.records == [ONE, ONE]


def test_a_key_is_looked_for_where_it_is_said(client: Client, desk: Desk) -> None:
    assert client.ask("POST", f"{PATH}?key_field=user.id", ONE, LINES).status == 200
    assert desk.bodies[0].key_path == ("user", "id")


@pytest.mark.parametrize(
    ("target", "headers", "status", "says"),
    [
        (f"{PATH}?partial=yes", LINES, 400, "partial must be true or false"),
        (f"{PATH}?parts=true", LINES, 400, "no parameter parts"),
        (f"{PATH}?key_field=a..b", LINES, 400, "key_field must be"),
        (f"{PATH}?key_field={'x' * 300}", LINES, 400, "key_field must be"),
        (f"{PATH}?partial=%ff", LINES, 400, "cannot be read"),
        (PATH, {"content-type": "application/x-www-form-urlencoded"}, 415, "application/x-ndjson"),
        (PATH, {**LINES, "content-encoding": "br"}, 415, "gzip or zstd"),
        (PATH, {**LINES, "content-encoding": "gzip, gzip"}, 415, "gzip or zstd"),
        (PATH, {**LINES, "content-encoding": "gzip"}, 400, "not what Content-Encoding says"),
        (PATH, {**LINES, "idempotency-key": "x" * (MOST_KEY_BYTES + 1)}, 400, "Idempotency-Key must"),
        (PATH, {**LINES, "idempotency-key": ""}, 400, "Idempotency-Key must"),
    ],
)
def test_what_is_wrong_is_told(
    client: Client, desk: Desk, target: str, headers: dict[str, str], status: int, says: str
) -> None:
    reply = client.ask("POST", target, ONE, headers)
    assert reply.status == status
    assert says in str(reply.json["detail"])
    assert desk.records == []


def test_what_can_be_sent_is_named(client: Client) -> None:
    reply = client.ask("POST", PATH, ONE, {"content-type": "text/csv"})
    assert "application/x-ndjson" in reply.headers["accept-post"]
    reply = client.ask("POST", PATH, ONE, {"content-encoding": "br"})
    assert reply.headers["accept-encoding"] == "gzip, zstd"


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"x" * (1 << 16) + b"x", LINES),
        (gzip.compress(b"{}\n" * 25_000, mtime=0), {**LINES, "content-encoding": "gzip"}),
    ],
)
def test_a_body_that_is_too_large_is_refused(
    client: Client, desk: Desk, body: bytes, headers: dict[str, str]
) -> None:
    assert client.ask("POST", PATH, body, headers).status == 413
    assert desk.records == []


def test_even_if_its_size_is_not_said_before(client: Client, desk: Desk) -> None:
    client.send(f"POST {PATH} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n".encode())
    piece = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
    client.send(piece * 3)
    assert client.reply().status == 413
    assert desk.records == []


def test_a_key_that_is_known_is_not_written_again(
    client: Client, desk: Desk, running: tuple[Desk, Ingest, int]
) -> None:
    headers = {**LINES, "idempotency-key": "first"}
    for _ in range(2):
        reply = client.ask("POST", f"{PATH}?partial=true", ONE + b"\nx", headers)
        assert reply.json["accepted"] == reply.json["rejected"] == 1
    assert desk.records == [ONE]
    assert client.ask("POST", PATH, ONE, headers).status == 422
    assert figure(running, "repeats_total") == 1


def test_unless_it_was_not_written(client: Client, desk: Desk) -> None:
    headers = {**LINES, "idempotency-key": "second"}
    desk.trouble = "Kafka is away."
    reply = client.ask("POST", PATH, ONE, headers)
    assert (reply.status, reply.headers["retry-after"]) == (503, "1")
    assert "Kafka is away. Some of it may be there" in str(reply.json["detail"])
    desk.trouble = None
    assert client.ask("POST", PATH, b"x", headers).status == 400
    assert client.ask("POST", PATH, ONE, headers).status == 200
    assert desk.records == [ONE]


def test_a_second_request_with_a_key_does_not_wait_for_the_first(
    client: Client, desk: Desk, running: tuple[Desk, Ingest, int]
) -> None:
    headers = {**LINES, "idempotency-key": "third"}
    replies: list[Reply] = []
    desk.open.clear()
    with Client(running[2]) as other:
        thread = threading.Thread(target=lambda: replies.append(other.ask("POST", PATH, ONE, headers)))
        thread.start()
        wait_until(lambda: desk.taken == 1, "it has come")
        reply = client.ask("POST", PATH, ONE, headers)
        assert (reply.status, reply.headers["retry-after"]) == (409, "1")
        desk.open.set()
        thread.join()
    assert replies[0].status == 200
    assert desk.records == [ONE]


def test_whoever_goes_before_the_answer_has_sent_all_the_same(
    desk: Desk, running: tuple[Desk, Ingest, int]
) -> None:
    """And a retry with the same key does not write it twice."""
    headers = {**LINES, "idempotency-key": "fourth"}
    desk.open.clear()
    with Client(running[2]) as client:
        client.ask_only("POST", PATH, ONE, headers)
        wait_until(lambda: desk.taken == 1, "it has come")
    desk.open.set()
    wait_until(lambda: desk.records == [ONE], "it is written")
    with Client(running[2]) as client:
        assert client.ask("POST", PATH, ONE, headers).status == 200
    assert desk.records == [ONE]


def refused(ingest: Ingest) -> int:
    """Requests that were answered with 5xx."""
    return sum(sum(seconds.counts) for _, kind, seconds in ingest.meter.seconds() if kind == "5xx")


def test_a_queue_that_is_full_refuses_before_memory_grows() -> None:
    """What was refused is told, what was taken is written, and no more is held than there is room for."""
    desk = Desk()
    ingest = ingest_of(desk, room=200_000)
    desk.open.clear()
    with serving(ingest.routes, ListenSettings("127.0.0.1:0", access_log_ms=0), meter=ingest.meter) as served:
        clients = [Client(served.port) for _ in range(50)]
        for client in clients:
            client.ask_only("POST", PATH, b"\n".join([ONE] * 400))
        wait_until(lambda: desk.taken + refused(ingest) == len(clients), "each is taken or refused")
        taken = desk.taken
        assert 0 < taken < len(clients)
        assert ingest.room.taken <= ingest.room.most_bytes
        desk.open.set()
        statuses = [client.reply().status for client in clients]
        assert statuses.count(200) == taken
        assert statuses.count(503) == len(clients) - taken
        assert len(desk.records) == 400 * taken
        assert ingest.room.taken == 0
        assert clients[0].ask("POST", PATH, ONE, LINES).status == 200
        for client in clients:
            client.__exit__()


def test_room_is_given_back_whatever_happens(client: Client, running: tuple[Desk, Ingest, int]) -> None:
    client.send(f"POST {PATH} HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\nhalf".encode())
    ingest = running[1]
    wait_until(lambda: ingest.room.taken == 4, "half of it has come")
    client.__exit__()
    wait_until(lambda: ingest.room.taken == 0, "it is free again")


def test_what_could_never_have_room_is_too_large_and_not_too_early() -> None:
    ingest = ingest_of(Desk(), room=1_000)
    with serving(ingest.routes, meter=ingest.meter) as served, Client(served.port) as client:
        assert client.ask("POST", PATH, b"{}\n" * 20, LINES).status == 413
        assert client.ask("POST", PATH, b"{}\n" * 10, LINES).status == 200
        assert ingest.room.taken == 0


def test_too_many_records_are_too_large() -> None:
    desk = Desk()
    ingest = ingest_of(desk, room=1 << 24, body=1 << 20)
    with serving(ingest.routes, meter=ingest.meter) as served, Client(served.port) as client:
        reply = client.ask("POST", PATH, b"{}\n" * (MOST_RECORDS + 1), LINES)
        assert (reply.status, desk.records) == (413, [])


def test_a_directory_has_no_keys() -> None:
    ingest = ingest_of(Desk(), keyed=False)
    with serving(ingest.routes, meter=ingest.meter) as served, Client(served.port) as client:
        reply = client.ask("POST", f"{PATH}?key_field=uid", ONE, LINES)
        assert reply.status == 400
        assert "into a topic" in str(reply.json["detail"])


@pytest.mark.parametrize(
    ("body", "headers", "trouble", "status"),
    [
        (ONE, LINES, None, 200),
        (b"x", LINES, None, 400),
        (b"x", {**LINES, "content-encoding": "gzip"}, None, 400),
        (b"x" * (1 << 17), LINES, None, 413),
        (ONE, {**LINES, "idempotency-key": "kept"}, "Kafka is away.", 503),
    ],
)
def test_nothing_of_a_request_is_kept(
    client: Client, desk: Desk, body: bytes, headers: dict[str, str], trouble: str | None, status: int
) -> None:
    """No cycle of objects holds a body: workers look for cycles rarely."""
    desk.trouble = trouble
    assert client.ask("POST", PATH, body, headers).status == status
    requests = 30
    gc.collect()
    gc.disable()
    try:
        for _ in range(requests):
            client.ask("POST", PATH, body, headers)
        assert gc.collect() < requests
    finally:
        gc.enable()


def test_how_it_is_and_how_to_post(client: Client, desk: Desk) -> None:
    assert b"POST /v1/records" in client.ask("GET", "/").body
    assert client.ask("GET", "/healthz").json == {"live": True}
    assert client.ask("GET", "/readyz").json == {"ready": True}
    desk.trouble = "The disk is full."
    reply = client.ask("GET", "/readyz")
    assert (reply.status, reply.json) == (503, {"ready": False, "reasons": ["The disk is full."]})


def test_what_was_taken_is_counted(client: Client, desk: Desk, running: tuple[Desk, Ingest, int]) -> None:
    names = ("records_total", "record_bytes_total", "rejected_lines_total", "body_bytes_total")
    before = [figure(running, name) for name in names]
    client.ask("POST", f"{PATH}?partial=true", ONE + b"\nx\n", LINES)
    after = [figure(running, name) for name in names]
    assert [new - old for new, old in zip(after, before, strict=True)] == [1, len(ONE), 1, len(ONE) + 3]
