"""``ingest`` in this process with a destination that does as it is told, and as the program itself."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from streamagg.http.meter import Meter
from streamagg.http.numbers import SharedNumbers
from streamagg.ingest.app import ROUTES, Ingest, Limits
from streamagg.ingest.destinations.contract import Body, NotWritten
from streamagg.ingest.figures import Figures
from streamagg.ingest.room import Room
from streamagg.ingest.seen_keys import SeenKeys
from streamagg.ingest.worker import numbers_of
from tests.support.environment import CALM

LINES: Final = {"content-type": "application/x-ndjson"}
JSON: Final = {"content-type": "application/json"}
START_S: Final = 30


class Desk:
    """Takes bodies at once, or when it may."""

    def __init__(self) -> None:
        self.bodies: list[Body] = []
        self.trouble: str | None = None
        self.open = threading.Event()
        self.open.set()
        self.taken = 0
        """Bodies that have come this far."""

    async def write(self, body: Body) -> None:
        self.taken += 1
        if not self.open.is_set():
            await asyncio.to_thread(self.open.wait)
        if self.trouble is not None:
            raise NotWritten(self.trouble)
        self.bodies.append(body)

    @property
    def records(self) -> list[bytes]:
        return [record for body in self.bodies for record in body.records]


def ingest_of(desk: Desk, *, room: int = 1 << 20, body: int = 1 << 16, keyed: bool = True) -> Ingest:
    """The application in front of a desk."""
    numbers: SharedNumbers = numbers_of(1)
    figures, meter, seen = Figures(numbers), Meter(numbers, ROUTES), SeenKeys(1_000, workers=1)
    seen.begin_life()
    return Ingest(
        Limits(body, 1 << 12, keyed),
        Room(room),
        seen,
        desk.write,
        lambda: desk.trouble,
        figures,
        meter,
    )


class Program:
    """``streamagg ingest`` as a process."""

    def __init__(self, process: "subprocess.Popen[str]", port: int, log: list[str]) -> None:
        self.process = process
        self.port = port
        self.log = log

    @property
    def pid(self) -> int:
        return self.process.pid

    def workers(self) -> list[int]:
        """Their process ids."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text("ascii")
        return [int(child) for child in children.split()]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it; returns its exit code."""
        self.process.send_signal(number)
        return self.process.wait(START_S)


@contextmanager
def program(*flags: str, environ: dict[str, str] | None = None) -> Iterator[Program]:
    """The program with a free port, as soon as all its workers serve."""
    command = [sys.executable, "-m", "streamagg", "ingest", "--listen", "127.0.0.1:0", *flags]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env={**os.environ, **CALM, **(environ or {})}
    ) as process:
        log: list[str] = []
        assert process.stderr is not None
        port = _port(process.stderr, log)
        reader = threading.Thread(target=log.extend, args=(process.stderr,))
        reader.start()
        try:
            yield Program(process, port, log)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(START_S)
            reader.join()


def _port(lines: Iterable[str], log: list[str]) -> int:
    for line in lines:
        log.append(line)
        found = re.search(r"https?://127\.0\.0\.1:(\d+)/v1/records", line)
        if found:
            return int(found[1])
    raise AssertionError("".join(log))


def written(path: Path) -> list[bytes]:
    """All lines of finished files, by the order of their names in each folder."""
    return [
        line
        for file in sorted(path.glob("*/*.jsonl"))
        for line in file.read_bytes().splitlines(keepends=True)
    ]


def numbered(numbers: Sequence[int]) -> bytes:
    """A body of JSON lines."""
    return b"".join(b'{"n":%d}\n' % number for number in numbers)
