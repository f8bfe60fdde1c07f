"""The variable that makes a process break itself."""

import logging
import os
import signal
import subprocess
import sys

import pytest

from streamagg import faults
from streamagg.errors import SettingsError

DYING = "from streamagg import faults; faults.hook()('before-commit'); print('went on')"


def test_without_the_variable_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signal, "pthread_kill", None)
    at = faults.hook({})
    for point in faults.POINTS:
        at(point)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fault", "code"),
    [("before-commit:1", -signal.SIGKILL), ("before-commit:0", 0), ("after-commit:1", 0)],
)
def test_a_process_dies_at_its_point_only(fault: str, code: int) -> None:
    environ = {**os.environ, faults.VARIABLE: fault}
    done = subprocess.run([sys.executable, "-c", DYING], env=environ, capture_output=True, check=False)
    assert done.returncode == code
    assert (b"went on" in done.stdout) == (code == 0)


def test_the_same_seed_breaks_at_the_same_moments(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(seed: int) -> list[int]:
        sent: list[int] = []
        monkeypatch.setattr(signal, "pthread_kill", lambda thread, number: sent.append(turn))
        at = faults.hook({faults.VARIABLE: f"before-begin:0.3:stop,seed:{seed}"})
        for turn in range(100):  # noqa: B007 -- the lambda above reads it
            at("before-begin")
        return sent

    assert broken(1) == broken(1)
    assert broken(1) != broken(2)
    assert 10 < len(broken(1)) < 60


def test_an_instance_says_that_it_breaks_itself(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        faults.hook({faults.VARIABLE: "before-free:0.5:8"})
    assert "breaks itself on purpose at before-free" in caplog.text


@pytest.mark.parametrize(
    "text",
    ["before-commit", "nowhere:1", "before-commit:2", "before-commit:x", "before-free:1:often", "a:1:kill:2"],
)
def test_what_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="before-commit"):
        faults.hook({faults.VARIABLE: text})
