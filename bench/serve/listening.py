"""1,000 clients that listen, and a window each second."""

import asyncio
import json
import time
from typing import Any, Final

from bench.latency import spread
from bench.serve.server import Published, Server, served
from bench.serve.stores import DAY_MS, DAYS, START_MS, made
from bench.topics import Told

CLIENTS: Final = 1_000
CONNECTING_S: Final = 60.0


def live(quick: bool, told: Told) -> dict[str, Any]:
    """What they cost, and when they were told."""
    published = Published()
    with made("users", told) as store, served(store, "--from", f"dir:{published.directory}") as server:
        before, began = server.cpu_s, time.perf_counter()
        time.sleep(10)
        idle = (server.cpu_s - before) / (time.perf_counter() - began)
        found = asyncio.run(_listen(server, published, 10 if quick else 60))
        return {**found, "clients": CLIENTS, "idle_cores": round(idle, 3), "memory_mb": server.memory_mb}


class _Told:
    """What the clients have heard."""

    def __init__(self) -> None:
        self.published: dict[int, float] = {}
        self.ms: list[float] = []
        self.connected = 0
        self.ready = asyncio.Event()

    def line(self, line: bytes) -> None:
        if line.startswith(b"HTTP/1.1 200"):
            self.connected += 1
            if self.connected == CLIENTS:
                self.ready.set()
        if line.startswith(b"data: ") and (at := json.loads(line[6:])["records"]) in self.published:
            self.ms.append((time.perf_counter() - self.published[at]) * 1e3)


async def _listen(server: Server, published: Published, seconds: int) -> dict[str, Any]:
    heard = _Told()

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /v1/live HTTP/1.1\r\nHost: x\r\n\r\n")
        try:
            async for line in reader:
                heard.line(line)
        finally:
            writer.close()

    tasks = [asyncio.ensure_future(client()) for _ in range(CLIENTS)]
    await asyncio.wait_for(heard.ready.wait(), CONNECTING_S)
    cpu_s, began = server.cpu_s, time.perf_counter()
    for number in range(1, seconds + 1):
        start = (START_MS + DAYS * DAY_MS) // 1_000 + 60 * number
        record = {"ts": start, "cnt": 5, "granularity": 60, "records": number, "partial": False, "v": 1}
        heard.published[number] = time.perf_counter()
        published.publish(json.dumps(record).encode())
        await asyncio.sleep(1)
    cores = (server.cpu_s - cpu_s) / (time.perf_counter() - began)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return {
        "windows": seconds,
        "missed": CLIENTS * seconds - len(heard.ms),
        "cores": round(cores, 3),
        "ms": spread(heard.ms),
    }
