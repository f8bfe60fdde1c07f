"""Files: leases cut at any byte give every line once, at the offset where it begins."""

import gzip
import io
import itertools
import lzma
import os
from collections.abc import Iterable
from io import FileIO
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamagg.errors import FileUnreadable, SettingsError
from streamagg.model.batch import Batch
from streamagg.model.messages import Lease
from streamagg.sources import files
from streamagg.sources.contract import UNKNOWN_END
from streamagg.sources.files import FileReader, plain_size

LINES = st.lists(st.sampled_from([b"", b" ", b"a", b"bb\r", b"{}" * 9, b"c" * 70]), max_size=12)
CONTENT = st.builds(lambda rows, last: b"\n".join(rows) + last, LINES, st.sampled_from([b"", b"\n", b"\n\n"]))


def expected(content: bytes) -> list[tuple[int, bytes]]:
    starts = itertools.accumulate((len(line) + 1 for line in content.split(b"\n")), initial=0)
    return [(at, line) for at, line in zip(starts, content.split(b"\n"), strict=False) if line.strip()]


def read(reader: FileReader, leases: Iterable[Lease]) -> list[Batch]:
    for lease in leases:
        reader.add(lease)
    batches = []
    while reader.busy:
        batches += reader.poll(0)
    return batches


def rows(batches: Iterable[Batch]) -> list[tuple[int, bytes]]:
    return [
        (at, payload or b"")
        for batch in batches
        for at, payload in zip(batch.offsets, batch.payloads, strict=True)
    ]


def cut(size: int, cuts: Iterable[int]) -> list[Lease]:
    edges = sorted({0, size, *(c for c in cuts if c < size)})
    return [Lease(n, 0, a, b) for n, (a, b) in enumerate(itertools.pairwise(edges))]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files") / "lines.jsonl"


@given(content=CONTENT, cuts=st.lists(st.integers(1, 300), max_size=6), workers=st.integers(1, 3))
def test_every_line_once_whatever_the_cut(content: bytes, cuts: list[int], workers: int, path: Path) -> None:
    path.write_bytes(content)
    leases = cut(len(content), cuts)
    readers = [FileReader([str(path)]) for _ in range(workers)]
    batches = [batch for n, reader in enumerate(readers) for batch in read(reader, leases[n::workers])]
    assert sorted(rows(batches)) == expected(content)
    for lease in leases:
        reached = [(batch.first, batch.next) for batch in batches if batch.lease == lease.id]
        ended = any(b.caught_up for b in batches)
        if reached:
            assert reached[0][0] == lease.start
            assert all(a[1] == b[0] for a, b in itertools.pairwise(reached))
        assert ended or reached[-1][1] == lease.stop


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=CONTENT, block=st.integers(1, 40))
def test_small_reads(content: bytes, block: int, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "READ_BYTES", block)
    path.write_bytes(content)
    assert rows(read(FileReader([str(path)]), cut(len(content), [7, 20]))) == expected(content)


LIMIT = 20
LONG = st.builds(
    lambda rows, mark, last: (b"\xef\xbb\xbf" if mark else b"") + b"\n".join(rows) + last,
    st.lists(
        st.sampled_from(
            [b"", b" ", b"a", b"b" * LIMIT, b"b" * (LIMIT + 1), b"c" * 70, b" " * 50, b"d" * 250]
        ),
        max_size=9,
    ),
    st.booleans(),
    st.sampled_from([b"", b"\n", b"\n\n"]),
)


