"""The demo: what it sends, what it shows, that it finds a difference, and that nothing is left of it."""

import io
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from rich.console import Console

from streamagg import demo
from streamagg.demo import page
from streamagg.demo.board import Board
from streamagg.demo.feed import MOST_AHEAD, SPEED, WINDOW, Feed
from streamagg.demo.pipeline import Counters
from streamagg.errors import DataDiffers
from streamagg.kafka.embedded import PARTITIONS, embedded_broker
from streamagg.model.settings import KafkaSettings
from streamagg.tools.comparison import Verification, compare
from streamagg.tools.published import Count, Published

MINUTE_MS = 60_000
END_TIMEOUT_S = 60.0


def rows(*numbers: int) -> list[Published]:
    return [Published(n * MINUTE_MS, Count(10 * n, 20 * n), False) for n in numbers]


def terminal(*, width: int = 80, height: int = 24) -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=width, height=height, color_system=None)


def printed(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_without_a_terminal_each_window_is_one_plain_line_in_order() -> None:
    console = Console(file=io.StringIO(), width=80, highlight=False)
    with Board(console) as board:
        board.phase("begins")
        board.add(rows(1))
        board.add(rows(3))
        board.add(rows(2))
        board.refresh()
    lines = printed(console).splitlines()
    assert lines[2] == "begins"
    assert [line[:5] for line in lines[3:]] == ["00:01", "00:02", "00:03"]
    assert lines[-1].split() == ["00:03", "30", "unique", "users", "60", "records"]
    assert "\x1b" not in printed(console)


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40), (60, 12)])
def test_the_screen_fits_the_terminal(width: int, height: int) -> None:
    console = terminal(width=width, height=height)
    board = Board(console)
    board.add(rows(*range(1, 31)))
    board.status(Counters(1.0, 1_000_000, 1_000, 1_000, 2))
    console.print(board._screen())
    lines = printed(console).splitlines()
    assert len(lines) < height
    assert max(map(len, lines)) <= width
    assert any(line.startswith("00:30 ") for line in lines)


def test_the_screen_shows_the_countries_of_the_last_minute() -> None:
    board = Board(terminal())
    for minute, country, users in ((1, "DE", 9), (2, "FR", 3), (2, "US", 7), (1, "US", 8)):
        board.add([Published(minute * MINUTE_MS, Count(users, users), False, group=(country,))])
    assert board._countries() == "00:02 by country: US 7   FR 3"


def test_the_screen_shows_the_rate_of_the_last_seconds() -> None:
    board = Board(terminal())
    for second in range(10):
        board.status(Counters(float(second), second * second, 0, 0, 0))
    assert board._counters().startswith("15 records/s")


@pytest.fixture
def kafka() -> Iterator[KafkaSettings]:
    with embedded_broker(["records"]) as bootstrap:
        yield KafkaSettings(bootstrap)


def test_the_feed_waits_until_records_are_due(kafka: KafkaSettings) -> None:
    feed = Feed(kafka, "records", PARTITIONS, 2)
    feed.send(0, None)
    first = feed.sent
    feed.send(0, None)
    assert 0 < first == feed.sent
    feed.send(1, None)
    assert feed.sent > first


