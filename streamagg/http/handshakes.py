"""Accepts connections and shakes hands by TLS, with so many clients at once and for so long as limits allow.

The server of asyncio counts no connection before its handshake is done, and waits a minute for each.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from functools import partial
from typing import Final

from streamagg.http.meter import Meter

_NO_DESCRIPTOR_S: Final = 1.0
"""Until it is looked again whether there is one left."""


class Handshakes:
    """Stands in the place of a server of asyncio."""

    def __init__(
        self,
        listening: socket.socket,
        context: ssl.SSLContext,
        make: Callable[[], asyncio.Protocol],
        has_room: Callable[[int], bool],
        seconds: float,
        meter: Meter,
    ) -> None:
        """``has_room``: for one more connection, beside so many that are not made yet."""
        self._listening = listening
        self._context = context
        self._make = make
        self._has_room = has_room
        self._seconds = seconds
        self._meter = meter
        self._loop = asyncio.get_running_loop()
        self._under_way: set[asyncio.Task[None]] = set()
        listening.setblocking(False)
        self._accepting = self._loop.create_task(self._accept())

    def close(self) -> None:
        """Accept no more."""
        for task in (self._accepting, *self._under_way):
            task.cancel()

    async def wait_closed(self) -> None:
        """Everything has ended that was begun."""
        await asyncio.gather(self._accepting, *self._under_way, return_exceptions=True)

    async def _accept(self) -> None:
        while True:
            try:
                client, _ = await self._loop.sock_accept(self._listening)
            except OSError:
                await asyncio.sleep(_NO_DESCRIPTOR_S)
                continue
            if self._has_room(len(self._under_way)):
                task = self._loop.create_task(self._shake_hands(client))
                self._under_way.add(task)
                task.add_done_callback(partial(self._ended, client))
            else:
                self._meter.refused("crowded")
                client.close()

    def _ended(self, client: socket.socket, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if task.cancelled():
            # It may not have begun, so that nobody else knows of this client.
            client.close()

    async def _shake_hands(self, client: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(
                self._make, client, ssl=self._context, ssl_handshake_timeout=self._seconds
            )
        except OSError:
            self._meter.refused("handshake")
