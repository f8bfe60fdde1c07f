"""A run whose standard streams are closed, or break, publishes what it should, and its exit code is right."""

import os
import subprocess
import sys

import pytest

from streamagg.errors import ExitCode
from tests.integration.conftest import RunFactory
from tests.support.environment import CALM
from tests.support.pipeline import Feed, made_records

pytestmark = [pytest.mark.kafka, pytest.mark.slow]
TIMEOUT_S = 60


@pytest.mark.parametrize(
    ("streams", "code", "told"),
    [
        ("<&- >&- 2>&-", ExitCode.OK, b""),
        ("--json 2>&- | true", ExitCode.OK, b""),
        ("--json --log-level error >&-", ExitCode.FAILURE, b"standard output is closed"),
    ],
)
def test_a_run_without_streams(streams: str, code: ExitCode, told: bytes, new_run: RunFactory) -> None:
    run = new_run(2)
    Feed(run.bootstrap, run.input, 2).send(made_records(3_000))
    script = f'"$0" -m streamagg run "$@" {streams}'
    ended = subprocess.run(
        ["/bin/bash", "-o", "pipefail", "-c", script, sys.executable, *run.arguments("--until-end")],
        capture_output=True,
        env={**os.environ, **CALM},
        timeout=TIMEOUT_S,
        check=False,
    )
    assert (ended.returncode, b"Traceback" in ended.stderr) == (code, False)
    assert told in ended.stderr
    assert run.check() > 0
