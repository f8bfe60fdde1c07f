"""The verbs that keep a bar on a terminal: lines and counts go above it, and nothing of it is left."""

import json
import sys
from pathlib import Path

import pytest

from tests.support.terminal import Terminal

LINES = 20_000


@pytest.fixture
def records(tmp_path: Path) -> str:
    path = tmp_path / "records.jsonl"
    path.write_text("".join(json.dumps({"ts": n // 100, "uid": f"u{n % 77}"}) + "\n" for n in range(LINES)))
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
        terminal.press(b'{"ts": 1, "uid": "a"}\n')
        terminal.wait_for("counting  1 records")
        terminal.press(b"\x04")
        assert terminal.wait() == 0
    assert "1970-01-01 00:00:00" in terminal.picture.text
    assert "counting" not in terminal.picture.text


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
