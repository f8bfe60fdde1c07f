"""Standard streams that are closed, break, or cannot show what is written to them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from streamagg.errors import ExitCode

TIMEOUT_S = 60
T0 = 1_468_244_400
RECORDS = b"".join(b'{"ts":%d,"uid":"%d"}\n' % (T0 + second, second % 7) for second in range(5_000))


def ended(script: str, directory: Path, **variables: str) -> subprocess.CompletedProcess[bytes]:
    """A script in which ``$S`` is the program."""
    (directory / "in.jsonl").write_bytes(RECORDS)
    return subprocess.run(
        ["/bin/bash", "-o", "pipefail", "-c", script.replace("$S", f"{sys.executable} -m streamagg")],
        capture_output=True,
        cwd=directory,
        env={**os.environ, **variables},
        timeout=TIMEOUT_S,
        check=False,
    )


def test_streams_closed_at_the_start_leave_their_numbers_to_nobody(tmp_path: Path) -> None:
    code = (
        "import socket, subprocess, sys; from streamagg.telemetry.streams import prepare; prepare();"
        "numbers = [a.fileno() for a in socket.socketpair()];"
        "child = subprocess.run([sys.executable, '-c', 'import os; [os.fstat(n) for n in range(3)]']);"
        "open('found', 'w').write(f'{min(numbers) > 2} {child.returncode}')"
    )
    found = ended(f'{sys.executable} -c "{code}" <&- >&- 2>&-', tmp_path)
    assert (found.returncode, (tmp_path / "found").read_text()) == (0, "True 0")


@pytest.mark.parametrize(
    "verb", ["count in.jsonl --inline", "advise in.jsonl --inline", "generate --count 100", "--help"]
)
def test_a_result_for_a_closed_stdout_is_a_failure_in_one_sentence(verb: str, tmp_path: Path) -> None:
    found = ended(f"$S {verb} >&-", tmp_path)
    told = b"streamagg: The operating system refuses: standard output is closed."
    assert (found.returncode, found.stderr[: len(told)]) == (ExitCode.FAILURE, told)
    assert found.stderr.count(b"\n") == 1


@pytest.mark.parametrize("closed", ["2>&-", "<&-", "2>&- <&-"])
def test_a_closed_stderr_or_stdin_changes_nothing(closed: str, tmp_path: Path) -> None:
    found = ended(f"$S count in.jsonl --format jsonl --unmarshallers 1 {closed}", tmp_path)
    assert (found.returncode, found.stdout.count(b"\n")) == (ExitCode.OK, 84)


def test_what_nobody_needs_stdout_for_ends_well_without_it(tmp_path: Path) -> None:
    assert ended("$S generate --count 9 --output made <&- >&- 2>&-", tmp_path).returncode == ExitCode.OK
    assert (tmp_path / "made").read_bytes().count(b"\n") == 9


def test_a_closed_stdin_is_no_empty_file(tmp_path: Path) -> None:
    found = ended("$S count - <&-", tmp_path)
    assert (found.returncode, found.stdout) == (ExitCode.USAGE, b"")
    assert found.stderr == b"streamagg: Standard input is closed: give a file of JSON lines, or open it.\n"


@pytest.mark.parametrize(
    "verb",
    [
        "count in.jsonl --inline --granularity 10ms --max-lag 0s --empty-windows",
        "count in.jsonl --inline --granularity 1s",
        "advise in.jsonl --inline",
        "generate --count 5000",
        "--help",
    ],
)
def test_a_reader_that_goes_away_leaves_no_words_and_no_failure(verb: str, tmp_path: Path) -> None:
    found = ended(f"$S {verb} | head -1", tmp_path)
    assert (found.returncode, found.stdout.count(b"\n")) == (ExitCode.OK, 1)
    assert b"streamagg:" not in found.stderr
    assert b"Traceback" not in found.stderr


@pytest.mark.parametrize(
    ("encoding", "bar"), [("ascii", b"###"), ("latin-1", b"###"), ("utf-8", b"\xe2\x96\x88")]
)
def test_characters_that_a_terminal_does_not_know_are_shown_by_others(
    encoding: str, bar: bytes, tmp_path: Path
) -> None:
    (tmp_path / "late.jsonl").write_bytes(RECORDS + b'{"ts":%d,"uid":"e"}\n' % (T0 + 4_990))
    found = ended("$S advise late.jsonl --inline", tmp_path, PYTHONIOENCODING=encoding)
    assert (found.returncode, found.stderr) == (ExitCode.OK, b"")
    assert bar in found.stdout


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_names_that_no_encoding_has_are_shown(encoding: str, tmp_path: Path) -> None:
    found = ended(r"cp in.jsonl $'\xff'; $S advise $'\xff' --inline", tmp_path, PYTHONIOENCODING=encoding)
    assert (found.returncode, found.stderr) == (ExitCode.OK, b"")
    assert b"5,000 records of " in found.stdout
