"""Whatever comes over a connection, broken, slow or cut off: ``ingest`` tells the truth and goes on.

A grammar of requests, most of them wrong somewhere, cut into pieces; then the client ends its half, closes or
resets.
"""

import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamagg.ingest.app import Ingest
from streamagg.model.settings import ListenSettings
from tests.support.http_server import Client, serving
from tests.support.ingest import LINES, Desk, ingest_of
from tests.support.instances import wait_until

PATH = "/v1/records"
KNOWN = {200, 400, 404, 405, 408, 409, 413, 415, 422, 431, 503}
RECORD = b'{"fuzz":1}'

METHODS = st.sampled_from([b"POST"] * 20 + [b"GET", b"PUT", b"HEAD", b"BREW", b"post", b"", b"P\x00ST"])
TARGETS = st.sampled_from(
    [b"/v1/records"] * 20
    + [b"/v1/records?partial=true", b"/v1/records?key_field=fuzz", b"/v1/records?partial=%zz&x", b"/", b"*"]
    + [b"http://x/v1/records", b"/v1/records#a", b"/\xff", b"/" + b"x" * 20_000, b"/healthz"]
)
VERSIONS = st.sampled_from([b"HTTP/1.1"] * 40 + [b"HTTP/1.0", b"HTTP/2.0", b"HTTP/9", b"FTP/1.1", b""])
HEADERS = st.sampled_from(
    [
        b"Host: x",
        b"Content-Type: application/x-ndjson",
        b"Content-Type: application/json",
        b"Content-Type: text/html",
        b"Content-Encoding: gzip",
        b"Content-Encoding: zstd",
        b"Idempotency-Key: same",
        b"Expect: 100-continue",
        b"Connection: close",
    ]
)
BROKEN_HEADERS = st.sampled_from(
    [
        b"Connection: upgrade",
        b"Upgrade: h2c",
        b"Transfer-Encoding: gzip",
        b"Content-Length: 5",
        b"Content-Length: -1",
        b"Content-Length: 99999999999999999999",
        b"No colon",
        b": no name",
        b"X: " + b"y" * 20_000,
        b" folded",
        b"X: \x00",
    ]
)
BODIES = st.sampled_from(
    [
        RECORD,
        RECORD + b"\n" + RECORD,
        b"[" + RECORD + b"]",
        b"",
        b"{",
        b"\xff\xfe",
        b"\x1f\x8b\x08",
        RECORD * 2,
        b"\n".join([RECORD] * 400),
        b"x" * 70_000,
    ]
)
FRAMINGS = ["length"] * 8 + ["chunked"] * 4 + ["short", "long", "none", "bad chunk", "open chunk"]


class Sent(NamedTuple):
    """What a client does."""

    pieces: list[bytes]
    end: str


def framed(body: bytes, how: str) -> tuple[bytes, bytes]:
    """A header, and the body behind all headers."""
    if how == "length":
        return b"Content-Length: %d" % len(body), body
    if how == "short":
        return b"Content-Length: %d" % max(0, len(body) - 3), body
    if how == "long":
        return b"Content-Length: %d" % (len(body) + 3), body
    if how == "none":
        return b"X-None: 1", body
    chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
    if how == "bad chunk":
        chunks = chunks.replace(b"\r\n", b"zz\r\n", 1)
    if how == "open chunk":
        chunks = chunks[: -len(b"0\r\n\r\n")]
    return b"Transfer-Encoding: chunked", chunks


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    how = draw(st.sampled_from(FRAMINGS))
    header, body = framed(draw(BODIES), how)
    line = b" ".join([draw(METHODS), draw(TARGETS), draw(VERSIONS)])
    end = draw(st.sampled_from([b"\r\n"] * 20 + [b"\n"]))
    headers = draw(st.lists(HEADERS, max_size=3))
    if draw(st.integers(0, 5)) == 0:
        headers.append(draw(BROKEN_HEADERS))
    return end.join([line, *headers, header, b"", body])


@st.composite
def conversations(draw: st.DrawFn) -> Sent:
    whole = b"".join(draw(st.lists(requests(), min_size=1, max_size=3)))
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        place = draw(st.integers(0, len(whole)))
        whole = whole[:place] + draw(st.binary(max_size=3)) + whole[place + draw(st.integers(0, 3)) :]
    cuts = sorted(draw(st.lists(st.integers(0, len(whole)), max_size=3)))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    return Sent(pieces, draw(st.sampled_from(["half", "half", "half", "wait", "close", "reset"])))


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[Desk, Ingest, int]]:
    desk = Desk()
    ingest = ingest_of(desk)
    limits = ListenSettings("127.0.0.1:0", access_log_ms=0, request_timeout_ms=200)
    with serving(ingest.routes, limits, meter=ingest.meter) as served:
        yield desk, ingest, served.port


def answers_to(port: int, sent: Sent) -> bytes:
    """What comes back until the server closes; nothing if the client goes first."""
    with socket.create_connection(("127.0.0.1", port), 20) as client:
        try:
            for piece in sent.pieces:
                client.sendall(piece)
            if sent.end == "reset":
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            if sent.end in ("reset", "close"):
                return b""
            if sent.end == "half":
                client.shutdown(socket.SHUT_WR)
            return received(client, waits=sent.end == "wait")
        except OSError:
            # It was refused in the middle.
            return b""


def received(client: socket.socket, *, waits: bool) -> bytes:
    """Until the other end closes. One that waits ends its half when an answer is there."""
    found = b""
    while chunk := client.recv(1 << 16):
        found += chunk
        if waits:
            waits = False
            client.shutdown(socket.SHUT_WR)
    return found


def statuses(answers: bytes) -> list[int]:
    """Of responses, one behind the other; each is HTTP."""
    found = []
    while answers:
        head, end, rest = answers.partition(b"\r\n\r\n")
        line, *fields = head.split(b"\r\n")
        assert end, answers[:100]
        assert line.startswith(b"HTTP/1.1 "), line
        status = int(line.split()[1])
        if status == 100:
            answers = rest
            continue
        headers = dict(field.lower().split(b": ", 1) for field in fields)
        length = int(headers[b"content-length"])
        # The answer to HEAD has no body.
        answers = rest if rest.startswith(b"HTTP/1.1 ") and length else rest[length:]
        found.append(status)
    return found


@settings(max_examples=150)
@given(sent=conversations())
def test_whatever_comes(running: tuple[Desk, Ingest, int], sent: Sent) -> None:
    desk, ingest, port = running
    desk.bodies.clear()
    answers = answers_to(port, sent)
    found = statuses(answers)
    assert set(found) <= KNOWN
    wait_until(lambda: ingest.meter.connections == 0, "the connection is gone")
    wait_until(lambda: ingest.room.taken == 0, "its room is free")
    accepted = sum(int(one.partition(b"}")[0].split(b",")[0]) for one in answers.split(b'"accepted":')[1:])
    # Answers may be lost on their way, and known bodies are answered but not written again.
    assert len(desk.records) >= accepted or b"same" in b"".join(sent.pieces)
    assert set(desk.records) <= {RECORD}
    with Client(port) as client:
        assert client.ask("POST", PATH, b'{"good":1}', LINES).json == {"accepted": 1}
    # Of a client that was gone before it was accepted, records may come as late as here.
    assert [record for record in desk.records if record != RECORD] == [b'{"good":1}']
    wait_until(lambda: ingest.meter.connections == 0, "the connection is gone")
