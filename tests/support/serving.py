"""``streamagg serve`` as a process."""

import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Final

import orjson

TIMEOUT_S: Final = 90.0
_SERVING: Final = "the page is at "


class Serving:
    """One process; ``url`` is where it answers."""

    def __init__(
        self,
        bootstrap: str,
        topic: str,
        store: Path,
        *flags: str,
        env: Mapping[str, str] | None = None,
        waits: bool = True,
    ) -> None:
        """``env``: variables beside those of this process. Without ``waits`` there is no ``url``."""
        self._log = store.parent / f"{store.name}.log"
        command = [sys.executable, "-m", "streamagg", "serve", "--from", topic, "--store", str(store)]
        command += [
            "--listen",
            "127.0.0.1:0",
            "--log-format",
            "json",
            "--bootstrap-servers",
            bootstrap,
            *flags,
        ]
        # Only this process writes to it from here on.
        self._log.write_bytes(b"")
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(command, stderr=log, env={**os.environ, **(env or {})})
        self.url = self._wait_for_url() if waits else ""

    def _wait_for_url(self) -> str:
        found: list[str] = []

        def told() -> bool:
            assert self.process.poll() is None, self._log.read_text()
            found.extend(str(event["fields"]["url"]) for event in self.events("serving"))
            return bool(found)

        wait_for(told)
        return found[0]

    def events(self, name: str) -> list[dict[str, Any]]:
        """What it has logged under that name."""
        lines = [
            orjson.loads(line)
            for line in self._log.read_bytes().splitlines(keepends=True)
            if line.endswith(b"\n")
        ]
        return [line for line in lines if line["event"] == name]

    def get(self, target: str, token: str | None = None) -> Any:
        """The JSON of an answer, be it an error."""
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        asked = urllib.request.Request(self.url + target, headers=headers)
        try:
            with urllib.request.urlopen(asked, timeout=30) as answer:
                return orjson.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return orjson.loads(error.read())

    def wait_until(self, true: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The status, once it is so."""
        found: dict[str, Any] = {}

        def so() -> bool:
            found.update(self.get("/v1/status"))
            return true(found)

        wait_for(so)
        return found

    def kill(self) -> None:
        """With SIGKILL."""
        self.process.kill()
        self.process.wait(TIMEOUT_S)

    def stop(self) -> int:
        """With SIGTERM; the exit code."""
        self.process.terminate()
        return self.process.wait(TIMEOUT_S)


@contextmanager
def serving(
    bootstrap: str, topic: str, store: Path, *flags: str, env: Mapping[str, str] | None = None
) -> Iterator[Serving]:
    """While the context lasts."""
    made = Serving(bootstrap, topic, store, *flags, env=env)
    try:
        yield made
    finally:
        if made.process.poll() is None:
            made.kill()


def wait_for(true: Callable[[], bool]) -> None:
    """Raises AssertionError when it does not become so."""
    end_s = monotonic() + TIMEOUT_S
    while not true():
        assert monotonic() < end_s, "it took too long"
        sleep(0.02)
