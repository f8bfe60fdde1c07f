"""A running ``streamagg serve``, and questions to it at a rate."""

import http.client
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from bench.latency import spread
from bench.measure import usual_environment
from bench.processes import sample
from bench.scratch import RunFailed
from bench.serve.stores import HOME
from tests.support.broker import free_port

RATE: Final = 10.0
"""Questions a second."""
WARM: Final = 10
"""Of so many questions one comes before the others and is not counted: it may read from the disk."""
START_S: Final = 60.0


class Server:
    """What it costs, and what it answers."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int) -> None:
        self.process = process
        self.port = port

    def get(self, target: str) -> tuple[int, bytes]:
        """Status and body; status 0 while nobody listens."""
        connection = self.connection()
        try:
            connection.request("GET", target)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (ConnectionRefusedError, ConnectionResetError):
            return 0, b""
        finally:
            connection.close()

    def connection(self) -> http.client.HTTPConnection:
        """One for many questions."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    @property
    def cpu_s(self) -> float:
        """Seconds of all its threads."""
        found = sample(self.process.pid)
        return 0.0 if found is None else found.cpu_seconds

    @property
    def memory_mb(self) -> int:
        """That it has resident."""
        text = Path(f"/proc/{self.process.pid}/status").read_text("ascii")
        return int(text.split("VmRSS:")[1].split()[0]) // 1_024


class Published:
    """An output directory in which records are published one by one."""

    def __init__(self) -> None:
        self.directory = HOME / "published"
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True)
        self._commit = 0
        self.publish(b"")

    def publish(self, line: bytes) -> None:
        """One more record; nothing for an empty line."""
        path = self.directory / "jsonl.jsonl"
        with path.open("ab") as file:
            file.write(line + b"\n" if line else b"")
        self._commit += 1
        size = path.stat().st_size
        files = [{"path": path.name, "bytes": size, "records": self._commit, "publications": 1}]
        manifest = {"v": 1, "commit": self._commit, "days": {"2026-09-01": {"jsonl": files}}}
        new = self.directory / "new"
        new.write_text(json.dumps(manifest))
        new.rename(self.directory / "manifest.json")


@contextmanager
def served(store: Path, *place: str) -> Iterator[Server]:
    """While the context lasts; of an output directory in which nothing is published, unless one is given."""
    place = place or ("--from", f"dir:{Published().directory}")
    port = free_port()
    command = [sys.executable, "-m", "streamagg", "serve", *place, "--store", str(store)]
    command += ["--listen", f"127.0.0.1:{port}", "--max-connections", "2000", "--log-format", "json"]
    log = HOME / "serve.log"
    with log.open("wb") as errors:
        process = subprocess.Popen(command, stderr=errors, env=usual_environment())
    try:
        server = Server(process, port)
        deadline = time.monotonic() + START_S
        while server.get("/readyz")[0] != 200:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RunFailed(log.read_text())
            time.sleep(0.1)
        yield server
    finally:
        process.terminate()
        process.wait(60)


def asked(
    server: Server,
    what: str,
    targets: Sequence[str],
    look: Callable[[Any], None] | None = None,
    rate: float | None = RATE,
) -> dict[str, Any]:
    """Ask them when they are due, over one connection; how long the answers took from then on.

    ``look`` gets each answer; ``rate``: questions a second, None for one after the other, as those are asked
    that warm up.
    """
    connection = server.connection()
    took, size, warm = [], 0, len(targets) // WARM
    cpu_s, began = server.cpu_s, time.perf_counter()
    for number, target in enumerate(targets):
        if number == warm:
            cpu_s, began = server.cpu_s, time.perf_counter()
        now = time.perf_counter()
        due = now if rate is None or number < warm else began + (number - warm) / rate
        time.sleep(max(0.0, due - now))
        connection.request("GET", target)
        answer = connection.getresponse()
        body = answer.read()
        took.append((time.perf_counter() - due) * 1e3)
        assert answer.status == 200, body
        size = max(size, len(body))
        if look is not None:
            look(json.loads(body))
    connection.close()
    kept = took[warm:]
    return {
        "what": what,
        "questions": len(kept),
        "ms": spread(kept),
        "cpu_ms": round((server.cpu_s - cpu_s) / len(kept) * 1e3, 1),
        "bytes": size,
        "memory_mb": server.memory_mb,
    }
