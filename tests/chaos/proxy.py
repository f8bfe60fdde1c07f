"""A TCP proxy between clients and one server, whose network a test makes worse while it runs."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Self

HOST: Final = "127.0.0.1"
_CHUNK_BYTES: Final = 16 << 10
_CALL_S: Final = 30.0

Way = Literal["up", "down"]
"""Up: from the client to the server."""


@dataclass(frozen=True, slots=True)
class Network:
    """What happens to bytes on their way; nothing by default."""

    delay_ms: int = 0
    """How much later every chunk arrives."""
    bytes_per_s: int | None = None
    """Of one connection, in one direction."""
    held: frozenset[Way] = frozenset()
    """Directions in which nothing passes; connections are accepted and stay open."""


@dataclass(eq=False, slots=True)
class _Connection:
    """One client's connection and the one that belongs to it on the other side."""

    near: asyncio.StreamWriter
    far: asyncio.StreamWriter
    pumps: list[asyncio.Task[None]] = field(default_factory=list)
    stranded: bool = False

    def end(self) -> None:
        """Break it off on both sides; a stranded client is not told."""
        for pump in self.pumps:
            pump.cancel()
        self.far.transport.abort()
        if not self.stranded:
            self.near.transport.abort()


class Proxy:
    """Listens on ``port`` and passes everything on, as the network of the moment permits."""

    def __init__(self, target: int, port: int = 0) -> None:
        """``target`` is the server's port on this machine; with ``port`` 0 the system chooses one."""
        self._target = target
        self.port = port
        self._network = Network()
        self._changed = asyncio.Event()
        self._connections: set[_Connection] = set()
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_CALL_S)
        self._loop.close()

    @property
    def connections(self) -> int:
        """Clients that are connected, stranded ones among them."""
        return len(self._connections)

    def become(self, network: Network) -> None:
        """Change the network for what passes from here on."""
        self._call(lambda: self._become(network))

    def cut(self) -> None:
        """Break off every connection; clients may connect again at once."""
        self._call(self._cut)

    def strand(self) -> None:
        """Make every connection half-open: the server's side is gone, and the client is not told."""
        self._call(self._strand)

    def _become(self, network: Network) -> None:
        self._network = network
        self._changed.set()
        self._changed = asyncio.Event()

    def _cut(self) -> None:
        for connection in self._connections:
            connection.stranded = False
            connection.end()
        self._connections.clear()

    def _strand(self) -> None:
        for connection in self._connections:
            connection.stranded = True
            connection.end()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, HOST, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        assert self._server is not None
        self._server.close()
        self._cut()
        everything = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*everything, return_exceptions=True)
        await self._server.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(HOST, self._target)
        except OSError:
            writer.transport.abort()
            return
        connection = _Connection(writer, far_writer)
        connection.pumps = [
            asyncio.create_task(self._pump("up", reader, far_writer)),
            asyncio.create_task(self._pump("down", far_reader, writer)),
        ]
        self._connections.add(connection)
        await asyncio.wait(connection.pumps, return_when=asyncio.FIRST_COMPLETED)
        connection.end()
        await asyncio.gather(*connection.pumps, return_exceptions=True)
        if not connection.stranded:
            self._connections.discard(connection)

    async def _pump(self, way: Way, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while chunk := await reader.read(_CHUNK_BYTES):
                await self._hold_back(way, len(chunk))
                writer.write(chunk)
                await writer.drain()

    async def _hold_back(self, way: Way, size: int) -> None:
        """Wait as long as the network makes these bytes wait."""
        while way in self._network.held:
            await self._changed.wait()
        slow_s = size / self._network.bytes_per_s if self._network.bytes_per_s else 0.0
        await asyncio.sleep(self._network.delay_ms / 1_000 + slow_s)

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(_CALL_S)

    def _call(self, change: Callable[[], None]) -> None:
        """Make a change where the connections live, and wait until it is made."""

        async def work() -> None:
            change()

        self._run(work())
