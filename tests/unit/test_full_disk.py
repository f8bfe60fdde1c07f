"""A disk without room, for whatever the command line writes."""

import subprocess
import sys
from pathlib import Path

import pytest

from streamagg.errors import ExitCode

TIMEOUT_S = 60
RECORDS = b'{"ts":1,"uid":"a"}\n{"ts":70,"uid":"b"}\n'


def ended(script: str, directory: Path) -> subprocess.CompletedProcess[bytes]:
    """A shell script in which ``$S`` is the program."""
    (directory / "in.jsonl").write_bytes(RECORDS)
    return subprocess.run(
        ["/bin/sh", "-c", script.replace("$S", f"{sys.executable} -m streamagg")],
        capture_output=True,
        cwd=directory,
        timeout=TIMEOUT_S,
        check=False,
    )


@pytest.mark.parametrize(
    "script",
    [
        "$S count in.jsonl --inline > /dev/full",
        "$S generate --count 1000 > /dev/full",
        "$S generate --count 1000 -o /dev/full",
        "ulimit -f 20; $S generate --count 5000 -o made.jsonl",
        "ulimit -f 20; $S generate --count 5000 -o made.gz",
        "ulimit -f 20; $S generate --count 5000 -o made.zst",
        "$S --help > /dev/full",
    ],
)
def test_results_that_find_no_room_are_a_failure_in_one_sentence(script: str, tmp_path: Path) -> None:
    found = ended(script, tmp_path)
    assert found.returncode == ExitCode.FAILURE, found.stderr
    assert found.stderr.startswith(b"streamagg: The operating system refuses: "), found.stderr
    assert found.stderr.count(b"\n") == 1


def test_counters_that_find_no_room_spoil_no_counts(tmp_path: Path) -> None:
    found = ended("$S count in.jsonl --inline --format jsonl --stats-json /dev/full", tmp_path)
    assert found.returncode == ExitCode.FAILURE
    assert found.stdout.count(b"\n") == 2
    assert b"The counters cannot be written to /dev/full: No space left on device" in found.stderr


@pytest.mark.parametrize("gone", ["2>/dev/full", "2>&-"])
def test_a_log_that_finds_no_room_changes_nothing(gone: str, tmp_path: Path) -> None:
    script = f"$S count in.jsonl --inline --format jsonl > found {gone}"
    found = ended(script, tmp_path)
    assert (found.returncode, found.stderr) == (ExitCode.OK, b"")
    assert (tmp_path / "found").read_bytes().count(b"\n") == 2


def test_an_error_that_nobody_can_read_keeps_its_exit_code(tmp_path: Path) -> None:
    assert ended("$S count absent 2>/dev/full", tmp_path).returncode == ExitCode.USAGE
