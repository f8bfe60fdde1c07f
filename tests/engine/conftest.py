"""Fixtures of the engine's tests."""

import pytest

from streamagg.engine.workers import open as opening


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever there is to read is worth processes."""
    monkeypatch.setitem(opening._WORTH, "bytes", 0)
