"""Why workers were replaced, with real processes."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from streamagg.engine.workers import supervisor as module
from streamagg.engine.workers.contract import AggregatorLost
from streamagg.engine.workers.supervisor import ProcessWorkers
from streamagg.errors import StreamaggError
from streamagg.model.messages import AggregatorSetup, Lease, UnmarshallerSetup
from streamagg.model.settings import DecodeSettings, SourceSettings
from tests.support.instances import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[ProcessWorkers]:
    """One of each kind; the file that is to be read does not exist."""
    missing = str(tmp_path / "missing")
    setup = UnmarshallerSetup(DecodeSettings(), 1_000, SourceSettings(files=(missing,)))
    running = ProcessWorkers([setup], [AggregatorSetup(8)], max_restarts=9)
    try:
        yield running
    finally:
        running.close()


def poll_until(workers: ProcessWorkers, condition: Callable[[], object], what: str) -> None:
    """Let everything happen that happens meanwhile."""

    def fulfilled() -> bool:
        with suppress(AggregatorLost, StreamaggError):
            workers.poll(50)
        return bool(condition())

    wait_until(fulfilled, what)


def begun(workers: ProcessWorkers) -> bool:
    return workers.sample().alive == {"unmarshaller": 1, "aggregator": 1}


def restarts(workers: ProcessWorkers, cause: str) -> int:
    """Of the unmarshaller; on a busy machine the other one may be silent for too long as well."""
    return workers.sample().restarts.get(("unmarshaller", cause), 0)


def test_killed(workers: ProcessWorkers) -> None:
    poll_until(workers, lambda: begun(workers), "both workers")
    before = workers.sample().processes["unmarshaller-0"]
    os.kill(workers._unmarshallers[0].process.pid, signal.SIGKILL)
    poll_until(workers, lambda: restarts(workers, "signal"), "another unmarshaller")
    assert workers.sample().alive["unmarshaller"] == 0, "it has not said anything yet"
    poll_until(workers, lambda: begun(workers), "its first heartbeat")
    after = workers.sample().processes["unmarshaller-0"]
    assert before.cpu_s > 0
    assert after.cpu_s > before.cpu_s, "the sum of both"


def test_ended_by_itself(workers: ProcessWorkers) -> None:
    poll_until(workers, lambda: begun(workers), "both workers")
    workers.unmarshallers[0].post(Lease(0, 0, 0, 10))
    poll_until(workers, lambda: restarts(workers, "exit"), "another unmarshaller")
    assert restarts(workers, "signal") == 0


def test_silent_for_too_long(workers: ProcessWorkers, monkeypatch: pytest.MonkeyPatch) -> None:
    poll_until(workers, lambda: begun(workers), "both workers")
    monkeypatch.setattr(module, "_SILENCE_S", 2.0)
    os.kill(workers._unmarshallers[0].process.pid, signal.SIGSTOP)
    poll_until(workers, lambda: restarts(workers, "stuck"), "another unmarshaller")
    assert restarts(workers, "signal") == 0
