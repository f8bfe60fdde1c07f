"""A job of ``streamagg flink`` as a process that is watched, and ended by its pid."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.scratch import RunFailed, verb
from tests.support.pipeline import Run

JOB_S: Final = 240.0
LOOK_EVERY_S: Final = 0.5
"""What is looked at is read whole, and takes CPU from the job."""


@contextmanager
def started(run: Run, *flags: str, java: str = "") -> Iterator["subprocess.Popen[str]"]:
    """A job that runs; ``java``: more options of its virtual machine. Python has become Java: one pid."""
    command = verb("flink", "--local", *run.arguments(*flags))
    environment = {**os.environ, "JAVA_TOOL_OPTIONS": java}
    with (
        log_of(run).open("ab") as words,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=words, text=True, env=environment
        ) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def finished(run: Run, *flags: str) -> dict[str, int]:
    """What a job says that it has counted which has read the input to its end; raises RunFailed."""
    with started(run, "--until-end", *flags) as process:
        told, _ = process.communicate(timeout=JOB_S)
    if process.returncode:
        raise RunFailed(f"exit code {process.returncode}: {log_of(run).read_text()[-1000:]}")
    counted: dict[str, int] = json.loads(told)
    return counted


def log_of(run: Run) -> Path:
    """Where a job of this run complains."""
    return run.directory / f"{run.output}.log"


def until(condition: Callable[[], bool], process: "subprocess.Popen[str]", run: Run) -> None:
    """Wait; raises RunFailed when the job ends before that, or it takes too long."""
    deadline = time.monotonic() + JOB_S
    while not condition():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RunFailed(f"a job came to nothing: {log_of(run).read_text()[-1000:]}")
        time.sleep(LOOK_EVERY_S)
