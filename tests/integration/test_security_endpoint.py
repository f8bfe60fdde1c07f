"""Thousands of connections to the HTTP endpoint of a run: counting goes on, and nobody's id is to be seen."""

import http.client
import re
import signal
from pathlib import Path

import pytest

from tests.integration.conftest import RunFactory
from tests.support.crowd import crowd
from tests.support.instances import wait_until
from tests.support.pipeline import Feed, record

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

IDLE = 3_000
MOST_DESCRIPTORS = 400
"""Of the main process: Kafka, workers and the connections that it lets in."""
ENDPOINT = re.compile(r"metrics at http://127\.0\.0\.1:(\d+)/metrics")
USER = "CANARY-user"


def page(port: int, path: str) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path)
        return connection.getresponse().read()
    finally:
        connection.close()


@pytest.mark.parametrize("says", [b"", b"GET /metrics HTTP/1.1\r\nX: "], ids=["idle", "unfinished"])
def test_a_run_goes_on_among_thousands_of_connections(new_run: RunFactory, says: bytes) -> None:
    run = new_run(1)
    feed = Feed(run.bootstrap, run.input)
    with run.start("--http", "0", "--idle-timeout", "1s") as instance:
        feed.send(record(1_000 + second, f"{USER}-{second}") for second in range(100))
        wait_until(lambda: bool(run.published()), "windows before")
        found = ENDPOINT.search(instance.log)
        assert found, instance.log
        port = int(found[1])
        with crowd(("127.0.0.1", port), IDLE, says=says):
            before = len(run.published())
            feed.send(record(1_200 + second, f"{USER}-{second}") for second in range(100))
            wait_until(lambda: len(run.published()) > before, "windows meanwhile")
            for path in ("/metrics", "/livez", "/readyz", "/nothing"):
                answer = page(port, path)
                assert answer
                assert USER.encode() not in answer
            descriptors = Path(f"/proc/{instance.pid}/fd")
            wait_until(lambda: len(list(descriptors.iterdir())) < MOST_DESCRIPTORS, "few descriptors")
        instance.signal(signal.SIGTERM)
        assert instance.wait() == 0
    assert run.check(allow_open=True) > before
