"""Prometheus and Alertmanager as real processes on this machine, and a receiver of notifications."""

import json
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote
from urllib.request import urlopen

import pytest

from tests.support.broker import HOST, free_port
from tests.support.environment import CI
from tests.support.instances import READY_S, wait_until

MONITORING: Final = Path(__file__).parents[2] / "deploy" / "monitoring"
ALERTS: Final = MONITORING / "alerts.yaml"
_DURATION: Final = re.compile(r"(for: |\[|offset )(\d+)([smhd])\b")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def program(*names: str) -> str:
    """The path of a program by one of its names; where it is absent the test is skipped, in CI it fails."""
    for name in names:
        if path := shutil.which(name):
            return path
    reason = f"{names[0]} is not installed (Debian: apt install prometheus prometheus-alertmanager)"
    if CI:
        pytest.fail(reason)
    pytest.skip(reason)


def promtool(*arguments: str | Path, standard_input: str = "") -> str:
    """What promtool prints; fails with that if it is not satisfied."""
    command = [program("promtool"), *map(str, arguments)]
    done = subprocess.run(
        command, input=standard_input, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def hurried(rules: str, times: int) -> str:
    """The same rules with every duration in them so many times shorter: ``for``, ranges and offsets.

    Seconds that are compared with a metric stay as they are.
    """
    return _DURATION.sub(
        lambda m: f"{m[1]}{max(1, int(m[2]) * _SECONDS[m[3]] * 1_000 // times)}ms",
        rules,
    )


class Prometheus:
    """A Prometheus that runs, and its HTTP interface."""

    def __init__(self, url: str) -> None:
        self.url = url

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The present samples of an expression; fails when it cannot be evaluated."""
        found: list[dict[str, Any]] = self._data(f"query?query={quote(expression)}")["result"]
        return found

    def value(self, expression: str) -> float | None:
        """The value of the only sample, or None without one."""
        found = self.query(expression)
        assert len(found) <= 1, found
        return float(found[0]["value"][1]) if found else None

    def rules(self) -> list[dict[str, Any]]:
        """All rules with their health."""
        return [rule for group in self._data("rules")["groups"] for rule in group["rules"]]

    def _data(self, path: str) -> dict[str, Any]:
        answer = json.loads(fetch(f"{self.url}/api/v1/{path}"))
        data: dict[str, Any] = answer["data"]
        return data


def fetch(url: str) -> str:
    """The body of an answer; raises OSError for anything but success."""
    with urlopen(url, timeout=READY_S) as answer:
        text: str = answer.read().decode()
        return text


@contextmanager
def prometheus(
    directory: Path, rules: Path, target: str, job: str, alertmanager_url: str
) -> Iterator[Prometheus]:
    """A Prometheus that scrapes one target and evaluates the rules each second."""
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(rules)],
        "alerting": {
            "alertmanagers": [{"static_configs": [{"targets": [alertmanager_url.removeprefix("http://")]}]}]
        },
        "scrape_configs": [{"job_name": job, "static_configs": [{"targets": [target]}]}],
    }
    address = f"{HOST}:{free_port()}"
    command = [
        program("prometheus"),
        f"--config.file={_written(directory / 'prometheus.yml', config)}",
        f"--storage.tsdb.path={directory / 'tsdb'}",
        f"--web.listen-address={address}",
    ]
    with started(command, directory / "prometheus.log", f"http://{address}/-/ready"):
        yield Prometheus(f"http://{address}")


@contextmanager
def alertmanager(directory: Path, webhook_url: str) -> Iterator[str]:
    """An Alertmanager that tells a webhook at once; yields its URL."""
    config = {
        "route": {
            "receiver": "test",
            "group_by": ["alertname"],
            "group_wait": "0s",
            "group_interval": "1s",
        },
        "receivers": [{"name": "test", "webhook_configs": [{"url": webhook_url, "send_resolved": True}]}],
    }
    address = f"{HOST}:{free_port()}"
    command = [
        program("prometheus-alertmanager", "alertmanager"),
        f"--config.file={_written(directory / 'alertmanager.yml', config)}",
        f"--storage.path={directory / 'alertmanager'}",
        f"--web.listen-address={address}",
        # Alone, without a port for others of its kind.
        "--cluster.listen-address=",
    ]
    with started(command, directory / "alertmanager.log", f"http://{address}/-/ready"):
        yield f"http://{address}"


class Notifications:
    """What a webhook was told, in the order of arrival."""

    def __init__(self) -> None:
        self.alerts: list[dict[str, Any]] = []

    def of(self, alert: str, status: str) -> list[dict[str, Any]]:
        """The notifications that an alert is ``firing`` or ``resolved``."""
        return [
            told for told in self.alerts if (told["labels"]["alertname"], told["status"]) == (alert, status)
        ]


@contextmanager
def webhook() -> Iterator[tuple[str, Notifications]]:
    """A receiver of Alertmanager's notifications; yields its URL and what it was told."""
    told = Notifications()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            told.alerts.extend(json.loads(body)["alerts"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer((HOST, 0), Receiver) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://{HOST}:{server.server_port}/", told
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def started(command: Sequence[str], log: Path, ready_url: str) -> Iterator[None]:
    """A process from the moment it is ready until the context ends."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        wait_until(lambda: _ready(process, log, ready_url), f"an answer at {ready_url}")
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(READY_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _ready(process: subprocess.Popen[bytes], log: Path, url: str) -> bool:
    assert process.poll() is None, log.read_text(errors="replace")
    try:
        fetch(url)
    except (OSError, HTTPException):
        return False
    return True


def _written(path: Path, config: Mapping[str, Any]) -> Path:
    # YAML is a superset of JSON.
    path.write_text(json.dumps(config), "utf-8")
    return path
