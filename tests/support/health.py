"""Asks a running instance how it is, and reads its log as a program does."""

import http.client
import json
import re
from typing import Any, Final

from tests.support.instances import READY_S, Instance, wait_until

_ADDRESS: Final = re.compile(r"metrics at http://([^/]+)/metrics")


def address(instance: Instance) -> str:
    """``host:port`` of an instance that serves HTTP."""
    instance.wait_for("metrics at ")
    found = _ADDRESS.search(instance.log)
    assert found, instance.log
    return found[1]


def ask(instance: Instance, path: str) -> tuple[int, list[str]]:
    """Status and reasons of ``/livez`` or ``/readyz``."""
    connection = http.client.HTTPConnection(address(instance), timeout=READY_S)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        assert response.getheader("Content-Type") == "application/json"
        return response.status, json.loads(response.read())["reasons"]
    finally:
        connection.close()


def wait_for_reasons(instance: Instance, *reasons: str, timeout_s: float = READY_S) -> None:
    """Wait until these are what keeps an instance from being ready; none: until it is ready."""
    expected = (503 if reasons else 200), list(reasons)
    wait_until(lambda: ask(instance, "/readyz") == expected, f"ready but for {reasons}", timeout_s)


def events(instance: Instance, name: str = "") -> list[dict[str, Any]]:
    """The lines of a log for programs, or those of one event; fails on a line that is none."""
    lines = [json.loads(line) for line in instance.log.splitlines(keepends=True) if line.endswith("\n")]
    return [line for line in lines if name in ("", line["event"])]


def wait_for_event(instance: Instance, name: str, times: int = 1, timeout_s: float = READY_S) -> None:
    """Wait until an event stands so often in a log for programs."""
    instance.wait_for(f'"event":"{name}"', times, timeout_s)
