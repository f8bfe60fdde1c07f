"""Memory goes back to the system once a minute, what refers to itself where nobody collects too."""

import gc
import subprocess
import sys
import weakref

import pytest

from streamagg.engine.workers import memory
from streamagg.engine.workers.memory import Tidiness, collected_rarely, give_back


class Node:
    """May refer to itself."""

    other: object = None


def test_what_refers_to_itself_is_collected_where_nobody_collects() -> None:
    with collected_rarely():
        node = Node()
        node.other, gone = node, weakref.ref(node)
        del node
        assert gone() is not None
        assert not gc.isenabled()
        give_back()
        assert gone() is None
    assert gc.isenabled()


@pytest.mark.skipif(sys.platform != "linux", reason="resident memory is read from /proc")
def test_free_memory_goes_back() -> None:
    """Pieces too small to be mapped by themselves, and one behind them that stays."""
    code = """
from streamagg.engine.workers.memory import give_back
from streamagg.telemetry.process import rss_bytes
pieces = [b"x" * 50_000 for _ in range(1_000)]
keep = b"x" * 50_000
del pieces
before = rss_bytes()
give_back()
print(before - rss_bytes())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=60)
    assert int(done.stdout) > 40_000_000


def test_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    now, given = [0.0], []
    monkeypatch.setattr(memory, "monotonic", lambda: now[0])
    monkeypatch.setattr(memory, "give_back", lambda: given.append(now[0]))
    tidiness = Tidiness()
    for now[0] in (0.0, 59.9, 60.0, 60.1, 119.9, 120.0):
        tidiness.keep()
    assert given == [60.0, 120.0]
