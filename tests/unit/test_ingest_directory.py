"""Files of records: finished ones only, in order of their names, with everything that was acknowledged."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from streamagg.errors import SettingsError
from streamagg.ingest.destinations import directory
from streamagg.ingest.destinations.contract import Body, NotWritten
from streamagg.ingest.destinations.directory import (
    MOST_FILE_BYTES,
    PART,
    SUFFIX,
    Directory,
    folder_of,
    name_of,
    prepared,
)
from tests.support.clock import Clock

NOON_S = 1_770_000_000.0


@pytest.fixture
def clock() -> Clock:
    return Clock(NOON_S)


def opened(path: Path, clock: Clock) -> Directory:
    return Directory(path, 1_000, clock)


def body(*records: bytes) -> Body:
    return Body(list(records))


def finished(path: Path) -> list[bytes]:
    return [file.read_bytes() for file in sorted(path.glob(f"*{SUFFIX}"))]


def parts(path: Path) -> list[bytes]:
    return [file.read_bytes() for file in sorted(path.glob(f"*{PART}"))]


def test_a_file_is_seen_when_it_is_old_enough(tmp_path: Path, clock: Clock) -> None:
    files = opened(tmp_path, clock)
    files.write([body(b"1", b"2"), body(), body(b"3")])
    clock.seconds += 0.9
    files.tidy()
    assert (finished(tmp_path), parts(tmp_path)) == ([], [b"1\n2\n3\n"])
    files.write([body(b"4")])
    clock.seconds += 0.1
    files.tidy()
    files.tidy()
    assert (finished(tmp_path), parts(tmp_path)) == ([b"1\n2\n3\n4\n"], [])


def test_or_large_enough(tmp_path: Path, clock: Clock) -> None:
    files = opened(tmp_path, clock)
    record = b"x" * (1 << 20)
    files.write([body(*[record] * (MOST_FILE_BYTES >> 20))])
    assert len(finished(tmp_path)) == 1


def test_or_when_the_end_has_come(tmp_path: Path, clock: Clock) -> None:
    files = opened(tmp_path, clock)
    files.close()
    assert finished(tmp_path) == []
    files.write([body(b"1")])
    files.close()
    assert finished(tmp_path) == [b"1\n"]


def test_names_are_in_order_even_if_the_clock_is_not(tmp_path: Path, clock: Clock) -> None:
    """And even if all that was written has been moved away."""
    names = []
    for step in (0, 0, -3_600, 7_200, 0):
        clock.seconds += step
        files = opened(tmp_path, clock)
        files.write([body(b"1")])
        files.close()
        (file,) = tmp_path.glob(f"*{SUFFIX}")
        names.append(file.name)
        file.unlink()
    assert names == sorted(set(names))
    assert len(names) == 5


def test_a_name_is_a_time() -> None:
    assert name_of(1_769_860_800_007) == "2026-01-31T12-00-00.007Z.jsonl"


@pytest.mark.parametrize(
    ("left", "kept"), [(b"1\n2\n", b"1\n2\n"), (b'1\n2\n{"a', b"1\n2\n"), (b"1", None), (b"", None)]
)
def test_what_a_killed_worker_left_is_finished(
    tmp_path: Path, clock: Clock, left: bytes, kept: bytes | None
) -> None:
    (tmp_path / (name_of(7) + PART)).write_bytes(left)
    opened(tmp_path, clock)
    assert finished(tmp_path) == ([] if kept is None else [kept])
    assert parts(tmp_path) == []


def test_a_last_line_without_end_may_be_long(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / (name_of(7) + PART)).write_bytes(b"1\n" + b"x" * 1_000_000)
    opened(tmp_path, clock)
    assert finished(tmp_path) == [b"1\n"]


@pytest.mark.parametrize("call", ["write", "fdatasync"])
def test_what_was_not_written_whole_is_cut_off(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """What was acknowledged before is there, and nothing of what was refused."""
    files = opened(tmp_path, clock)
    files.write([body(b"1")])
    real: Any = getattr(os, call)
    failures = iter([True, False, False])

    def failing(descriptor: int, *rest: Any) -> Any:
        if call == "write":
            real(descriptor, rest[0][:2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if next(failures):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(directory.os, call, failing)
        with pytest.raises(NotWritten, match="could not be written"):
            files.write([body(b"refused")])
    assert finished(tmp_path) == [b"1\n"]
    files.tidy()
    files.write([body(b"2")])
    files.close()
    assert finished(tmp_path) == [b"1\n", b"2\n"]


def test_nothing_is_acknowledged_before_it_is_on_the_disk(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file, its name, and its new name; the folder is what a descriptor of a directory is."""
    calls: list[str] = []

    def noted(name: str, real: Any) -> Any:
        def call(descriptor: Any, *rest: Any) -> Any:
            calls.append(name)
            return real(descriptor, *rest)

        return call

    for name in ("write", "fdatasync", "fsync", "ftruncate"):
        monkeypatch.setattr(directory.os, name, noted(name, getattr(os, name)))
    monkeypatch.setattr(Path, "rename", noted("rename", Path.rename))
    files = opened(tmp_path, clock)
    files.write([body(b"1")])
    # First the note of the name, then the file below that name, then what is in it.
    assert calls == ["rename", "fsync", "write", "fdatasync"]
    calls.clear()
    files.write([body(b"2"), body(b"3")])
    assert calls == ["write", "fdatasync"]
    calls.clear()
    files.close()
    assert calls == ["ftruncate", "fdatasync", "rename", "fsync"]


def test_while_nothing_can_be_written_it_says_so(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "folder"
    files = opened(path, clock)
    (path / ".last").mkdir()
    for file in path.iterdir():
        file.rmdir()
    path.rmdir()
    with pytest.raises(NotWritten):
        files.write([body(b"1")])
    with pytest.raises(NotWritten, match=r"^Nothing can be written to .*: No such file or directory\.$"):
        files.tidy()
    path.mkdir()
    files.tidy()
    files.write([body(b"1")])
    files.close()
    assert finished(path) == [b"1\n"]


def test_a_file_that_could_not_be_finished_is_finished_later(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = opened(tmp_path, clock)
    files.write([body(b"1")])

    def refused(path: Path, target: Path) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    clock.seconds += 1
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", refused)
        with pytest.raises(NotWritten, match="could not be finished"):
            files.tidy()
        assert finished(tmp_path) == []
    files.tidy()
    assert finished(tmp_path) == [b"1\n"]


def test_one_program_writes_to_a_directory(tmp_path: Path) -> None:
    left = folder_of(tmp_path, 3)
    left.mkdir()
    (left / (name_of(7) + PART)).write_bytes(b"1\n2")
    with prepared(str(tmp_path)):
        assert finished(left) == [b"1\n"]
        with (
            pytest.raises(SettingsError, match=r"^Another streamagg ingest writes to "),
            prepared(str(tmp_path)),
        ):
            pass
    with prepared(str(tmp_path)):
        pass


def test_a_place_that_is_no_directory_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(SettingsError, match=r"^--output dir:.* cannot be used: "),
        prepared(f"{tmp_path}/file"),
    ):
        pass
