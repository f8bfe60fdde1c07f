"""Changes of a tree are told."""

import sys
from pathlib import Path
from threading import Event

import pytest

from streamagg.errors import FileUnreadable
from streamagg.sources.directory.watch import watch

PATIENCE_S = 20


def test_changes_are_told(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    looked = Event()
    watch(str(tmp_path), looked.set)
    for change in (
        lambda: (tmp_path / "a" / "x").write_bytes(b"1\n"),
        lambda: (tmp_path / "a" / "x").rename(tmp_path / "a" / "y"),
        lambda: (tmp_path / "b").mkdir(),
    ):
        looked.clear()
        change()
        assert looked.wait(PATIENCE_S)


def test_a_look_that_fails_is_not_the_last(tmp_path: Path) -> None:
    looked, looks = Event(), list[int]()

    def look() -> None:
        looks.append(1)
        looked.set()
        raise FileUnreadable("no")

    watch(str(tmp_path), look)
    for name in ("x", "y"):
        looked.clear()
        (tmp_path / name).write_bytes(b"1\n")
        assert looked.wait(PATIENCE_S)
    assert len(looks) >= 2


def test_without_the_package_nothing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "watchdog", None)
    watch(str(tmp_path), lambda: pytest.fail("nobody tells"))
    (tmp_path / "x").write_bytes(b"1\n")
