"""Lines in, lines out: standard input and output as places, without any Kafka."""

import gzip
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO

import pytest

from streamagg.errors import ExitCode
from tests.support.environment import CALM

PROGRAM = [sys.executable, "-m", "streamagg"]
RUN = [*PROGRAM, "run", "--input", "-", "--output", "-", "--http", "off"]
TIMEOUT_S = 60
LINES = b"".join(
    b'{"ts":%d,"uid":"u%d","country":"%s"}\n' % (1_700_000_000 + n // 9, n % 70, (b"DE", b"FR")[n % 2])
    for n in range(5_000)
)
ASKED = ("--granularity", "30s", "--max-lag", "5s", "--group-by", "country", "--measure", "last=max(ts)")


def ended(command: list[str], given: bytes) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command, input=given, capture_output=True, timeout=TIMEOUT_S, check=False, env=CALM)


@contextmanager
def piped(*arguments: str) -> Iterator[tuple[IO[bytes], IO[bytes], subprocess.Popen[bytes]]]:
    command = [*RUN, *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=CALM) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield process.stdin, process.stdout, process


def line(time_s: float, user: str) -> bytes:
    return json.dumps({"ts": time_s, "uid": user}).encode() + b"\n"


def write_without_end(into: IO[bytes]) -> None:
    while True:
        into.write(LINES)


@pytest.mark.parametrize("packed", [False, True])
def test_what_comes_out_is_what_is_counted_of_a_file(packed: bool) -> None:
    counted = ended([*PROGRAM, "count", "-", "--as-run", "--format", "jsonl", *ASKED], LINES)
    run = ended([*RUN, *ASKED], gzip.compress(LINES) if packed else LINES)
    assert (run.returncode, counted.returncode) == (0, 0), run.stderr
    assert run.stdout == counted.stdout
    assert run.stdout.count(b"\n") > 20


def test_periods_are_over_with_the_lines() -> None:
    run = ended([*RUN, "--calendar", "day"], LINES)
    assert [json.loads(each)["calendar"] for each in run.stdout.splitlines() if b"calendar" in each] == [
        "day"
    ]


def test_live_time_goes_on_in_silence_and_the_end_of_the_lines_is_the_end() -> None:
    with piped("--live", "--granularity", "1s", "--max-lag", "0s", "--idle-timeout", "200ms") as (
        into,
        out,
        run,
    ):
        for user in ("a", "b"):
            # Nothing comes behind it, so that only silence can bring it out.
            into.write(line(now_s := int(time.time()), user))
            into.flush()
            assert json.loads(out.readline())["ts"] == now_s
        into.write(line(now_s + 2, "c"))
        into.close()
        assert json.loads(out.readline())["ts"] == now_s + 2
        assert out.read() == b""
        assert run.wait(TIMEOUT_S) == 0


def test_lines_that_are_not_live_may_take_any_time() -> None:
    with piped("--granularity", "1s", "--idle-timeout", "0s") as (into, out, run):
        into.write(line(1_700_000_000, "a") * 30 + line(1_700_000_020, "b") * 30)
        into.flush()
        assert json.loads(out.readline())["cnt"] == 1
        into.write(line(1_700_000_020, "c"))
        into.close()
        assert json.loads(out.readline())["cnt"] == 2, "the window stayed open"
        assert run.wait(TIMEOUT_S) == 0


def test_a_reader_that_goes_away_ends_it() -> None:
    with piped("--granularity", "1s") as (into, out, run):
        into.write(line(1_700_000_000, "a") * 30)
        into.flush()
        out.close()
        with pytest.raises(BrokenPipeError):
            write_without_end(into)
        # What did not get through is not tried again.
        with suppress(BrokenPipeError):
            into.close()
        assert run.wait(TIMEOUT_S) == 0
        assert run.stderr is not None
        assert b"Traceback" not in run.stderr.read()


def test_lines_of_which_none_counts_are_a_failure() -> None:
    run = ended([*RUN, "--user-field", "user"], LINES)
    assert run.returncode == ExitCode.NOTHING_COUNTED
    assert b"--user-field uid" in run.stderr


def test_counters_go_elsewhere() -> None:
    run = ended([*RUN, "--json"], b"")
    assert run.returncode == ExitCode.USAGE
    assert b"use --stats-json" in run.stderr
