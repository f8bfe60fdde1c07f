"""Files: leases cut at any byte give every line once, at the offset where it begins."""

import gzip
import itertools
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamagg.pipeline import files
from streamagg.pipeline.files import STREAM_END, FileReader, plain_size
from streamagg.records import Batch, Lease

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
    assert STREAM_END > 1 << 60