def agree(found: list[tuple[int, bytes]], content: bytes) -> None:
    """Every line once, where it begins; of one that is too large enough to tell."""
    mark = 3 * content.startswith(b"\xef\xbb\xbf")
    split = content[mark:].split(b"\n")
    starts = itertools.accumulate((len(line) + 1 for line in split[:-1]), initial=mark)
    lines = [(at, line) for at, line in zip(starts, split, strict=True) if line.strip() or len(line) > LIMIT]
    if lines and lines[0][0] == mark:
        lines[0] = (0, lines[0][1])
    sizes = [(at, min(len(line), LIMIT + 1)) for at, line in lines]
    assert [(at, min(len(line), LIMIT + 1)) for at, line in found] == sizes
    assert all(whole.startswith(part) for (_, whole), (_, part) in zip(lines, found, strict=True))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=LONG,
    block=st.integers(1, 300),
    cuts=st.lists(st.integers(4, 300), max_size=6),
    workers=st.integers(1, 3),
)
def test_a_line_that_is_too_large_comes_once_wherever_leases_cut_it(
    content: bytes,
    block: int,
    cuts: list[int],
    workers: int,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(files, "READ_BYTES", block)
    path.write_bytes(content)
    leases = cut(len(content), cuts)
    readers = [FileReader([str(path)], LIMIT) for _ in range(workers)]
    batches = [batch for n, reader in enumerate(readers) for batch in read(reader, leases[n::workers])]
    agree(sorted(rows(batches)), content)
    for lease in leases:
        reached = [(batch.first, batch.next) for batch in batches if batch.lease == lease.id]
        assert all(a[1] == b[0] for a, b in itertools.pairwise(reached))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=LONG, block=st.integers(1, 300), size=st.integers(1, 100))
def test_a_line_that_is_too_large_comes_once_from_a_stream(
    content: bytes, block: int, size: int, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "READ_BYTES", block)
    packed = path.with_suffix(".gz")
    packed.write_bytes(gzip.compress(content))
    reader = FileReader([str(packed)], LIMIT)
    batches: list[Batch] = []
    while not batches or not batches[-1].caught_up:
        first = batches[-1].next if batches else 0
        batches += read(reader, [Lease(len(batches), 0, first, first + size)])
    mark = content.startswith(b"\xef\xbb\xbf")
    agree(rows(batches), content[3 * mark :])


