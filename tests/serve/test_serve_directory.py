"""An output directory that is followed: only what its manifest says is read, each line once."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from streamagg.errors import FileUnreadable
from streamagg.serve.follow import directory as following
from streamagg.serve.follow.directory import DirectoryFollowed
from streamagg.serve.records import parse
from streamagg.serve.store.store import Position
from tests.support.published_history import EPOCH_S


class Directory:
    """An output directory, published to line by line."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files: dict[str, list[dict[str, Any]]] = {}
        self.commit = 0

    def write(self, day: str, name: str, *lines: bytes, more: bytes = b"") -> None:
        """Lines that count, and what stands behind them."""
        path = f"jsonl/day={day}/{name}.jsonl"
        whole = self.root / path
        whole.parent.mkdir(parents=True, exist_ok=True)
        entries = self.files.setdefault(day, [])
        if not entries or entries[-1]["path"] != path:
            entries.append({"path": path, "bytes": 0, "records": 0, "publications": 1})
        before = whole.read_bytes()[: entries[-1]["bytes"]] if whole.exists() else b""
        added = b"".join(line + b"\n" for line in lines)
        whole.write_bytes(before + added + more)
        entries[-1]["bytes"] += len(added)
        entries[-1]["records"] += len(lines)

    def publish(self) -> None:
        """By one rename, as the sink does."""
        self.commit += 1
        days = {day: {"jsonl": entries, "parquet": []} for day, entries in self.files.items()}
        new = self.root / ".manifest.json"
        new.write_text(json.dumps({"v": 1, "group": "g", "epoch": 1, "commit": self.commit, "days": days}))
        new.rename(self.root / "manifest.json")


@pytest.fixture
def published(tmp_path: Path) -> Directory:
    return Directory(tmp_path)


def read(followed: DirectoryFollowed, positions: dict[Position, str] | None = None) -> list[bytes]:
    """All that there is."""
    found: list[bytes] = []
    while True:
        delivery = followed.poll(0)
        found += delivery.values
        if positions is not None:
            positions.update(delivery.positions)
        if not delivery.positions:
            assert followed.behind == 0
            return found


def test_only_what_the_manifest_says(published: Directory) -> None:
    published.write("2016-07-11", "1-1", b"a", b"b", more=b"not yet published\n")
    published.publish()
    followed = DirectoryFollowed(str(published.root), {})
    assert followed.behind == 2
    assert read(followed) == [b"a", b"b"]
    published.write("2016-07-11", "1-1", b"c", more=b"half a li")
    assert read(followed) == []
    published.write("2016-07-12", "1-2", b"d")
    published.write("2016-07-11", "2-1", b"e")
    published.publish()
    assert read(followed) == [b"c", b"e", b"d"]


def test_it_goes_on_where_it_was(published: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever it was ended: after each line."""
    monkeypatch.setattr(following, "MOST_BYTES", 1)
    lines = [b"%d" % number * (number % 3 + 1) for number in range(40)]
    found: list[bytes] = []
    positions: dict[Position, str] = {}
    for number, line in enumerate(lines):
        published.write(f"2016-07-{11 + number // 15}", f"1-{number // 7}", line)
        published.publish()
        if number % 3 == 2:
            delivery = DirectoryFollowed(str(published.root), positions).poll(0)
            found += delivery.values
            positions.update(delivery.positions)
    found += read(DirectoryFollowed(str(published.root), positions), positions)
    assert found == lines
    assert read(DirectoryFollowed(str(published.root), positions)) == []


def test_days_that_are_removed_and_a_directory_made_anew(published: Directory) -> None:
    for number in range(5):
        published.write(f"2016-07-1{number}", "1-1", b"%d" % number)
        published.publish()
    positions: dict[Position, str] = {}
    followed = DirectoryFollowed(str(published.root), positions)
    assert read(followed, positions) == [b"0", b"1", b"2", b"3", b"4"]
    del published.files["2016-07-10"]
    published.publish()
    assert read(followed) == []
    again = Directory(published.root)
    again.write("2016-07-14", "1-1", b"x")
    again.publish()
    assert read(DirectoryFollowed(str(published.root), positions)) == [b"x"]


@pytest.mark.parametrize("manifest", [None, b"", b"[]", b'{"v":1}', b'{"v":2,"commit":1,"days":{}}'])
def test_what_is_no_manifest_is_told(tmp_path: Path, manifest: bytes | None) -> None:
    if manifest is not None:
        (tmp_path / "manifest.json").write_bytes(manifest)
    with pytest.raises(FileUnreadable, match=r"manifest\.json"):
        DirectoryFollowed(str(tmp_path), {})


def test_what_run_writes(tmp_path: Path) -> None:
    """Two runs, one after the other, and what is stored is what they published."""
    lines = [
        json.dumps(
            {"ts": EPOCH_S + number * 7, "uid": f"u{number % 50}", "country": "DE" if number % 3 else None}
        )
        for number in range(400)
    ]
    output = tmp_path / "counts"
    command = [sys.executable, "-m", "streamagg", "run", "--input", "-", "--output", f"dir:{output}"]
    command += ["--group-by", "country", "--calendar", "15m", "--inline"]
    positions: dict[Position, str] = {}
    found: list[bytes] = []
    for part in (lines[:200], lines[200:]):
        subprocess.run(command, input="\n".join(part), text=True, check=True, capture_output=True)
        found += read(DirectoryFollowed(str(output), positions), positions)
    written = b"".join(path.read_bytes() for path in sorted(output.glob("jsonl/*/*")))
    assert found == written.splitlines()
    parsed = parse(found)
    assert parsed.unreadable == 0
    assert {rows.calendar for rows in parsed.rows} == {"window", "15m"}
    assert set(parsed.rows[0].groups) == {None, b'["DE"]', b"[null]"}
