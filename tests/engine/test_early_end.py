"""Files that are not read to their ends: what was counted until then comes out, and says what it is."""

import bz2
import gzip
import io
import itertools
import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import pytest

from streamagg.core.windows import Windows
from streamagg.engine.count import count
from streamagg.engine.early_end import EarlyEnd
from streamagg.engine.reporting.stats import RunStats
from streamagg.errors import FileUnreadable, SettingsError
from streamagg.model.results import WindowTable
from streamagg.model.settings import CountSettings, PipelineSettings, WindowSettings
from streamagg.sinks.callback import Emit

WINDOW = WindowSettings(10_000, max_lag_ms=0, max_jump_ms=15_000)
INLINE = PipelineSettings(inline=True)
BOTH = pytest.mark.parametrize("as_run", [True, False], ids=["as-run", "any-order"])


def lines(*times_s: int) -> bytes:
    return b"".join(b'{"ts":%d,"uid":"u%d"}\n' % (time_s, n) for n, time_s in enumerate(times_s))


class Written:
    """The windows that came out, as (number, unique, partial)."""

    def __init__(self, then: Callable[[], None] = lambda: None) -> None:
        self.windows: list[tuple[int, int, bool]] = []
        self._then = then

    def __call__(self, windows: Windows, counts: Sequence[WindowTable]) -> None:
        self.windows += [(count.window, count.users.number, count.partial) for count in counts]
        self._then()


def run(files: Sequence[Path | str], emit: Emit, ending: EarlyEnd | None, as_run: bool) -> RunStats:
    settings = CountSettings(tuple(map(str, files)), WINDOW, as_run=as_run, pipeline=INLINE)
    return count(settings, emit, ending)


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[BinaryIO]:
    """Where to write what comes as standard input."""
    reading, writing = os.pipe()
    with open(reading, "rb") as end, open(writing, "wb", buffering=0) as out:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(end))
        yield out


