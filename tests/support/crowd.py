"""Many sockets at once, for tests of servers."""

import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

_SPARE: Final = 500
"""Descriptors for everything else in this process."""


@contextmanager
def crowd(address: tuple[str, int], size: int, *, says: bytes = b"") -> Iterator[list[socket.socket]]:
    """So many connections that say this and then nothing; raises the own soft limit of descriptors."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < size + _SPARE:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(size + _SPARE, hard), hard))
    try:
        with ExitStack() as stack:
            people = [stack.enter_context(socket.create_connection(address, timeout=30)) for _ in range(size)]
            for one in people if says else ():
                _say(one, says)
            yield people
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _say(one: socket.socket, words: bytes) -> None:
    try:
        one.sendall(words)
    except OSError:
        return  # The server has closed it already.


def is_closed(one: socket.socket) -> bool:
    """Wait until the other side closes a connection; False if it answers instead."""
    try:
        return one.recv(1) == b""
    except ConnectionResetError:
        return True
