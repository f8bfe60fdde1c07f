"""Lines of the log, for people and for programs, and what is left out when a cause repeats itself."""

import json
import logging
import re
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import pytest

from streamagg.events import Log
from streamagg.telemetry import logs, rate_limit
from streamagg.telemetry.rate_limit import MOST, PERIOD_S, LeftOut, Limiter
from tests.support.clock import Clock
from tests.support.instances import wait_until

ENOUGH_S = 60


class Written:
    """What was logged so far."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self._text = ""

    @property
    def lines(self) -> list[str]:
        self._text += self._capsys.readouterr().err
        return self._text.splitlines()

    @property
    def objects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]


@pytest.fixture
def stderr(capsys: pytest.CaptureFixture[str]) -> Written:
    return Written(capsys)


LOG = Log("streamagg.some.module")


def test_a_line_for_programs(stderr: Written) -> None:
    before = datetime.now(UTC)
    logs.setup("info", "json")
    LOG.warning("worker_lost", "{worker}\nis gone: “{why}”", worker="a-0", why="ß", pid=7, error=OSError("x"))
    (line,) = stderr.objects
    at = datetime.fromisoformat(str(line.pop("ts")))
    assert at.utcoffset() is not None
    assert abs((at - before).total_seconds()) < ENOUGH_S
    assert line == {
        "level": "warning",
        "event": "worker_lost",
        "message": "a-0\nis gone: “ß”",
        "logger": "streamagg.some.module",
        "fields": {"worker": "a-0", "why": "ß", "pid": 7, "error": "x"},
    }
    assert len(stderr.lines) == 1


def test_times_are_utc_with_milliseconds(stderr: Written) -> None:
    logs.setup("info", "json")
    record = logging.makeLogRecord({"name": "streamagg.x", "levelno": 20, "levelname": "INFO", "msg": "m"})
    record.created = 1_468_244_384.0004
    logging.getLogger("streamagg.x").handle(record)
    (line,) = stderr.objects
    assert line["ts"] == "2016-07-11T13:39:44.000Z"
    assert (line["event"], line["fields"]) == ("other", {})


def test_a_line_for_people(stderr: Written) -> None:
    logs.setup("info", "human")
    LOG.info("leading", "leading: {topic}", topic="t")
    (line,) = stderr.lines
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d INFO    leading: t", line)


def test_a_line_for_somebody_who_looks_for_a_defect(stderr: Written) -> None:
    logs.setup("debug", "human")
    LOG.info("leading", "leading: {topic}", topic="t")
    (line,) = stderr.lines
    assert line.endswith(" INFO    streamagg.some.module: leading: t")


def test_lines_below_the_level_are_not_written(stderr: Written) -> None:
    logs.setup("warning", "json")
    LOG.info("leading", "leading")
    LOG.error("failed", "failed")
    assert [line["event"] for line in stderr.objects] == ["failed"]


@pytest.mark.parametrize(
    ("wanted", "terminal", "form"),
    [
        ("auto", True, "human"),
        ("auto", False, "json"),
        ("human", False, "human"),
        ("json", True, "json"),
    ],
)
def test_the_form_is_for_whoever_reads(
    monkeypatch: pytest.MonkeyPatch, wanted: str, terminal: bool, form: str
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    assert logs.form_for(wanted) == form  # type: ignore[arg-type]


def test_the_form_in_force_is_known_to_workers(stderr: Written) -> None:
    for form in ("json", "human"):
        logs.setup("error", form)  # type: ignore[arg-type]
        assert (logs.level(), logs.form()) == ("error", form)


def test_what_a_handler_of_signals_tells_has_the_form_too() -> None:
    code = (
        "from streamagg.telemetry import logs\n"
        "logs.setup('info', 'human'); logs.tell('stopping', 'stopping ...')\n"
        "logs.setup('info', 'json'); logs.tell('stopping', 'stopping ...')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=ENOUGH_S)
    human, line = done.stderr.decode().splitlines()
    assert human == "stopping ..."
    assert {**json.loads(line), "ts": ""} == {
        "ts": "",
        "level": "info",
        "event": "stopping",
        "message": "stopping ...",
        "logger": "streamagg.telemetry.logs",
        "fields": {},
    }


def test_a_limiter_lets_a_few_lines_through_and_counts_the_others() -> None:
    clock = Clock()
    limiter = Limiter(clock)
    assert [limiter.admits("a") for _ in range(MOST + 3)] == [True] * MOST + [False] * 3
    assert limiter.admits("b"), "each event has a period of its own"
    assert limiter.ended() == []
    clock.seconds = PERIOD_S - 1
    assert limiter.next_end_s() == 1
    clock.seconds = PERIOD_S
    assert limiter.ended() == [LeftOut("a", 3)]
    assert limiter.ended() == []
    assert limiter.next_end_s() is None
    assert limiter.admits("a")


def test_a_limiter_that_ends_tells_everything() -> None:
    limiter = Limiter(Clock())
    for _ in range(MOST + 2):
        limiter.admits("a")
    limiter.admits("b")
    assert limiter.ended(all_of_them=True) == [LeftOut("a", 2)]


def test_every_line_is_written_or_counted() -> None:
    clock = Clock()
    limiter = Limiter(clock)
    written = told = 0
    for step in range(1_000):
        clock.seconds = step * 0.7
        told += sum(each.lines for each in limiter.ended())
        written += limiter.admits("a")
    told += sum(each.lines for each in limiter.ended(all_of_them=True))
    assert written + told == 1_000
    assert written < 1_000


def test_what_was_left_out_is_told_when_the_time_is_up(
    stderr: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a further line of anything."""
    monkeypatch.setattr(rate_limit, "PERIOD_S", 0.05)
    logs.setup("info", "json")
    for _ in range(MOST + 4):
        LOG.warning("broken", "again")
    wait_until(lambda: any("lines_left_out" in line for line in stderr.lines), "what was left out")
    lines = stderr.objects
    told = [line["fields"] for line in lines if line["event"] == "lines_left_out"]
    assert sum(each["lines"] for each in told) + len(lines) - len(told) == MOST + 4


def test_what_was_left_out_is_told_at_the_end(stderr: Written) -> None:
    logs.setup("info", "human")
    for _ in range(MOST + 4):
        LOG.warning("broken", "again")
    logs.close()
    *lines, last = stderr.lines
    assert len(lines) == MOST
    assert last.endswith("4 more lines of broken were left out")


def test_a_process_that_ends_tells_what_it_left_out() -> None:
    code = (
        "from streamagg.events import Log\nfrom streamagg.telemetry import logs\n"
        "logs.setup('info', 'human')\n"
        f"for _ in range({MOST + 2}): Log('streamagg.x').info('broken', 'again')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=ENOUGH_S)
    assert done.stderr.decode().splitlines()[-1].endswith("2 more lines of broken were left out")


def test_debug_leaves_nothing_out(stderr: Written) -> None:
    logs.setup("debug", "json")
    for _ in range(MOST + 4):
        LOG.debug("broken", "again")
    assert len(stderr.objects) == MOST + 4
