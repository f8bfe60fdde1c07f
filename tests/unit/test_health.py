"""Alive and ready: what the main loop tells, what the endpoint and ``streamagg health`` make of it."""

import http.client
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from prometheus_client import CollectorRegistry

from streamagg.cli import execute
from streamagg.engine.reporting.readiness import unready
from streamagg.errors import ExitCode, SettingsError
from streamagg.model.settings import HttpSettings
from streamagg.telemetry.asking import ask
from streamagg.telemetry.endpoint import Shown, open_endpoint, serving
from streamagg.telemetry.health import STUCK_S, Health
from tests.support.clock import Clock


@dataclass
class Served:
    """A run that serves its health at an address."""

    address: str
    health: Health
    clock: Clock = field(default_factory=Clock)

    def get(self, path: str, method: str = "GET") -> tuple[int, str | None, bytes]:
        connection = http.client.HTTPConnection(self.address, timeout=30)
        try:
            connection.request(method, path)
            response = connection.getresponse()
            return response.status, response.getheader("Content-Type"), response.read()
        finally:
            connection.close()


@pytest.fixture
def served() -> Iterator[Served]:
    clock = Clock()
    health = Health(clock)
    with serving("127.0.0.1:0", Shown(CollectorRegistry(), health)) as url:
        yield Served(url.removeprefix("http://"), health, clock)


def test_nothing_is_ready_before_it_has_begun() -> None:
    health = Health(Clock())
    assert health.stuck() == []
    assert health.unready() == ["the run has not begun"]


def test_a_loop_that_stands_still_is_stuck_until_it_beats() -> None:
    clock = Clock()
    health = Health(clock)
    health.show([])
    clock.seconds = STUCK_S - 0.1
    assert health.stuck() == health.unready() == []
    clock.seconds = STUCK_S
    assert health.stuck() == health.unready() == ["the main loop has stood still for 60 s"]
    health.beat()
    assert health.stuck() == health.unready() == []


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        ({}, []),
        ({"leader": False, "reading": False, "leased": False}, []),
        ({"joined": False, "leader": False}, ["not in the consumer group"]),
        ({"reading": False, "leased": False}, ["leads, but does not read yet: *"]),
        ({"leased": False}, ["no lease given yet"]),
        ({"silent": ["aggregator-0"]}, ["aggregator-0 does not answer"]),
        ({"nothing_counted": "HINT"}, ["none of the records is counted: HINT"]),
        ({"nothing_counted": "HINT", "leader": False, "reading": False}, []),
        ({"leased": False, "silent": ["a", "b"]}, ["no lease given yet", "a does not *", "b does not *"]),
    ],
)
def test_the_reasons_of_an_instance(changes: dict[str, bool], reasons: list[str]) -> None:
    working = {"joined": True, "leader": True, "reading": True, "leased": True, "silent": []}
    found = unready(**{**working, **changes})  # type: ignore[arg-type]
    assert len(found) == len(reasons)
    for text, expected in zip(found, reasons, strict=True):
        assert text.startswith(expected.removesuffix("*"))


def test_answers_are_json_with_reasons(served: Served) -> None:
    assert served.get("/livez") == (200, "application/json", b'{"live":true,"reasons":[]}\n')
    served.health.show(["no lease given yet"])
    body = b'{"ready":false,"reasons":["no lease given yet"]}\n'
    assert served.get("/readyz") == (503, "application/json", body)
    served.health.show([])
    assert served.get("/readyz")[0] == 200
    served.clock.seconds = STUCK_S
    status, _, text = served.get("/livez")
    assert (status, json.loads(text)["live"]) == (503, False)
    assert served.get("/readyz")[0] == 503


def test_head_says_the_same_without_a_body(served: Served) -> None:
    assert served.get("/livez", "HEAD") == (200, "application/json", b"")
    assert served.get("/readyz", "HEAD") == (503, "application/json", b"")


@pytest.mark.parametrize("path", ["/", "/healthz", "/ready"])
def test_other_paths_are_not_found(served: Served, path: str) -> None:
    assert served.get(path)[0] == 404


def test_a_port_in_use_names_the_flag() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        shown = Shown(CollectorRegistry(), Health())
        with pytest.raises(SettingsError, match=f"--http {address} cannot be served"):
            open_endpoint(HttpSettings(address, required=True), shown)


def test_the_default_gives_way_to_another_instance(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        shown = Shown(CollectorRegistry(), Health())
        with open_endpoint(HttpSettings(address, required=False), shown) as url:
            assert url is None
    (line,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert "goes on without metrics and health" in line.getMessage()
    assert address in line.getMessage()


def test_off_serves_nothing() -> None:
    with open_endpoint(None, Shown(CollectorRegistry(), Health())) as url:
        assert url is None


def test_the_verb_tells_whether_a_run_is_alive(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["health", "--http", served.address]) == ExitCode.OK
    assert capsys.readouterr().out == "live\n"
    served.clock.seconds = STUCK_S
    assert execute(["health", "--http", served.address]) == ExitCode.FAILURE
    assert capsys.readouterr().out == "not live: the main loop has stood still for 60 s\n"


def test_the_verb_tells_whether_a_run_is_ready(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    served.health.show(["no lease given yet", "aggregator-0 does not answer"])
    assert execute(["health", "--ready", "--http", served.address]) == ExitCode.FAILURE
    assert capsys.readouterr().out == "not ready: no lease given yet; aggregator-0 does not answer\n"
    served.health.show([])
    assert execute(["health", "--ready", "--http", served.address]) == ExitCode.OK
    assert capsys.readouterr().out == "ready\n"


def test_a_run_that_listens_everywhere_is_asked_on_loopback(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    everywhere = "0.0.0.0:" + served.address.rpartition(":")[2]
    assert ask(HttpSettings(everywhere, required=True), "live").good
    monkeypatch.setenv("STREAMAGG_HTTP", everywhere)
    assert execute(["health"]) == ExitCode.OK


def test_nobody_there_is_a_failure_in_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        address = f"127.0.0.1:{gone.getsockname()[1]}"
    assert execute(["health", "--http", address]) == ExitCode.FAILURE
    said = capsys.readouterr()
    assert f"Neither streamagg run nor ingest answers at {address}" in said.err
    assert len(said.err.splitlines()) == 1


def test_off_cannot_be_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["health", "--http", "off"]) == ExitCode.USAGE
    assert "give --http HOST:PORT" in capsys.readouterr().err


def test_asking_loads_neither_the_kafka_client_nor_numpy(served: Served) -> None:
    code = (
        "import sys\nfrom streamagg.cli import execute\n"
        f"assert execute(['health', '--http', {served.address!r}]) == 0\n"
        "print(sorted({'numpy', 'confluent_kafka', 'prometheus_client'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.splitlines() == ["live", "[]"]
