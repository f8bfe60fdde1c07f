"""The clock that can be set, seen from a process that runs with it."""

import os
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.clock.shifted import ShiftedClock, compiler

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux") or compiler() is None,
    reason="the shifted clock needs Linux, glibc and a C compiler",
)
HOUR_S = 3_600
PATIENCE_S = 30
STILL_S = 1.5
"""Long enough to tell that nothing happens."""
TIMED_OUT = {"pthread_cond": "110", "cnd": "4"}
WAITS = pytest.mark.parametrize("kind", list(TIMED_OUT))

CLOCKS = """
import sys, threading, time
for line in sys.stdin:
    before = time.monotonic()
    threading.Event().wait(0.1)
    print(int(time.time()), time.monotonic() - before, flush=True)
"""
WAITING = """
import ctypes, sys, threading, time
kind, seconds = sys.argv[1], float(sys.argv[2])
libc = ctypes.CDLL(None)
condition, mutex = ctypes.create_string_buffer(48), ctypes.create_string_buffer(40)
lock = libc.mtx_lock if kind == "cnd" else libc.pthread_mutex_lock
unlock = libc.mtx_unlock if kind == "cnd" else libc.pthread_mutex_unlock
wait, signal = getattr(libc, kind + "_timedwait"), getattr(libc, kind + "_signal")
until = (ctypes.c_long * 2)(*divmod(int((time.time() + seconds) * 10**9), 10**9))

def signals():
    for line in sys.stdin:
        lock(mutex)
        # The waiter's slice ends meanwhile, so that the signal falls between two of them.
        time.sleep(0.2)
        signal(condition)
        unlock(mutex)

threading.Thread(target=signals, daemon=True).start()
lock(mutex)
print("waiting", flush=True)
print(wait(condition, mutex, until), flush=True)
unlock(mutex)
"""


class Child:
    """A Python of its own, to which lines are said."""

    def __init__(self, clock: ShiftedClock, program: str, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", program, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **clock.env},
        )

    def say(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def answers(self, within_s: float = PATIENCE_S) -> str | None:
        """Its next line, if there is one in time."""
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], within_s)
        return self.process.stdout.readline().strip() if ready else None


@pytest.fixture
def clock(tmp_path: Path) -> ShiftedClock:
    return ShiftedClock(tmp_path)


@pytest.fixture
def children() -> Iterator[list[Child]]:
    started: list[Child] = []
    yield started
    for child in started:
        child.process.kill()
        child.process.communicate()


def waiting(clock: ShiftedClock, children: list[Child], kind: str, seconds: float) -> Child:
    """A child in the middle of a wait of so many seconds."""
    child = Child(clock, WAITING, kind, str(seconds))
    children.append(child)
    assert child.answers() == "waiting"
    return child


@pytest.mark.parametrize("ahead_s", [HOUR_S, -HOUR_S])
def test_the_time_of_day_jumps_and_nothing_else(
    clock: ShiftedClock, children: list[Child], ahead_s: int
) -> None:
    children.append(Child(clock, CLOCKS))
    seen = []
    for shift_s in (0, ahead_s, 0):
        clock.set(shift_s)
        children[0].say()
        now_s, slept_s = (children[0].answers() or "").split()
        seen.append(int(now_s))
        assert 0.1 <= float(slept_s) < PATIENCE_S
    assert abs(seen[1] - seen[0] - ahead_s) < PATIENCE_S
    assert abs(seen[2] - seen[0]) < PATIENCE_S


@WAITS
def test_a_clock_set_back_lengthens_a_wait(clock: ShiftedClock, children: list[Child], kind: str) -> None:
    child = waiting(clock, children, kind, 0.5)
    clock.set(-HOUR_S)
    assert child.answers(STILL_S) is None
    clock.set(0)
    assert child.answers() == TIMED_OUT[kind]


@WAITS
def test_a_clock_set_forth_ends_a_wait(clock: ShiftedClock, children: list[Child], kind: str) -> None:
    child = waiting(clock, children, kind, HOUR_S)
    assert child.answers(STILL_S) is None
    clock.set(2 * HOUR_S)
    assert child.answers() == TIMED_OUT[kind]


@WAITS
def test_a_signal_is_never_lost(clock: ShiftedClock, children: list[Child], kind: str) -> None:
    child = waiting(clock, children, kind, HOUR_S)
    child.say()
    assert child.answers() == "0"


def test_it_does_not_run_unnoticed_with_a_true_clock(clock: ShiftedClock, tmp_path: Path) -> None:
    environment = {**os.environ, **clock.env, "SHIFTED_CLOCK": str(tmp_path / "missing")}
    ended = subprocess.run([sys.executable, "-c", ""], env=environment, check=False)
    assert ended.returncode < 0
