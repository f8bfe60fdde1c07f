"""Reports a daemon's state to systemd: the protocol of sd_notify(3), datagrams of ``NAME=value`` lines."""

import os
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from time import monotonic
from typing import Final

_ABSTRACT: Final = "@"
"""Stands for the NUL that the name of an abstract socket begins with."""

_MOST_S: Final = 5.0
"""Beats are this far apart at the most, however patient systemd is: its patience must last for a wait of half
a minute after the last beat."""


class Notifier:
    """Does nothing where nobody listens: without ``NOTIFY_SOCKET`` in the environment."""

    def __init__(
        self, environ: Mapping[str, str] = os.environ, clock: Callable[[], float] = monotonic
    ) -> None:
        """``clock`` returns seconds."""
        path = environ.get("NOTIFY_SOCKET", "")
        self._address = f"\0{path[1:]}" if path.startswith(_ABSTRACT) else path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) if path else None
        self._clock = clock
        self._every_s = _watchdog_s(environ)
        self._next_s = 0.0
        self._told: set[str] = set()

    def beat(self) -> None:
        """The main loop moves; sent at half of the time after which systemd loses patience, or more often.

        The loop may be away for half a minute, and must not have spent its time before.
        """
        if self._every_s is not None and self._clock() >= self._next_s:
            self._next_s = self._clock() + self._every_s
            self._send("WATCHDOG=1")

    def ready(self) -> None:
        """The start is over; sent once."""
        self._send_once("READY=1")

    def stopping(self) -> None:
        """The end has begun; sent once."""
        self._send_once("STOPPING=1")

    def status(self, text: str) -> None:
        """A line for ``systemctl status``."""
        self._send(f"STATUS={text}")

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()

    def _send_once(self, line: str) -> None:
        if line not in self._told:
            self._told.add(line)
            self._send(line)

    def _send(self, line: str) -> None:
        if self._socket is not None:
            # Whoever should listen may have gone, or have no room: no reason to stop counting.
            with suppress(OSError):
                self._socket.sendto(line.encode(), socket.MSG_DONTWAIT, self._address)


def _watchdog_s(environ: Mapping[str, str]) -> float | None:
    """How often to beat, in seconds; None if nobody waits for it, or it is another process that should."""
    limit_us = environ.get("WATCHDOG_USEC", "")
    if not limit_us.isdecimal() or environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    return min(int(limit_us) / 2_000_000, _MOST_S)