class WhenDrained(EarlyEnd):
    """Asks for the end as soon as nothing is left to read."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._poll.register(sys.stdin.fileno(), select.POLLIN)
        super().__init__()

    @property
    def requested(self) -> bool:
        return not self._poll.poll(0)

    @requested.setter
    def requested(self, asked: bool) -> None:
        assert not asked


class AfterTurns(EarlyEnd):
    """Asks for the end at that look."""

    def __init__(self, turns: int) -> None:
        self._looks = iter(range(turns))
        super().__init__()

    @property
    def requested(self) -> bool:
        return next(self._looks, None) is None

    @requested.setter
    def requested(self, asked: bool) -> None:
        assert not asked


def test_a_window_that_has_closed_does_not_wait_for_more_to_come(pipe: BinaryIO) -> None:
    """The pipe is closed only when the window is out."""
    # So many, that the first of them is confirmed.
    pipe.write(lines(1, *[2] * 24, 11, 12) + b'{"ts":')
    written = Written(pipe.close)
    stats = run(["-"], written, None, as_run=True)
    assert written.windows == [(0, 25, False), (1, 2, False)]
    assert (stats.counted, stats.rejected) == (27, {"bad_json": 1})


@BOTH
def test_what_a_pipe_has_delivered_is_counted_when_the_end_is_asked_for(as_run: bool, pipe: BinaryIO) -> None:
    """
    records   1s 2s   11s           nobody closes the pipe
    windows   |--0--|  |--1-- ...
    """
    pipe.write(lines(1, 2, 11) + b'{"ts":12,"uid":"half')
    written, ending = Written(), WhenDrained()
    stats = run(["-"], written, ending, as_run)
    assert [(window, unique) for window, unique, _ in written.windows] == [(0, 2), (1, 1)]
    assert written.windows[-1][2]
    assert stats.counted == stats.records == 3
    with pytest.raises(KeyboardInterrupt):
        ending.judge()


def test_a_file_that_waits_for_a_silent_pipe_is_counted_all_the_same(pipe: BinaryIO, tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(lines(1, 2, 11))
    written = Written()
    stats = run(["-", path], written, AfterTurns(20), as_run=True)
    assert sum(unique for _, unique, _ in written.windows) == stats.counted == 3
    assert all(partial for _, _, partial in written.windows)


@BOTH
def test_damage_ends_one_file_and_no_other(as_run: bool, tmp_path: Path) -> None:
    bad, good = tmp_path / "bad", tmp_path / "good"
    bad.write_bytes(gzip.compress(lines(1, 2, 3))[:-5])
    good.write_bytes(lines(4, 5, 11, 12, 13))
    written, ending = Written(), EarlyEnd()
    stats = run([bad, good], written, ending, as_run)
    assert written.windows == [(0, 3, True), (1, 3, True)]
    assert stats.counted == stats.records == 8
    with pytest.raises(FileUnreadable, match=r"bad is damaged or cut short .* marked as partial"):
        ending.judge()
    with pytest.raises(FileUnreadable):
        run([bad, good], Written(), None, as_run)


def test_an_interruption_when_all_is_read_makes_no_window_partial(tmp_path: Path) -> None:
    """In any order they come out in batches: the first one is out."""
    path = tmp_path / "f"
    path.write_bytes(lines(*range(0, 30_000, 10)))
    ending = EarlyEnd()
    written = Written(lambda: None if ending.requested else ending(signal.SIGINT, None))
    run([path], written, ending, as_run=False)
    assert len(written.windows) == 3_000
    assert not any(partial for _, _, partial in written.windows)


@BOTH
def test_another_format_is_refused_before_anything_is_counted(as_run: bool, tmp_path: Path) -> None:
    path = tmp_path / "f"
    for content in (bz2.compress(b"{}"), gzip.compress(bz2.compress(b"{}"))):
        path.write_bytes(content)
        written = Written()
        with pytest.raises(SettingsError, match="bzip2"):
            run([path], written, EarlyEnd(), as_run)
        assert written.windows == []


@BOTH
@pytest.mark.usefixtures("processes")
def test_processes_end_when_they_are_asked_to(as_run: bool, tmp_path: Path) -> None:
    """The file is a pipe that has no end before that, so that none of them can have read all of it."""
    path, ending = tmp_path / "f", EarlyEnd()
    os.mkfifo(path)

    def ask() -> None:
        ending.requested = True

    written = Written(ask)
    if not as_run:
        # Nothing comes out before the end: the first look is the time to ask.
        ending.requested = True
    feeder = threading.Thread(target=_feed, args=(path,))
    feeder.start()
    settings = CountSettings((str(path),), WINDOW, as_run=as_run, pipeline=PipelineSettings(2, 1))
    stats = count(settings, written, ending)
    feeder.join()
    assert stats.counted == stats.records - sum(stats.rejected.values())
    assert all(partial for _, _, partial in written.windows[1:])


def _feed(path: Path) -> None:
    """Records of one second after the other, until nobody reads any more."""
    with suppress(BrokenPipeError), path.open("wb", buffering=0) as out:
        for second in itertools.count():
            out.write(lines(*[second] * 1_000))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_prints_what_was_counted(number: int) -> None:
    command = [sys.executable, "-m", "streamagg", "count", "-", "--format", "jsonl"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as counting:
        assert counting.stdin is not None
        reader = select.poll()
        # Writable once more than a page of a full pipe has been read.
        os.set_blocking(counting.stdin.fileno(), False)
        written = 0
        block = lines(*[1] * 100)
        reader.register(counting.stdin.fileno(), select.POLLOUT)
        while written < 1 << 18:
            reader.poll()
            written += os.write(counting.stdin.fileno(), block)
        counting.send_signal(number)
        out, err = counting.communicate(timeout=60)
    assert counting.returncode == 130
    (window,) = map(json.loads, out.splitlines())
    assert window["cnt"] == 100
    assert window["partial"]
    assert b"interrupted" in err


def test_signals_that_the_parent_has_told_to_be_ignored_stay_so() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with EarlyEnd().installed():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_the_second_signal_ends_at_once() -> None:
    ending, before = EarlyEnd(), signal.getsignal(signal.SIGTERM)
    with ending.installed():
        signal.raise_signal(signal.SIGTERM)
        assert ending.requested
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGTERM) is before
