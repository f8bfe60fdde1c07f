"""The page that shows what the demo publishes: ``streamagg serve`` as a process of its own."""

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from time import monotonic, sleep
from typing import Final

from streamagg.errors import StreamaggError

PORT: Final = 8181
"""Where ``serve`` is if nothing else is said; another one where that is taken."""
PACKAGES: Final = ("duckdb", "httptools", "uvicorn", "uvloop")
"""Of the extra ``serve``."""
START_TIMEOUT_S: Final = 30.0
STOP_TIMEOUT_S: Final = 10.0
_TICK_S: Final = 0.05


class PageFailed(StreamaggError):
    """The page does not start."""


def missing() -> str | None:
    """Why there can be no page here."""
    if any(find_spec(name) is None for name in PACKAGES):
        return "A page would show this, too: pip install 'streamagg[serve]'"
    return None


@contextmanager
def served_page(bootstrap: str, output: str, sketches: str) -> Iterator[str]:
    """The address of a page that shows what is published; raises PageFailed."""
    with tempfile.TemporaryDirectory(prefix="streamagg-demo-") as directory:
        log = Path(directory, "log")
        with log.open("wb") as file:
            process = subprocess.Popen(
                _command(bootstrap, output, sketches, directory),
                stdin=subprocess.DEVNULL,
                stderr=file,
                env={key: value for key, value in os.environ.items() if not key.startswith("STREAMAGG_")},
            )
        try:
            yield _address(process, log)
        finally:
            _stop(process)


def _command(bootstrap: str, output: str, sketches: str, directory: str) -> list[str]:
    flags = {
        "--from": output,
        "--sketches": sketches,
        "--bootstrap-servers": bootstrap,
        "--listen": f"127.0.0.1:{_port()}",
        "--store": str(Path(directory, "store")),
        "--log-format": "json",
        # The embedded broker leaves the checksum of transaction markers empty.
        "-X": "check.crcs=false",
    }
    return [sys.executable, "-m", "streamagg", "serve", *(word for pair in flags.items() for word in pair)]


def _port() -> int:
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):
            tried.bind(("127.0.0.1", PORT))
            return PORT
    return 0


def _address(process: "subprocess.Popen[bytes]", log: Path) -> str:
    deadline = monotonic() + START_TIMEOUT_S
    while process.poll() is None and monotonic() < deadline:
        for line in log.read_text("utf-8").splitlines():
            with suppress(ValueError):
                event = json.loads(line)
                if event["event"] == "serving":
                    return str(event["fields"]["url"])
        sleep(_TICK_S)
    raise PageFailed(f"The page did not start:\n{log.read_text('utf-8')}")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT_S)
    finally:
        process.kill()
        process.wait()
