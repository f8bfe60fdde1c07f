"""Reading and writing JSON lines: compressed or not, cut anywhere, damaged."""

import bz2
import gzip
import io
import itertools
import os
import threading
import zlib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from streamagg.errors import FileUnreadable, SettingsError, StreamaggError
from streamagg.sources.lines import LineFile, _split, file_size, open_output

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
    cut = [line for lines in _split(iter(blocks)) for line in lines]
    assert cut == [line for line in content.split(b"\n") if line.strip()]


def test_of_a_line_without_end_little_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamagg.sources.lines.MAX_LINE_BYTES", 100)
    blocks = [b"a\n" + b"x" * 60, *[b"x" * 60] * 9, b"xx\nb\n", b"y" * 100 + b"\nc"]
    assert list(_split(iter(blocks))) == [[b"a"], [b"x" * 101, b"b"], [b"y" * 100], [b"c"]]
    assert list(_split(iter(blocks[:5]))) == [[b"a"], [b"x" * 101]]


def test_one_byte_order_mark_before_the_lines_is_no_part_of_them(tmp_path: Path) -> None:
    mark = b"\xef\xbb\xbf"
    for compress in (bytes, gzip.compress, zstandard.compress):
        for content, lines in [
            (mark + b"a\n" + mark + b"b\n", [b"a", mark + b"b"]),
            (mark + mark + b"a", [mark + b"a"]),
            (mark, []),
            (mark + b"\n\n", []),
            (mark[:2], [mark[:2]]),
        ]:
            path = tmp_path / "records"
            path.write_bytes(compress(content))  # type: ignore[operator]
            assert read(path) == lines


SKIPPED = [b"%c\x2a\x4d\x18" % (0x50 + n) + len(some).to_bytes(4, "little") + some for n, some in
    [(0, b""), (7, b"parallel"), (15, b"\n" * 9_000)]]  # fmt: skip


@pytest.mark.parametrize("places", list(itertools.product(range(2), repeat=3)))
def test_zstandard_frames_to_be_skipped_stand_anywhere(tmp_path: Path, places: tuple[int, ...]) -> None:
    """As parallel compressors write them, before every frame, and as others do behind the last."""
    one, two, three = (b"".join(SKIPPED) * here for here in places)
    path = tmp_path / "records"
    path.write_bytes(one + zstandard.compress(b'{"a":1}\n{"b"') + two + zstandard.compress(b":2}\n") + three)
    assert read(path) == [b'{"a":1}', b'{"b":2}']
    path.write_bytes(b"".join(SKIPPED))
    assert read(path) == []


def test_zeros_behind_gzip_are_padding(tmp_path: Path) -> None:
    path = tmp_path / "records"
    path.write_bytes(gzip.compress(b"a\n") + bytes(9_999) + gzip.compress(b"b\n") + bytes(1))
    assert read(path) == [b"a", b"b"]


def long_window(log: int) -> bytes:
    parameters = zstandard.ZstdCompressionParameters(window_log=log)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    return compressor.compress(b"a\n") + compressor.flush()


def test_a_large_zstandard_window_is_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "my records"
    path.write_bytes(long_window(29))
    assert read(path) == [b"a"]
    path.write_bytes(SKIPPED[1] + zstandard.compress(b"a\n") + long_window(31))
    with pytest.raises(FileUnreadable) as caught:
        read(path)
    assert "needs a Zstandard window of 2,048 MiB, more than the 512 MiB" in str(caught.value)
    assert f"zstd -dc --long=31 '{path}' | streamagg" in str(caught.value)


def test_a_zstandard_dictionary_is_no_damage(tmp_path: Path) -> None:
    dictionary = zstandard.train_dictionary(2_000, [b'{"user":%d}' % n for n in range(2_000)])
    path = tmp_path / "records"
    path.write_bytes(zstandard.ZstdCompressor(dict_data=dictionary).compress(b'{"user":1}' * 9))
    with pytest.raises(FileUnreadable, match=f"needs the Zstandard dictionary {dictionary.dict_id()}"):
        read(path)


@pytest.mark.parametrize("compress", [bytes, gzip.compress, zstandard.compress])
def test_what_is_no_text_is_refused_by_name_also_inside(tmp_path: Path, compress: object) -> None:
    path = tmp_path / "records"
    path.write_bytes(compress(bz2.compress(b"a\n")))  # type: ignore[operator]
    with pytest.raises(SettingsError, match="is compressed with bzip2"):
        read(path)
    with LineFile(str(path), raw=True) as file:
        assert b"\n".join(line for lines in file for line in lines).startswith(b"BZh")


def content(path: Path, room: int) -> Iterator[bytes | StreamaggError]:
    with LineFile(str(path)) as file:
        while True:
            block = bytearray(room)
            try:
                size = file.readinto(memoryview(block), 0)
            except StreamaggError as error:
                yield error
                continue
            if not size:
                return
            yield bytes(block[:size])


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress])
def test_what_was_good_comes_before_the_damage_is_told_once(tmp_path: Path, compress: object) -> None:
    path = tmp_path / "records"
    whole = compress(CONTENT)  # type: ignore[operator]
    path.write_bytes(whole[: len(whole) // 2])
    *good, damage = content(path, 99_999)
    assert isinstance(damage, FileUnreadable)
    text = b"".join(block for block in good if isinstance(block, bytes))
    assert CONTENT.startswith(text)
    assert len(text) > len(CONTENT) // 5


def test_a_pipe_is_waited_for_no_longer_than_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    with open(reading, "rb") as pipe, open(writing, "wb", buffering=0) as out:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(pipe))
        room = memoryview(bytearray(100))
        with LineFile("-") as file:
            assert file.readinto(room, 0) is None
            for part in (b"\xef", b"\xbb\xbf{", b"}\n"):
                out.write(part)
                got = file.readinto(room, 0)
                assert got == (None if part == b"\xef" else len(part) if part == b"}\n" else 1)
            assert file.readinto(room, 0) is None
            out.close()
            assert file.readinto(room, 0) == 0


def test_a_compressed_pipe_gives_what_has_come(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    with open(reading, "rb") as pipe, open(writing, "wb", buffering=0) as out:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(pipe))
        packer = zlib.compressobj(wbits=31)
        room = memoryview(bytearray(100))
        with LineFile("-") as file:
            out.write(packer.compress(b"one\n") + packer.flush(zlib.Z_SYNC_FLUSH))
            assert file.readinto(room, 0) == 4
            assert file.readinto(room, 0) is None
            out.write(packer.compress(b"two\n") + packer.flush())
            assert file.readinto(room, 0) == 4
            out.close()
            assert file.readinto(room, 0) == 0


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
