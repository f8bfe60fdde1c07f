"""A cluster of Flink, by its REST API: takes the jar of a job, and runs it."""

import http.client
import json
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from streamagg.errors import ExitCode, SettingsError, StreamaggError

_TIMEOUT_S: Final = 120
_MOST_OF_AN_ERROR: Final = 300


class ClusterFailed(StreamaggError):
    """A cluster does not answer, or refuses a job."""

    exit_code = ExitCode.UNREACHABLE


class Cluster:
    """One address."""

    def __init__(self, address: str) -> None:
        """``address``: ``http://HOST:PORT``, or ``HOST:PORT``; raises SettingsError."""
        parts = urlsplit(address if "://" in address else f"http://{address}")
        try:
            port = parts.port
        except ValueError:
            port = None
        if parts.scheme not in ("http", "https") or not parts.hostname or port is None:
            raise SettingsError(
                f"--submit {address} must be the REST address of a cluster: HOST:PORT, or a URL of that."
            )
        self.address = f"{parts.scheme}://{parts.hostname}:{port}"
        self._path = parts.path.rstrip("/")
        made = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = made(parts.hostname, port, timeout=_TIMEOUT_S)

    def submit(self, jar: Path, run: Mapping[str, object]) -> str:
        """Run a jar; returns the id of the job. ``run``: the body of ``POST /jars/:id/run``."""
        boundary = uuid.uuid4().hex
        kind = f"multipart/form-data; boundary={boundary}"
        uploaded = self._post("/v1/jars/upload", kind, b"".join(_form(jar, boundary)))
        name = Path(uploaded["filename"]).name
        started = self._post(f"/v1/jars/{name}/run", "application/json", json.dumps(run).encode())
        return str(started["jobid"])

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def _post(self, path: str, kind: str, body: bytes) -> dict[str, Any]:
        try:
            self._connection.request("POST", self._path + path, body, {"Content-Type": kind})
            answer = self._connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise ClusterFailed(f"The Flink cluster at {self.address} does not answer: {error}.") from None
        if answer.status >= http.client.BAD_REQUEST:
            raise ClusterFailed(f"The Flink cluster at {self.address} refuses the job: {_reason(text)}")
        found: dict[str, Any] = json.loads(text)
        return found


def _form(jar: Path, boundary: str) -> Iterator[bytes]:
    yield f"--{boundary}\r\n".encode()
    yield f'Content-Disposition: form-data; name="jarfile"; filename="{jar.name}"\r\n'.encode()
    yield b"Content-Type: application/x-java-archive\r\n\r\n"
    yield jar.read_bytes()
    yield f"\r\n--{boundary}--\r\n".encode()


def _reason(text: bytes) -> str:
    """The innermost cause that it names, in one line."""
    try:
        errors = " ".join(json.loads(text)["errors"])
    except (ValueError, KeyError, TypeError):
        errors = text.decode(errors="replace")
    causes = [line.partition("Caused by: ")[2] for line in errors.splitlines() if "Caused by: " in line]
    return (causes[-1] if causes else errors.strip())[:_MOST_OF_AN_ERROR]
