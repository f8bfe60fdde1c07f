"""Files of which nothing is counted: no success of ``count`` and ``advise``, and no user in the log."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from streamagg.cli import execute
from streamagg.errors import ExitCode

CANARY = "CANARY"
T0 = 1_468_244_384
WARNING = ". One of them has "

MISFITS: dict[str, tuple[Callable[[int], Any], str]] = {
    "milliseconds": (
        lambda n: {"ts": (T0 + n) * 1_000, "uid": f"{CANARY}{n}"},
        "`ts` holds 1468244384000: that is a time in milliseconds, give --time-unit ms. "
        "One of them has `ts` (integer), `uid` (text)",
    ),
    "other names": (
        lambda n: {"timestamp": T0 + n, "user_id": f"{CANARY}{n}"},
        "the records have no `ts` and no `uid`; they have `timestamp`, `user_id`;",
    ),
    "ISO 8601": (
        lambda n: {"ts": f"2016-07-11T13:{n // 60 % 60:02}:{n % 60:02}Z", "uid": f"{CANARY}{n}"},
        "`ts` holds 2016-07-11T13:00:00Z: that is a time in ISO 8601, give --time-unit iso8601",
    ),
    "user within an object": (
        lambda n: {"ts": T0 + n, "uid": {"id": f"{CANARY}{n}"}},
        "`uid` holds an object, which is no user; the user may be in `uid.id`, give --user-field uid.id",
    ),
    "user with a fraction": (
        lambda n: {"ts": T0 + n, "uid": n + 0.5},
        "`uid` holds a number with a fraction, which is no user",
    ),
    "CSV": (lambda n: f"{T0 + n},{CANARY}{n},7", "the records are text with commas, as CSV has it"),
    "Python": (lambda n: str({"ts": T0 + n, "uid": f"{CANARY}{n}"}), "they have single quotes"),
}


def written(path: Path, make: Callable[[int], Any], records: int) -> str:
    lines = (line if isinstance(line := make(n), str) else json.dumps(line) for n in range(records))
    path.write_text("\n".join(lines) + "\n")
    return str(path)


@pytest.mark.parametrize("records", [1, 3_000])
@pytest.mark.parametrize("verb", ["count", "advise"])
@pytest.mark.parametrize("kind", MISFITS)
def test_the_warning_says_what_would_fit_and_the_exit_code_that_nothing_was_counted(
    kind: str, verb: str, records: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make, words = MISFITS[kind]
    assert execute([verb, written(tmp_path / "in", make, records)]) == ExitCode.NOTHING_COUNTED == 7
    told = capsys.readouterr().err
    (warning,) = [line for line in told.splitlines() if WARNING in line]
    assert words in warning
    assert f"{records:,} of {records:,} records are rejected" in warning
    assert f"streamagg: Nothing was counted as it is meant: {records:,} of {records:,} records" in told
    assert CANARY not in told


@pytest.mark.parametrize("kind", ["milliseconds", "other names", "ISO 8601", "user within an object"])
def test_what_the_warning_proposes_does_fit(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path / "in", MISFITS[kind][0], 100)
    execute(["count", path])
    flags = capsys.readouterr().err.rpartition("give ")[2].strip().removesuffix(".").split()
    assert execute(["count", path, *flags]) == ExitCode.OK
    assert "counted 100, late 0, rejected 0" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["count", "advise"])
def test_seconds_read_as_milliseconds_are_one_window_in_1970_and_no_success(
    verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path / "in", lambda n: {"ts": T0 + n, "uid": f"{CANARY}{n}"}, 2_000)
    assert execute([verb, path, "--time-unit", "ms"]) == ExitCode.NOTHING_COUNTED
    told = capsys.readouterr()
    assert verb == "advise" or "1970-01-17 23:50:00" in told.out
    assert WARNING in told.err
    assert (
        "2,000 of 2,000 records lie before 2001: `ts` holds 1468244384: that is a time in seconds" in told.err
    )
    assert CANARY not in told.err


def test_real_times_of_long_ago_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path / "in", lambda n: {"ts": 804_571_201 + n, "uid": f"{CANARY}{n}"}, 100)
    assert execute(["count", path]) == ExitCode.OK
    assert "100 of 100 records lie before 2001: `ts` lies before 2001" in capsys.readouterr().err


def test_a_share_of_misfits_is_no_failure_and_told_as_ever(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path / "in", lambda n: {"ts": T0 + n} if n % 10 else {"ts": T0, "uid": 1}, 2_000)
    assert execute(["count", path]) == ExitCode.OK
    assert WARNING not in capsys.readouterr().err


def test_nearly_all_are_warned_of_and_no_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path / "in", lambda n: {"ts": T0 + n} if n % 50 else {"ts": T0 + n, "uid": 1}, 2_000)
    assert execute(["count", path]) == ExitCode.OK
    assert "1,960 of 2,000 records are rejected (missing_field 1,960)" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["count", "advise"])
def test_no_records_are_no_failure(verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in").write_bytes(b"\n\n")
    assert execute([verb, str(tmp_path / "in")]) == ExitCode.OK
    assert WARNING not in capsys.readouterr().err


def test_the_counters_say_why(tmp_path: Path) -> None:
    stats = tmp_path / "stats.json"
    path = written(tmp_path / "in", MISFITS["milliseconds"][0], 10)
    assert execute(["count", path, "--stats-json", str(stats)]) == ExitCode.NOTHING_COUNTED
    assert json.loads(stats.read_text())["nothing_counted"].startswith("10 of 10 records are rejected")


@pytest.mark.slow
@pytest.mark.usefixtures("processes")
def test_processes_tell_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make, words = MISFITS["milliseconds"]
    assert execute(["count", written(tmp_path / "in", make, 3_000)]) == ExitCode.NOTHING_COUNTED
    told = capsys.readouterr().err
    assert words in told
    assert told.count(WARNING) == 1
