"""The command line: exit codes, errors as sentences, data on stdout and words on stderr."""

import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from streamagg import __version__, cli
from streamagg.cli import execute
from streamagg.cli.count import count
from streamagg.cli.ingest import ingest
from streamagg.cli.run import run
from streamagg.cli.serve import serve
from streamagg.errors import ExitCode, KafkaUnreachable
from streamagg.settings.layers import CLIENT_FLAG
from streamagg.settings.table import SETTINGS
from tests.support.environment import CALM

RECORDS = b"""{"ts": 0, "uid": "a"}
{"ts": 30, "uid": "b"}
{"ts": 59, "uid": "a"}
{"ts": 60, "uid": "a"}
not json
"""
TIMEOUT_S = 60


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings from outside but the usual ones of tests."""
    for name in list(os.environ):
        if name.startswith("STREAMAGG_") and name not in CALM:
            monkeypatch.delenv(name)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)


@pytest.fixture
def records(tmp_path: Path) -> str:
    path = tmp_path / "records.jsonl"
    path.write_bytes(RECORDS)
    return str(path)


def started(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-c", "from streamagg.cli import main; main()", *arguments],
        input=stdin,
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["--version"]) == ExitCode.OK
    assert capsys.readouterr().out == f"streamagg {__version__}\n"


def test_the_help_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["--help"]) == ExitCode.OK
    text = capsys.readouterr().out
    assert [verb for verb in cli.VERBS if f"  {verb}  " not in text] == []


def test_the_help_of_run_has_its_flags_under_headings(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert execute(["run", "--help"]) == ExitCode.OK
    text = capsys.readouterr().out
    for setting in SETTINGS.values():
        if "run" in setting.verbs.split():
            assert setting.flag in text
            assert f"{setting.panel}:" in text
    assert max(map(len, text.splitlines())) <= 80


def test_every_setting_is_a_parameter_of_a_verb() -> None:
    parameters = {
        name.rstrip("_")
        for verb in (run, count, serve, ingest)
        for name in inspect.signature(verb, eval_str=True).parameters
    }
    assert set(SETTINGS) - parameters == set()
    assert CLIENT_FLAG in parameters


@pytest.mark.parametrize(
    "arguments",
    [["walk"], ["run", "--max-lagg", "5s"], ["count"], ["run", "--max-lag"], ["count", "f", "--until-end"]],
)
def test_a_wrong_command_line_is_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(arguments) == ExitCode.USAGE
    output = capsys.readouterr()
    assert output.out == ""
    assert "Error: " in output.err


def test_what_ends_a_run_is_an_event_in_a_log_for_programs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREAMAGG_LOG_FORMAT", "json")
    wrong = ["run", "--input", "a", "--output", "b", "--granularity", "0s"]
    assert execute(wrong) == ExitCode.USAGE
    (line,) = capsys.readouterr().err.splitlines()
    told = json.loads(line)
    assert (told["event"], told["fields"]["exit_code"]) == ("failed", 2)
    assert told["message"].startswith("granularity = '0s'")
    assert "traceback" not in told["fields"]
    assert execute([*wrong, "--debug"]) == ExitCode.USAGE
    told = json.loads(capsys.readouterr().err.splitlines()[-1])
    assert "SettingsError" in told["fields"]["traceback"]


def test_tools_talk_to_people_whatever_the_log_of_run_is(
    records: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREAMAGG_LOG_FORMAT", "json")
    assert execute(["count", records, "--inline"]) == ExitCode.OK
    assert "5 records in" in capsys.readouterr().err
    assert execute(["count", "nowhere.jsonl"]) != ExitCode.OK
    assert capsys.readouterr().err.startswith("streamagg: ")


def test_a_wrong_setting_is_usage_and_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["run", "--input", "a", "--output", "b", "--granularity", "0s"]) == ExitCode.USAGE
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("streamagg: granularity = '0s' (flag --granularity) must be a duration")
    assert len(output.err.splitlines()) == 1


def test_a_setting_of_the_environment_reaches_the_verb(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREAMAGG_SLOTS", "1")
    assert execute(["count", "-"]) == ExitCode.USAGE
    assert "variable STREAMAGG_SLOTS" in capsys.readouterr().err


@pytest.mark.parametrize("place", [0, 1])
def test_a_traceback_only_with_debug(
    place: int, records: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr("streamagg.engine.count.count", broken)
    arguments = ["count", records]
    assert execute(arguments) == ExitCode.FAILURE
    assert capsys.readouterr().err.startswith(
        "streamagg: ZeroDivisionError: oops. This is a defect; run again with"
    )
    arguments.insert(place, "--debug")
    assert execute(arguments) == ExitCode.FAILURE
    assert "Traceback" in capsys.readouterr().err


def test_debug_behind_two_dashes_is_a_name() -> None:
    assert cli._debug_first(["count", "--debug", "--", "--debug"]) == ["--debug", "count", "--", "--debug"]
    assert cli._debug_first(["count", "--", "--debug"]) == ["count", "--", "--debug"]


def test_an_error_gives_its_exit_code(monkeypatch: pytest.MonkeyPatch, records: str) -> None:
    def unreachable(*_: object) -> None:
        raise KafkaUnreachable("nobody there")

    monkeypatch.setattr("streamagg.engine.count.count", unreachable)
    assert execute(["count", records]) == ExitCode.UNREACHABLE


def test_an_interrupt_gives_its_exit_code(monkeypatch: pytest.MonkeyPatch, records: str) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("streamagg.engine.count.count", interrupted)
    assert execute(["count", records]) == ExitCode.INTERRUPTED


def test_sigterm_ends_a_verb_like_ctrl_c_and_says_so() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "streamagg", "generate", "--count", "1000000000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith(b"{")
        process.terminate()
        process.stdout.read()
        assert process.stderr.read() == b"interrupted\n"
    assert process.returncode == ExitCode.INTERRUPTED


def test_what_the_operating_system_refuses_is_no_defect(
    monkeypatch: pytest.MonkeyPatch, records: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("streamagg.engine.count.count", full)
    assert execute(["count", records]) == ExitCode.FAILURE
    text = capsys.readouterr().err
    assert "No space left on device" in text
    assert "defect" not in text


def test_counters_that_cannot_be_written_are_told_before_the_work(
    records: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (tmp_path / "absent" / "stats.json", tmp_path):
        assert execute(["count", records, "--inline", "--stats-json", str(path)]) == ExitCode.USAGE
        output = capsys.readouterr()
        assert output.out == ""
        assert "(flag --stats-json) must be the path of a file" in output.err


def test_count_prints_data_on_stdout_and_words_on_stderr(records: str, tmp_path: Path) -> None:
    stats = tmp_path / "stats.json"
    ended = started("count", records, "--format", "jsonl", "--inline", "--stats-json", str(stats))
    assert ended.returncode == ExitCode.OK, ended.stderr
    rows = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [(row["ts"], row["cnt"], row["records"]) for row in rows] == [(0, 2, 3), (60, 1, 1)]
    assert b"5 records" in ended.stderr
    found = json.loads(stats.read_text())
    assert (found["records"], found["counted"], found["rejected"]) == (5, 4, {"bad_json": 1})


@pytest.mark.parametrize("mode", [(), ("--as-run",)], ids=["any order", "as run"])
def test_count_tells_which_measures_ignored_values(tmp_path: Path, mode: tuple[str, ...]) -> None:
    stats, lines = tmp_path / "stats.json", b'{"ts":1,"uid":"a","x":"1"}\n{"ts":2,"uid":"b","x":2}\n'
    measures = [f"--measure={name}(x)" for name in ("a=sum", "b=max", "c=uniques", "d=count")]
    flags = ("--inline", "--stats-json", str(stats), *measures, *mode)
    ended = started("count", "-", *flags, stdin=lines + b'{"ts":3,"uid":"c","x":null}\n')
    assert ended.returncode == ExitCode.OK, ended.stderr
    assert b"\nvalues ignored: a 1, b 1, d 1\n" in ended.stderr
    found = json.loads(stats.read_text())
    assert found["values_ignored"] == {"a": 1, "b": 1, "d": 1} == found["partitions"]["0"]["values_ignored"]


def test_count_reads_standard_input_and_prints_csv() -> None:
    ended = started("count", "-", "--format", "csv", "--inline", stdin=RECORDS)
    heading = "ts,cnt,records,partial,error"
    assert ended.stdout.decode().splitlines() == [heading, "0,2,3,false,", "60,1,1,false,"]


def test_count_prints_a_table_for_people() -> None:
    ended = started("count", "-", "--inline", stdin=RECORDS)
    heading, first, _ = ended.stdout.decode().splitlines()
    assert heading.split() == ["window", "start", "(UTC)", "unique", "users", "records"]
    assert first.split() == ["1970-01-01", "00:00:00", "2", "3"]
    assert len(heading) == len(first)


@pytest.mark.parametrize(
    ("flags", "counts_late", "told"),
    [
        ([], True, "in any order: no record is late"),
        (["--as-run"], False, "by the rules of run: max lag 5s, max jump "),
        (["--max-lag", "10s"], True, "by the rules of run: max lag 10s, max jump "),
        (["--max-jump", "1h"], False, "by the rules of run: max lag 5s, max jump 1h"),
        (["--max-jump", "1h", "--no-as-run"], True, "in any order: no record is late"),
    ],
)
def test_count_says_by_which_rules(flags: list[str], counts_late: bool, told: str) -> None:
    """::

    0          10         20
    ├──────────┼──────────┼────▶
                 a    b           40 of each
      late ◀──────────┘           the window of 0 has closed at 15, or closes at 20
    """
    rows = [b'{"ts":11,"uid":"a"}\n'] * 40 + [b'{"ts":16,"uid":"b"}\n'] * 40 + [b'{"ts":1,"uid":"late"}\n']
    arguments = ("count", "-", "--format", "csv", "--inline", "--granularity", "10s", *flags)
    ended = started(*arguments, stdin=b"".join(rows))
    late = ["0,1,1,false,"] if counts_late else []
    assert ended.stdout.decode().splitlines()[1:] == [*late, "10,2,80,false,"]
    assert ended.stderr.decode().splitlines()[-1].startswith(told)


def test_above_max_users_a_count_ends_with_a_code_of_its_own() -> None:
    ended = started("count", "-", "--format", "csv", "--inline", "--max-users", "1", stdin=RECORDS)
    assert ended.returncode == ExitCode.TOO_MANY_USERS
    assert ended.stdout == b""
    assert b"streamagg: The window of 1970-01-01T00:00:00Z has more than 1 unique users" in ended.stderr


def test_a_file_without_windows_has_a_heading_and_one_that_cannot_be_read_nothing(tmp_path: Path) -> None:
    empty = started("count", "-", "--format", "csv", "--inline")
    assert (empty.returncode, empty.stdout) == (ExitCode.OK, b"ts,cnt,records,partial,error\n")
    absent = started("count", str(tmp_path / "absent"), "--format", "csv", "--inline")
    assert (absent.returncode, absent.stdout) == (ExitCode.USAGE, b"")
    assert b"absent: No such file" in absent.stderr


def test_a_reader_that_goes_away_is_no_error_worth_words(records: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb") as nobody:
        ended = subprocess.run(
            [sys.executable, "-c", "from streamagg.cli import main; main()", "count", records, "--inline"],
            stdout=nobody,
            stderr=subprocess.PIPE,
            timeout=TIMEOUT_S,
            check=False,
        )
    assert b"Traceback" not in ended.stderr
    assert b"BrokenPipe" not in ended.stderr


def loaded_by(*arguments: str) -> set[str]:
    """The modules that are there behind a command."""
    code = f"import sys; from streamagg.cli import execute; execute({arguments!r}); print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=TIMEOUT_S, check=True)
    return set(ended.stdout.decode().rpartition("\n\n")[2].split())


def test_help_does_not_load_what_only_work_needs() -> None:
    loaded = loaded_by("run", "--help")
    assert "typer" in loaded
    assert {"numpy", "confluent_kafka", "msgspec", "prometheus_client"} & loaded == set()


def test_the_list_of_verbs_loads_none_of_them_nor_their_settings() -> None:
    loaded = loaded_by("--help")
    assert {name for name in loaded if name.startswith("streamagg")} == {
        *(
            "streamagg",
            "streamagg.cli",
            "streamagg.errors",
            "streamagg.events",
            "streamagg.telemetry.streams",
        ),
        *(f"streamagg.telemetry{module}" for module in ("", ".logs", ".log_lines", ".rate_limit")),
    }
    assert {"numpy", "confluent_kafka", "msgspec", "prometheus_client", "pydantic", "rich"} & loaded == set()


def test_a_verb_has_one_line_in_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["--help"]) == ExitCode.OK
    shown = capsys.readouterr().out
    assert all(f"{verb:<8}  {does}\n" in shown for verb, does in cli.VERBS.items())
    assert max(map(len, shown.splitlines())) <= 80


@pytest.mark.parametrize(
    ("words", "wanted"), [("streamagg ve", b"verify"), ("streamagg run --gran", b"--granularity")]
)
def test_a_shell_completes_verbs_and_flags(words: str, wanted: bytes) -> None:
    position = str(len(words.split()) - 1)
    asked = {"_STREAMAGG_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": position}
    ended = subprocess.run(
        [sys.executable, "-m", "streamagg"],
        env={**os.environ, **asked},
        capture_output=True,
        timeout=TIMEOUT_S,
        check=True,
    )
    assert wanted in ended.stdout.split()
