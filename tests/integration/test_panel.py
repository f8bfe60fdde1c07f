"""A run on a terminal, from its start to Ctrl-C, with real Kafka: what is on the screen."""

import os
import signal
import sys

import pytest

from tests.integration.conftest import RunFactory
from tests.support.pipeline import Feed, Run, made_records
from tests.support.terminal import Terminal

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


def command(run: Run, *flags: str) -> list[str]:
    return [sys.executable, "-m", "streamagg", "run", *run.arguments(*flags)]


def children(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(child) for child in file.read().split()]


def test_a_run_on_a_terminal(new_run: RunFactory) -> None:
    """The backlog is read, a worker dies, Ctrl-C is pressed: no line of the log breaks the panel."""
    run = new_run(2)
    Feed(run.bootstrap, run.input, 2).send(made_records(5_000))
    flags = ("--unmarshallers", "1", "--aggregators", "1")
    with Terminal(command(run, *flags), size=(100, 30)) as terminal:
        terminal.wait_for("reaching Kafka at")
        terminal.wait_for("nothing: read to the end")
        terminal.wait_for("2016-07-11 13:40:10")
        os.kill(children(terminal.pid)[0], signal.SIGKILL)
        terminal.wait_for("WARNING  unmarshaller-0 (process")
        terminal.press(b"\x03")
        assert terminal.wait() == 0, terminal.picture.text
    shown = terminal.picture.text.splitlines()
    title = next(n for n, line in enumerate(shown) if line.startswith(f"streamagg  {run.input} → "))
    assert shown[title].split()[-2] == "ended"
    labels = [line[:12].strip() for line in shown[title + 3 : title + 9]]
    assert labels == ["rate", "to read", "event time", "counted", "late", "rejected"]
    assert sum("unmarshaller-0 (process" in line for line in shown) == 1
    assert shown[-2].startswith("5,000 records in ")
    assert shown[-1].startswith("counted ")
    assert all("WARNING" in line for line in shown[:title]), "warnings that others have replaced"
    assert len(shown) - title < 30 + 2, "a panel and two lines"


@pytest.mark.parametrize(
    ("flags", "env"),
    [(("--plain",), {}), ((), {"CI": "true"}), ((), {"TERM": "dumb"}), (("--log-format", "human"), {})],
)
def test_lines_where_they_are_wanted(
    new_run: RunFactory, flags: tuple[str, ...], env: dict[str, str]
) -> None:
    run = new_run(1)
    Feed(run.bootstrap, run.input).send(made_records(2_000))
    with Terminal(command(run, "--until-end", "--inline", *flags), env) as terminal:
        assert terminal.wait() == 0, terminal.picture.text
    assert "\x1b" not in terminal.written
    lines = terminal.picture.text.splitlines()
    assert any("INFO    leading: reading 1 partition" in line for line in lines)
    assert lines[-2].startswith("2,000 records in ")


def test_a_run_that_cannot_begin_leaves_one_sentence(new_run: RunFactory) -> None:
    run = new_run(1)
    with Terminal(command(run, "--no-create-topics", "--output", "nowhere"), size=(100, 30)) as terminal:
        assert terminal.wait() == 2
    (line,) = terminal.picture.text.splitlines()
    assert line.startswith("streamagg: The topic nowhere")
