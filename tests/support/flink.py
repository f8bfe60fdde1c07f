"""A job on Flink as tests see it: on a cluster in one process, beside the broker of the test."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest

from streamagg.flink import jars
from tests.support.jars import REPOSITORY
from tests.support.pipeline import Run

JOB_S: Final = 120


@contextmanager
def jars_made() -> Iterator[None]:
    """Made once; where that is impossible the tests are skipped, and say why."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(REPOSITORY / ".streamagg" / "cache"))
        try:
            jars.java()
            jars.built()
        except jars.FlinkMissing as error:
            pytest.skip(f"no Flink: {error}")
        yield


@contextmanager
def job(run: Run, *more: str) -> Iterator["subprocess.Popen[str]"]:
    """A job of Flink that runs; Python has become Java, so that its pid is that of both."""
    command = [sys.executable, "-m", "streamagg", "flink", "--local", *run.arguments(*more)]
    log = run.directory / "flink.log"
    with (
        log.open("ab") as words,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=words, text=True) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def finished(run: Run, *more: str) -> dict[str, int]:
    """A job that has read the input to its end; what it says that it has counted."""
    with job(run, "--until-end", *more) as process:
        told, _ = process.communicate(timeout=JOB_S)
        assert process.returncode == 0, (run.directory / "flink.log").read_text()
    counted: dict[str, int] = json.loads(told)
    return counted


def stopped(process: "subprocess.Popen[str]") -> str:
    """The savepoint of a job that is asked to stop."""
    process.send_signal(signal.SIGTERM)
    told, _ = process.communicate(timeout=JOB_S)
    place: str = json.loads(told)["savepoint"]
    return place


def hand_back(run: Run, *more: str) -> tuple[int, str]:
    """Exit code, and what was said."""
    command = [sys.executable, "-m", "streamagg", "flink", "--hand-back", *run.arguments(*more)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=JOB_S, check=False)
    return done.returncode, done.stderr


def refused_job(run: Run, *more: str) -> str:
    """What a job says that is not to begin."""
    with job(run, *more) as process:
        assert process.wait(JOB_S) == 2
    return (run.directory / "flink.log").read_text()
