"""What systemd hears, at a real datagram socket."""

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from streamagg.telemetry.notify import Notifier
from tests.support.clock import Clock


@dataclass
class Systemd:
    """The other end."""

    socket: socket.socket
    environ: dict[str, str]

    def heard(self) -> list[str]:
        lines = []
        while True:
            try:
                lines.append(self.socket.recv(4096, socket.MSG_DONTWAIT).decode())
            except BlockingIOError:
                return lines


@pytest.fixture(params=["file", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Systemd]:
    name = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        abstract = request.param == "abstract"
        listener.bind(f"\0{name}" if abstract else name)
        yield Systemd(listener, {"NOTIFY_SOCKET": f"@{name}" if abstract else name})


def test_the_start_and_the_end_are_told_once(systemd: Systemd) -> None:
    notifier = Notifier(systemd.environ)
    for _ in range(2):
        notifier.ready()
        notifier.status("standby")
        notifier.stopping()
        notifier.beat()
    notifier.close()
    assert systemd.heard() == ["READY=1", "STATUS=standby", "STOPPING=1", "STATUS=standby"]


@pytest.mark.parametrize(("patience_us", "every_s"), [("8000000", 4), ("90000000", 5)])
def test_the_watchdog_is_fed_in_time(systemd: Systemd, patience_us: str, every_s: int) -> None:
    clock = Clock(100.0)
    notifier = Notifier({**systemd.environ, "WATCHDOG_USEC": patience_us}, clock)
    beats = []
    for _ in range(100):
        clock.seconds += 1
        notifier.beat()
        beats += [(clock.seconds - 101, line) for line in systemd.heard()]
    notifier.close()
    assert beats == [(at, "WATCHDOG=1") for at in range(0, 100, every_s)]


@pytest.mark.parametrize(
    "environ",
    [{}, {"WATCHDOG_USEC": "soon"}, {"WATCHDOG_USEC": "1", "WATCHDOG_PID": str(os.getppid())}],
    ids=["none", "nonsense", "of another process"],
)
def test_a_watchdog_that_does_not_look_at_us_hears_nothing(systemd: Systemd, environ: dict[str, str]) -> None:
    notifier = Notifier({**systemd.environ, **environ})
    notifier.beat()
    notifier.close()
    assert systemd.heard() == []


def test_a_watchdog_that_looks_at_us(systemd: Systemd) -> None:
    notifier = Notifier({**systemd.environ, "WATCHDOG_USEC": "1", "WATCHDOG_PID": str(os.getpid())})
    notifier.beat()
    notifier.close()
    assert systemd.heard() == ["WATCHDOG=1"]


def test_without_systemd_nothing_happens() -> None:
    notifier = Notifier({})
    notifier.ready()
    notifier.beat()
    notifier.close()


def test_a_systemd_that_is_gone_disturbs_nobody(tmp_path: Path) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone"), "WATCHDOG_USEC": "2"})
    notifier.ready()
    notifier.beat()
    notifier.close()


def test_a_systemd_that_does_not_read_holds_nobody_up(systemd: Systemd) -> None:
    """A full queue would block forever."""
    notifier = Notifier(systemd.environ)
    for number in range(10_000):
        notifier.status(str(number))
    notifier.close()
    assert systemd.heard()[0] == "STATUS=0"
