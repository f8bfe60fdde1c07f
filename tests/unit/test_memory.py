"""Between sessions memory goes back to the system, cycles without a collector too."""

import gc
import subprocess
import sys
import weakref

import pytest

from streamagg.pipeline.memory import give_back


class Node:
    """May refer to itself."""

    other: object = None


def test_what_refers_to_itself_is_collected_where_nobody_collects() -> None:
    gc.disable()
    try:
        node = Node()
        node.other, gone = node, weakref.ref(node)
        del node
        assert gone() is not None
        give_back()
        assert gone() is None
    finally:
        gc.enable()


@pytest.mark.skipif(sys.platform != "linux", reason="resident memory is read from /proc")
def test_free_memory_goes_back() -> None:
    """Pieces too small to be mapped by themselves, and one behind them that stays."""
    code = """
from streamagg.pipeline.memory import give_back
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
