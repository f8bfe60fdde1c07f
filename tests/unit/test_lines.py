"""Reading and writing JSON lines: compressed or not, cut anywhere, damaged."""

import gzip
import io
import os
import threading
from itertools import pairwise
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from streamagg.errors import SettingsError, StreamaggError
from streamagg.lines import LineFile, _split, file_size, open_output

LINES = [b'{"n":%d,"text":"%b"}' % (n, b"z\xc3\xbcrich" * (n % 50)) for n in range(20_000)]
CONTENT = b"\n".join(LINES) + b"\n"


def read(path: Path) -> list[bytes]:
    with LineFile(str(path)) as file:
        return [line for lines in file for line in lines]


@pytest.mark.parametrize("compress", [bytes, gzip.compress, zstandard.compress])
def test_content_tells_the_compression_whatever_the_name(tmp_path: Path, compress: object) -> None:
    path = tmp_path / "records"
    path.write_bytes(compress(CONTENT))  # type: ignore[operator]
    assert read(path) == LINES


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress])
def test_several_members_or_frames_are_one_content(tmp_path: Path, compress: object) -> None:
    path = tmp_path / "records"
    path.write_bytes(compress(b'{"a":1}\n{"b"') + compress(b"") + compress(b":2}\n"))  # type: ignore[operator]
    assert read(path) == [b'{"a":1}', b'{"b":2}']


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress])
@pytest.mark.parametrize("kept", [0.3, 0.99])
def test_a_cut_file_is_an_error(tmp_path: Path, compress: object, kept: float) -> None:
    path = tmp_path / "records"
    whole = compress(CONTENT)  # type: ignore[operator]
    path.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(StreamaggError, match="damaged or cut short"):
        read(path)


def test_garbage_after_a_member_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "records"
    path.write_bytes(gzip.compress(CONTENT) + b"garbage")
    with pytest.raises(StreamaggError, match="damaged"):
        read(path)


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", []),
        (b"\n\n", []),
        (b"a", [b"a"]),
        (b"a\n", [b"a"]),
        (b"a\r\n\r\n  \nb", [b"a\r", b"b"]),
        (b"\x28\xb5", [b"\x28\xb5"]),
    ],
)
def test_blank_lines_are_no_records(tmp_path: Path, content: bytes, lines: list[bytes]) -> None:
    path = tmp_path / "records"
    path.write_bytes(content)
    assert read(path) == lines


@given(st.lists(st.sampled_from([b"a", b"bc", b"\n", b" ", b"\r\n"])), st.data())
def test_the_cut_of_blocks_does_not_matter(parts: list[bytes], data: st.DataObject) -> None:
    content = b"".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(content)))))
    edges = [0, *cuts, len(content)]
    blocks = [content[start:stop] for start, stop in pairwise(edges)]
    cut = [line for lines in _split(iter(blocks), "records") for line in lines]
    assert cut == [line for line in content.split(b"\n") if line.strip()]


def test_a_line_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamagg.lines.MAX_LINE_BYTES", 100)
    with pytest.raises(StreamaggError, match="line of more than"):
        list(_split(iter([b"x" * 60, b"x" * 60]), "records"))


def test_lines_of_a_pipe_come_without_waiting_for_more(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    with open(reading, "rb") as pipe, open(writing, "wb", buffering=0) as out:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(pipe))
        out.write(b'{"first":1}\n{"seco')
        with LineFile("-") as file:
            lines = iter(file)
            assert file.size is None
            assert next(lines) == [b'{"first":1}']
            late = threading.Thread(target=lambda: (out.write(b'nd":2}\n'), out.close()))
            late.start()
            assert list(lines) == [[b'{"second":2}']]
            late.join()


def test_position_and_size_are_those_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "records.gz"
    path.write_bytes(gzip.compress(CONTENT))
    with LineFile(str(path)) as file:
        list(file)
        assert file.position == file.size == file_size(str(path)) == path.stat().st_size


def test_a_file_can_be_read_again(tmp_path: Path) -> None:
    path = tmp_path / "records.gz"
    path.write_bytes(gzip.compress(CONTENT))
    with LineFile(str(path)) as file:
        once = list(file)
        file.rewind()
        assert list(file) == once


@pytest.mark.parametrize("name", ["absent", "."])
def test_what_cannot_be_opened_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError, match="Cannot read"):
        LineFile(str(tmp_path / name))


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_output_is_compressed_by_its_name_and_reproducible(tmp_path: Path, suffix: str) -> None:
    paths = [tmp_path / f"one{suffix}", tmp_path / f"two{suffix}"]
    for path in paths:
        with open_output(str(path)) as out:
            out.write(CONTENT)
    assert read(paths[0]) == LINES
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert (len(paths[0].read_bytes()) == len(CONTENT)) == (suffix == "")


def test_an_output_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "out.gz"
    path.write_bytes(b"before")

    def fail() -> None:
        with open_output(str(path)) as out:
            out.write(CONTENT)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_output_to_a_place_that_is_not_there() -> None:
    with pytest.raises(SettingsError, match="Cannot write /nowhere/out:"), open_output("/nowhere/out"):
        pass