def test_the_feed_waits_for_the_pipeline(kafka: KafkaSettings) -> None:
    """What waits too long in the embedded broker is lost."""
    feed = Feed(kafka, "records", PARTITIONS, 10)
    for _ in range(200):
        feed.send(1_000, None)
    windows = feed.windows
    assert windows <= MOST_AHEAD + 1
    feed.send(1_000, (min(feed.recount.windows) // MINUTE_MS + 1) * MINUTE_MS)
    feed.send(1_000, (min(feed.recount.windows) // MINUTE_MS + 1) * MINUTE_MS)
    assert feed.windows > windows


def test_the_feed_ends_with_a_minute_and_holds_every_kind_of_record(kafka: KafkaSettings) -> None:
    feed = Feed(kafka, "records", PARTITIONS, 3)
    while not feed.ended:
        feed.send(3 * 60 / SPEED, max(feed.recount.windows, default=None))
    assert feed.windows == 3
    assert feed.sent == feed.recount.consumed
    assert feed.recount.late > 0
    assert set(feed.recount.rejected) > {"bad_json", "future"}


@pytest.mark.slow
def test_the_whole_demo_agrees_with_its_recount(capsys: pytest.CaptureFixture[str]) -> None:
    demo.run_demo(minutes=3, with_page=False)
    shown = capsys.readouterr().out
    assert "OK  18 of 18 counts equal an independent recount" in shown
    assert "unique users" in shown
    assert " bytes\n" in shown
    assert shown.count("\x1b") == 0


@pytest.mark.slow
def test_a_difference_is_shown_and_is_an_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def compare_with_one_more(
        settings: object, recount: object, outputs: object, seconds: float
    ) -> Verification:
        window = next(iter(feed_windows(recount)))
        window.users.add("somebody else")
        return compare(settings, recount, outputs, seconds)  # type: ignore[arg-type]

    def feed_windows(recount: object) -> Iterator[object]:
        return iter(recount.windows.values())  # type: ignore[attr-defined]

    monkeypatch.setattr(demo, "compare", compare_with_one_more)
    with pytest.raises(DataDiffers):
        demo.run_demo(minutes=1, with_page=False)
    shown = capsys.readouterr().out
    assert "DIFFERENT  5 of 6 counts" in shown
    assert "different: window" in shown


def descendants(pid: int) -> list[int]:
    children: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        # A thread that has ended meanwhile has started nothing that lives on.
        with suppress(FileNotFoundError):
            children += map(int, (task / "children").read_text().split())
    return [*children, *(below for child in children for below in descendants(child))]


def wait_for_line(process: subprocess.Popen[bytes], text: str) -> str:
    assert process.stdout is not None
    deadline = time.monotonic() + END_TIMEOUT_S
    seen = b""
    while text.encode() not in seen:
        assert select.select([process.stdout], [], [], max(0, deadline - time.monotonic()))[0], seen
        chunk = os.read(process.stdout.fileno(), 4096)
        assert chunk, seen
        seen += chunk
    return seen.decode()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_leaves_no_process(number: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "streamagg", "demo", "--no-page"], stdout=subprocess.PIPE
    )
    try:
        wait_for_line(process, "is sent each second")
        family = descendants(process.pid)
        assert len(family) == 5
        process.send_signal(number)
        assert process.wait(END_TIMEOUT_S) == 130
        assert [pid for pid in family if Path(f"/proc/{pid}").exists()] == []
    finally:
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_it_leaves_a_page_that_shows_what_it_published() -> None:
    """Until Ctrl-C, which is no error then."""
    command = "from streamagg.demo import run_demo; run_demo(minutes=2)"
    process = subprocess.Popen([sys.executable, "-c", command], stdout=subprocess.PIPE)
    try:
        shown = wait_for_line(process, ", Ctrl-C to stop\n")
        (url,) = re.findall(r"the page is at (http://127\.0\.0\.1:\d+), Ctrl-C", shown)
        with urllib.request.urlopen(url + "/v1/windows?from=0", timeout=END_TIMEOUT_S) as answer:
            windows = json.load(answer)["windows"]
        assert len(windows) == 2
        assert windows[0]["cnt"] > 0
        family = descendants(process.pid)
        process.send_signal(signal.SIGINT)
        assert process.wait(END_TIMEOUT_S) == 0
        assert [pid for pid in family if Path(f"/proc/{pid}").exists()] == []
    finally:
        process.kill()
        process.communicate()


def test_without_the_packages_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "find_spec", lambda name: None)
    assert "pip install 'streamagg[serve]'" in (page.missing() or "")


def test_windows_of_the_demo_are_the_defaults() -> None:
    """The page and the title say minutes."""
    assert WINDOW.granularity_ms == MINUTE_MS
