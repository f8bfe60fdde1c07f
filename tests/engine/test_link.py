"""Links: frames cut anywhere arrive whole and in order, and each end notices the end of the other."""

import socket
import threading
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamagg.engine.workers.link import Link, LinkClosed
from streamagg.model.messages import AnyMessage, CloseWindow, WindowRows


def pair() -> tuple[Link, Link]:
    ours, theirs = socket.socketpair()
    return Link(ours), Link(theirs)


class CutSocket:
    """Gives what it was given in pieces of chosen lengths."""

    def __init__(self, data: bytes, cuts: list[int]) -> None:
        self._pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]

    def setblocking(self, flag: bool) -> None:
        assert not flag

    def recv_into(self, room: memoryview) -> int:
        while self._pieces:
            piece = self._pieces.pop(0)
            if piece:
                room[: len(piece)] = piece
                return len(piece)
            raise BlockingIOError
        return 0


def framed(messages: list[AnyMessage]) -> bytes:
    ours, theirs = socket.socketpair()
    link = Link(ours)
    for message in messages:
        link.post(message)
    link.close()
    data = bytearray()
    while chunk := theirs.recv(1 << 16):
        data += chunk
    theirs.close()
    return bytes(data)


MESSAGES: list[AnyMessage] = [CloseWindow(1), WindowRows([2], [1], (b"x" * 300,)), CloseWindow(3)]


@given(st.lists(st.integers(0, 340), max_size=8))
def test_frames_cut_anywhere(cuts: list[int]) -> None:
    data = framed(MESSAGES)
    link = Link(CutSocket(data, sorted(min(cut, len(data)) for cut in cuts)))  # type: ignore[arg-type]
    got: list[AnyMessage] = []
    with suppress(LinkClosed):
        while True:
            got += link.receive()
    assert got == MESSAGES


def test_what_was_sent_before_the_end_still_arrives() -> None:
    one, other = pair()
    one.send(CloseWindow(7))
    one.close()
    assert other.receive() == [CloseWindow(7)]
    with pytest.raises(LinkClosed):
        other.receive()
    other.close()


def test_nothing_has_come() -> None:
    one, other = pair()
    assert other.receive() == []
    assert other.receive(timeout_ms=1) == []
    one.close()
    other.close()


def test_post_keeps_what_the_socket_does_not_take() -> None:
    one, other = pair()
    big = WindowRows([1], [1], (b"y" * (8 << 20),))
    one.post(big)
    assert one.backlog_bytes > 0
    got: list[AnyMessage] = []
    while not got:
        got = other.receive()
        one.flush()
    assert got == [big]
    assert one.backlog_bytes == 0
    one.close()
    other.close()


def test_send_waits_for_the_reader() -> None:
    one, other = pair()
    messages = [WindowRows([number], [1], (b"z" * (1 << 20),)) for number in range(8)]

    def write() -> None:
        for message in messages:
            one.send(message)

    writer = threading.Thread(target=write)
    writer.start()
    got: list[AnyMessage] = []
    while len(got) < len(messages):
        got += other.receive(timeout_ms=1_000)
    writer.join()
    assert got == messages
    one.close()
    other.close()


def test_a_dead_reader() -> None:
    one, other = pair()
    other.close()
    one.post(CloseWindow(1))
    assert one.backlog_bytes == 0
    with pytest.raises(LinkClosed):
        one.send(CloseWindow(2))
    with pytest.raises(LinkClosed):
        one.receive()
    one.close()
