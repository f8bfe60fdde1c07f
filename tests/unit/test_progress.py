"""The verbs that keep a bar on a terminal: lines and counts go above it, and nothing of it is left."""

import json
import sys
from pathlib import Path

import pytest

from streamagg.kafka.embedded import embedded_broker
from tests.support.terminal import Terminal

LINES = 20_000
START_S = 1_699_999_980
"""2023-11-14T22:13:00Z."""


@pytest.fixture
def records(tmp_path: Path) -> str:
    path = tmp_path / "records.jsonl"
    path.write_text(
        "".join(json.dumps({"ts": START_S + n // 100, "uid": f"u{n % 77}"}) + "\n" for n in range(LINES))
    )
    return str(path)


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "streamagg", *arguments]


@pytest.mark.parametrize("rules", ["--as-run", "--no-as-run"])
def test_count_keeps_a_bar_below_its_windows(records: str, rules: str) -> None:
    with Terminal(command("count", records, rules, "--inline"), size=(100, 24)) as terminal:
        assert terminal.wait() == 0
    lines = terminal.picture.text.splitlines()
    assert lines[0].split() == ["window", "start", "(UTC)", "unique", "users", "records"]
    assert [line.split()[-2:] for line in lines[1:5]] == [["77", "6,000"]] * 3 + [["77", "2,000"]]
    assert lines[5].startswith("20,000 records in ")
    assert not any("counting" in line for line in lines)


def test_a_bar_is_drawn_while_a_pipe_is_waited_for() -> None:
    with Terminal(command("count", "-"), size=(100, 24)) as terminal:
        terminal.wait_for("counting  0 records")
        terminal.press(b'{"ts": 1699999980, "uid": "a"}\n')
        terminal.wait_for("counting  1 records")
        terminal.press(b"\x04")
        assert terminal.wait() == 0
    assert "2023-11-14 22:13:00" in terminal.picture.text
    assert "counting" not in terminal.picture.text


def test_replay_keeps_a_bar_until_it_tells_what_it_did() -> None:
    with embedded_broker(["records"]) as bootstrap:
        where = ("--topic", "records", "--bootstrap-servers", bootstrap)
        with Terminal(command("replay", "-", *where), size=(100, 24)) as terminal:
            terminal.wait_for("to records  0 records")
            terminal.press(b'{"ts": 1699999980, "uid": "a"}\n')
            terminal.wait_for("to records  1 records")
            terminal.press(b"\x04")
            assert terminal.wait() == 0
    (line,) = terminal.picture.text.splitlines()
    assert line.startswith("1 records (0.0 MB) delivered to records")


@pytest.mark.parametrize(("flags", "env"), [(["--plain"], {}), ([], {"CI": "1"}), ([], {"TERM": "dumb"})])
def test_there_is_none_where_lines_are_wanted(records: str, flags: list[str], env: dict[str, str]) -> None:
    with Terminal(command("count", records, "--inline", *flags), env, size=(100, 24)) as terminal:
        assert terminal.wait() == 0
    assert "\x1b" not in terminal.written
    assert "counting" not in terminal.written


def test_there_is_none_in_a_file(records: str, tmp_path: Path) -> None:
    stderr = tmp_path / "stderr"
    with Terminal(command("count", records, "--inline"), stderr=stderr, size=(100, 24)) as terminal:
        assert terminal.wait() == 0
    assert "\x1b" not in terminal.written + stderr.read_text()