def test_a_long_line_is_read_once_and_little_of_it_is_kept(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading again what was read, for every block or for every lease, is what makes time quadratic."""
    rooms: list[int] = []
    bytes_read: list[int] = []

    class Counting(FileIO):
        def readinto(self, room: memoryview) -> int:  # type: ignore[override]
            rooms.append(len(room))
            bytes_read.append(super().readinto(room) or 0)
            return bytes_read[-1]

    monkeypatch.setattr(files, "READ_BYTES", 1_000)
    path.write_bytes(b"a\n" + b"x" * 1_000_000 + b"\nb\n")
    reader = FileReader([str(path)], 10_000)
    monkeypatch.setattr(files, "open", lambda name, mode, buffering: Counting(name), raising=False)
    leases = cut(1_000_005, range(50_000, 1_000_000, 50_000))
    for turn in (slice(0, None, 2), slice(1, None, 2)):
        read(reader, leases[turn])
    assert sum(bytes_read) < 1_100_000
    assert max(rooms) < 20_000
    assert [len(line) for _, line in rows(read(reader, cut(1_000_005, [])))] == [1, 10_001, 1]


def test_a_line_within_the_limit_is_copied_a_few_times_whatever_its_length(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "READ_BYTES", 100)
    content = b"x" * 100_000 + b"\n"
    sizes = []

    def little(room: memoryview) -> int:
        """As a pipe gives it."""
        nonlocal content
        sizes.append(len(room))
        part, content = content[: min(len(room), 7)], content[min(len(room), 7) :]
        room[: len(part)] = part
        return len(part)

    (chunk,) = files.chunks(little, 0, 0, 1 << 20, skipping=False)
    assert chunk is not None
    assert chunk.lines[0] == b"x" * 100_000
    grown = sum(1 for a, b in itertools.pairwise(sizes) if b > a)
    assert grown <= 11  # From 100 bytes, doubled.


def test_a_file_that_becomes_shorter_is_no_end(path: Path) -> None:
    path.write_bytes(b"a\nb\nc\n")
    reader = FileReader([str(path)])
    path.write_bytes(b"a\nb\n")
    reader.add(Lease(0, 0, 0, 6))
    assert rows(reader.poll(0)) == [(0, b"a"), (2, b"b")]
    with pytest.raises(FileUnreadable, match="has become shorter"):
        reader.poll(0)
    (last,) = reader.poll(0)
    assert last.caught_up
    assert not reader.busy


def test_the_damage_of_one_file_is_told_once_and_loses_nothing_of_the_others(path: Path) -> None:
    good, bad = path.with_suffix(".good"), path.with_suffix(".bad")
    good.write_bytes(b"g\n")
    bad.write_bytes(gzip.compress(b"a\nb\nc")[:-4])
    reader = FileReader([str(good), str(bad)])
    reader.add(Lease(0, 0, 0, 2))
    reader.add(Lease(1, 1, 0, 2))
    reader.add(Lease(2, 1, 2, 1 << 40))
    batches, damages = [], []
    while reader.busy:
        try:
            batches += reader.poll(0)
        except FileUnreadable as error:
            damages.append(str(error))
    assert [line for _, line in sorted(rows(batches))] == [b"a", b"g", b"b"]
    assert batches[-1].caught_up
    assert len(damages) == 1
    assert "damaged or cut short" in damages[0]


def test_a_pipe_with_nothing_in_it_holds_nobody_up(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    path.write_bytes(b"a\n")
    with open(reading, "rb") as pipe, open(writing, "wb", buffering=0) as out:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(pipe))
        reader = FileReader(["-", str(path)])
        reader.add(Lease(0, 0, 0, 1_000))
        reader.add(Lease(1, 1, 0, 2))
        assert rows(reader.poll(0)) == [(0, b"a")]
        out.write(b"one\ntw")
        assert rows(reader.poll(0)) == [(0, b"one")]
        out.write(b"o\n")
        assert rows(reader.poll(0)) == [(4, b"two")]
        assert reader.poll(0) == []
        assert reader.busy
        out.close()
        assert reader.poll(0)[0].caught_up


@given(content=CONTENT, size=st.integers(1, 100))
def test_a_stream_in_leases(content: bytes, size: int, path: Path) -> None:
    packed = path.with_suffix(".gz")
    packed.write_bytes(gzip.compress(content))
    reader = FileReader([str(packed)])
    batches: list[Batch] = []
    for number in itertools.count():
        batches += read(reader, [Lease(number, 0, number * size, (number + 1) * size)])
        if batches[-1].caught_up:
            break
    assert [line.strip() for _, line in rows(batches)] == [line.strip() for _, line in expected(content)]
    assert all(a.next == b.first for a, b in itertools.pairwise(batches))


def test_lines_always_say_that_they_have_no_timestamp(path: Path) -> None:
    """Otherwise a jump in time would have the clock ask for a second reading, which a pipe has not."""
    path.write_bytes(b"{}\n")
    (batch, *_) = read(FileReader([str(path)]), [Lease(0, 0, 0, 3, timestamps=False)])
    assert batch.timestamps_ms == [-1]


def test_revoked_leases_are_forgotten(path: Path) -> None:
    path.write_bytes(b"a\nb\n")
    reader = FileReader([str(path), str(path)])
    reader.add(Lease(0, 0, 0, 4))
    reader.add(Lease(1, 1, 0, 4))
    reader.revoke(0)
    assert {batch.partition for batch in read(reader, [])} == {1}
    reader.add(Lease(2, 0, 2, 4))
    reader.revoke(None)
    assert not reader.busy


def test_what_is_plain(path: Path) -> None:
    path.write_bytes(b"abc")
    assert plain_size(str(path)) == 3
    assert plain_size("-") is None
    packed = path.with_suffix(".gz")
    packed.write_bytes(gzip.compress(b"abc"))
    assert plain_size(str(packed)) is None
    assert UNKNOWN_END > 1 << 60
    path.write_bytes(lzma.compress(b"abc"))
    with pytest.raises(SettingsError, match="is compressed with xz"):
        plain_size(str(path))
