"""Directories as logs: which offsets are whose, what changes under the reader, and where it goes on."""

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from streamagg.core import checkpoint
from streamagg.core.checkpoint import Checkpoint
from streamagg.core.partition_clock import PartitionState
from streamagg.errors import CheckpointError
from streamagg.model.batch import Standing
from streamagg.model.settings import WindowSettings
from streamagg.sources.directory import log
from streamagg.sources.directory.content import whole_lines
from streamagg.sources.directory.disk import Disk
from streamagg.sources.directory.forms import Form, form_of
from tests.support.spool import SETTLE_MS, Spool, wait_for_another_time


@pytest.fixture
def bench(tmp_path: Path) -> Spool:
    return Spool(tmp_path)


def test_files_are_one_log_in_order_of_names(bench: Spool) -> None:
    bench.write("b.jsonl", b"3\n4\n")
    bench.write("a.jsonl", b"1\n2")
    bench.write(".c.jsonl", b"no\n")
    bench.write("c.jsonl.part", b"no\n")
    bench.settle()
    assert bench.read() == [b"1", b"2", b"3", b"4"]


@pytest.mark.parametrize("most", range(1, 14))
def test_leases_may_be_cut_anywhere(bench: Spool, most: int) -> None:
    for number in range(10):
        bench.write(f"{number}.jsonl", b'{"n":%d}' % number + b"\n" * (number % 3))
    bench.settle()
    assert bench.read(most=most) == [b'{"n":%d}' % number for number in range(10)]


def test_empty_files_are_passed_by(bench: Spool) -> None:
    for name, content in (("a", b""), ("b", b"1\n"), ("c", b""), ("d", b"2"), ("e", b""), ("f", b"")):
        bench.write(f"{name}.jsonl", content)
    bench.settle()
    bench.look()
    assert bench.records(0, 0, 1 << 20) == [(1, b"1"), (5, b"2")]
    for start, left in ((0, [b"1", b"2"]), (3, [b"2"]), (4, [b"2"])):
        bench.go_on(bench.stored(start))
        assert bench.read(start=start) == left


def test_a_directory_with_files_is_a_partition(bench: Spool) -> None:
    bench.write("b/c/x.jsonl", b"1\n")
    bench.write("a/x.jsonl", b"2\n")
    bench.write(".d/x.jsonl", b"3\n")
    (bench.root / "empty").mkdir()
    bench.settle()
    assert bench.source.partitions() == 2
    assert [bench.read(0), bench.read(1)] == [[b"2"], [b"1"]]


def test_a_directory_that_comes_later_has_the_next_number(bench: Spool) -> None:
    bench.write("b/x.jsonl", b"1\n")
    assert bench.source.partitions() == 1
    bench.write("a/x.jsonl", b"2\n")
    bench.settle()
    assert [bench.read(0), bench.read(1)] == [[b"1"], [b"2"]]
    stored = bench.stored(2) | bench.stored(2, partition=1)
    bench.go_on(stored)
    assert [bench.read(0), bench.read(1)] == [[b"1"], [b"2"]]


def test_an_empty_directory_is_one_partition(bench: Spool) -> None:
    assert bench.source.partitions() == 1
    assert bench.read() == []
    bench.write("a.jsonl", b"1\n")
    assert bench.read() == [b"1"]


def test_the_last_file_may_grow(bench: Spool) -> None:
    bench.write("a.jsonl", b"1\n2")
    assert bench.read() == [b"1"]
    bench.write("a.jsonl", b"3\n4\n")
    assert bench.read(start=bench.at) == [b"23", b"4"]
    bench.write("a.jsonl", b"5")
    bench.settle()
    assert bench.read(start=bench.at) == [], "somebody may still be writing that line"
    bench.write("b.jsonl", b"6\n")
    assert bench.read(start=bench.at) == [b"5", b"6"]


def test_a_whole_document_needs_no_newline(bench: Spool) -> None:
    bench.write("a.jsonl", b'{"a":1}\n{"b":2}')
    assert bench.read() == [b'{"a":1}', b'{"b":2}']
    bench.write("a.jsonl", b'\n{"c":3}\n')
    assert bench.read(start=bench.at) == [b'{"c":3}']


def test_the_next_file_waits_until_the_last_one_has_settled(bench: Spool) -> None:
    bench.write("a.jsonl", b"1\n")
    bench.write("b.jsonl", b"3\n")
    assert bench.read() == [b"1"]
    assert bench.source.log_ends([0])[0] > bench.at
    bench.now_ms += SETTLE_MS - 1
    bench.write("a.jsonl", b"2\n")
    assert bench.read(start=bench.at) == [b"2"]
    bench.settle()
    assert bench.read(start=bench.at) == [b"3"]
    assert bench.source.log_ends([0])[0] == bench.at


def test_the_end_is_known_before_files_have_settled(bench: Spool) -> None:
    """Where a bounded run has to get to: it would wait in vain for a byte more."""
    for name in ("a.jsonl", "b.csv", "c.jsonl"):
        bench.write(name, b"ts\n1\n")
    bench.look()
    end = bench.source.log_ends([0])[0]
    bench.settle()
    bench.read()
    assert end == bench.at


@pytest.mark.parametrize(
    ("name", "torn"),
    [("a.jsonl", b'{"a":1}\n{"a":'), ("a.csv", b'uid\nu\n"v'), ("a.csv", b"uid\nu\nv"), ("a.jsonl", b"{")],
)
def test_the_end_is_before_a_record_that_is_being_written(bench: Spool, name: str, torn: bytes) -> None:
    """A bounded run reads what is whole when it begins, and waits for nobody to finish the last line."""
    bench.write(f"0{name}", b"")
    bench.write(name, torn)
    end = bench.source.log_ends([0])[0]
    bench.settle()
    bench.read()
    assert end == bench.at == 1 + torn.rfind(b"\n") + 1
    assert bench.source.held({0: Standing(end, end)}) == {}


def test_a_growing_file_is_looked_through_once(bench: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often somebody asks how far it goes."""
    looked: list[int] = []

    def told(disk: Disk, path: str, begin: int, size: int, *, csv: bool) -> int:
        looked.append(begin)
        return whole_lines(disk, path, begin, size, csv=csv)

    monkeypatch.setattr(log, "whole_lines", told)
    ends = []
    for _ in range(3):
        bench.write("a.csv", b"uid\nu\n")
        ends += bench.source.log_ends([0]).values()
    assert (looked, ends) == ([0, 6, 12], [6, 12, 18])


def test_a_place_is_found_again(bench: Spool) -> None:
    for number in range(10):
        bench.write(f"{number}.jsonl", b"%d\n" % number)
    bench.settle()
    bench.read()
    for number in range(10):
        bench.go_on(bench.stored(3 * number))
        assert bench.read(start=3 * number) == [b"%d" % left for left in range(number, 10)]
    assert bench.skipped == {}


def test_a_mark_does_not_grow_with_files(bench: Spool) -> None:
    for number in range(100):
        bench.write(f"{number:03}.jsonl", b"%d\n" % number)
    bench.settle()
    bench.read()
    sizes = {len(bench.source.mark(0, offset)) for offset in range(300)}
    assert max(sizes) < 130


def test_a_checkpoint_without_a_mark_is_refused(bench: Spool) -> None:
    bench.write("a.jsonl", b"1\n")
    at = Checkpoint(PartitionState(2), None, 2)
    with pytest.raises(CheckpointError, match="which file"):
        bench.go_on({0: (2, checkpoint.encode(at, "", WindowSettings()))})


def packed(name: str, content: bytes) -> bytes:
    """As the name says."""
    if name.endswith(".gz"):
        return gzip.compress(content, mtime=0)
    return zstandard.compress(content) if name.endswith(".zst") else content


@pytest.mark.parametrize("name", ["b.jsonl.gz", "b.gz", "b.jsonl.zst", "b.zst", "b.jsonl"])
def test_a_place_in_a_file_is_found_again_whatever_its_form(bench: Spool, name: str) -> None:
    lines = [b'{"n":%d}' % number for number in range(50)]
    bench.write("a.jsonl", b"first\n")
    bench.write(name, packed(name, b"\n".join(lines)))
    bench.write("c.jsonl", b"last\n")
    bench.settle()
    assert bench.read() == [b"first", *lines, b"last"]
    places = [6 + 1 + sum(len(line) + 1 for line in lines[:number]) for number in range(50)]
    for number in (0, 1, 25, 49):
        bench.go_on(bench.stored(places[number]))
        assert bench.read(start=places[number]) == [*lines[number:], b"last"]
    assert bench.skipped == {}


@pytest.mark.parametrize("name", ["b.csv", "b.csv.gz", "b.csv.zst"])
def test_columns_of_csv_are_fields(bench: Spool, name: str) -> None:
    bench.number_fields = ("amount",)
    bench.restart()
    bench.write("a.csv", b"uid,amount\nu,1\n")
    bench.write(name, packed(name, b'amount,uid\r\n2.50,"v, w"\r\n,x\r\n3,"y\nz"'))
    bench.write("c.csv", b"")
    bench.settle()
    expected = [
        b'{"uid":"u","amount":1}',
        b'{"amount":2.50,"uid":"v, w"}',
        b'{"uid":"x"}',
        b'{"amount":3,"uid":"y\\u000az"}',
    ]
    assert bench.read() == expected
    start = 15 + 1 + len(b'amount,uid\r\n2.50,"v, w"\r\n')
    bench.go_on(bench.stored(start))
    assert bench.read(start=start) == expected[2:]


def test_the_last_csv_file_may_grow_by_whole_records(bench: Spool) -> None:
    bench.write("a.csv", b'uid\nu\n"v\n')
    assert bench.read() == [], "it is read when nobody writes to it"
    bench.settle()
    assert bench.read() == [b'{"uid":"u"}']
    bench.write("a.csv", b'w"\nx\n')
    bench.settle()
    assert bench.read(start=bench.at) == [b'{"uid":"v\\u000aw"}', b'{"uid":"x"}']


def test_a_compressed_file_is_read_when_it_has_settled(bench: Spool) -> None:
    whole = gzip.compress(b"1\n2\n", mtime=0)
    bench.write("a.gz", whole[:10])
    bench.write("b.jsonl", b"3\n")
    assert bench.read() == []
    assert bench.source.log_ends([0])[0] > 0
    bench.now_ms += SETTLE_MS - 1
    bench.write("a.gz", whole[10:])
    assert bench.read() == []
    bench.settle()
    assert bench.read() == [b"1", b"2", b"3"]


@pytest.mark.parametrize("restarts", [False, True], ids=["live", "at a start"])
class TestWhatChangesUnderTheReader:
    """The table in docs/input-directory.md, row by row."""

    @pytest.fixture(autouse=True)
    def begun(self, bench: Spool) -> None:
        """Two files, of which the first is read, and so is half of the second."""
        bench.write("b.jsonl", b"1\n2\n")
        bench.write("d.jsonl", b"3\n4\n")
        bench.settle()
        assert bench.read() == [b"1", b"2", b"3", b"4"]
        self.half = 5 + 2
        self.stored = bench.stored(self.half)
        wait_for_another_time(bench.root.parent)

    def rest(self, bench: Spool, restarts: bool) -> list[bytes]:
        """What comes behind the half, and of a file behind it."""
        bench.write("e.jsonl", b"5\n")
        bench.settle()
        if restarts:
            bench.go_on(self.stored)
        return bench.read(start=self.half)

    def test_a_later_name(self, bench: Spool, restarts: bool) -> None:
        assert self.rest(bench, restarts) == [b"4", b"5"]
        assert bench.skipped == {}

    @pytest.mark.parametrize("name", ["a.jsonl", "c.jsonl"])
    def test_an_earlier_name(self, bench: Spool, name: str, restarts: bool) -> None:
        bench.write(name, b"9\n")
        assert self.rest(bench, restarts) == [b"4", b"5"]
        assert bench.skipped == {"out_of_order": 1}

    def test_another_file_under_its_name(self, bench: Spool, restarts: bool) -> None:
        bench.replace("d.jsonl", b"9\n8\n7\n")
        assert self.rest(bench, restarts) == [b"5"]
        assert bench.skipped == {"replaced": 1}

    def test_another_file_under_its_name_before_the_checkpoint(self, bench: Spool, restarts: bool) -> None:
        """Whether the change was seen by then or not."""
        bench.replace("d.jsonl", b"9\n8\n7\n")
        self.stored = bench.stored(self.half)
        assert self.rest(bench, restarts) == [b"5"]
        self.stored = bench.stored(self.half)
        assert self.rest(bench, restarts)[-1:] == [b"5"]
        assert not {b"7", b"8", b"9"} & set(bench.read(start=self.half))

    def test_a_copy_under_its_name(self, bench: Spool, restarts: bool) -> None:
        bench.replace("d.jsonl", b"3\n4\n")
        assert self.rest(bench, restarts) == ([b"4", b"5"] if restarts else [b"5"])
        assert bench.skipped == ({} if restarts else {"replaced": 1})

    def test_it_shrinks(self, bench: Spool, restarts: bool) -> None:
        os.truncate(bench.root / "d.jsonl", 2)
        bench.look()
        bench.write("d.jsonl", b"9\n")
        assert self.rest(bench, restarts) == [b"5"]
        assert bench.skipped == ({"replaced": 1} if restarts else {"shrank": 1})

    def test_it_is_written_anew(self, bench: Spool, restarts: bool) -> None:
        os.truncate(bench.root / "d.jsonl", 0)
        bench.write("d.jsonl", b"6\n7\n8\n")
        assert self.rest(bench, restarts) == [b"5"]
        assert bench.skipped == {"replaced": 1}

    def test_it_disappears_half_read(self, bench: Spool, restarts: bool) -> None:
        (bench.root / "d.jsonl").unlink()
        assert self.rest(bench, restarts) == [b"5"]
        assert bench.skipped == {"gone": 1}

    def test_offsets_that_were_given_are_given_to_nothing_else(self, bench: Spool, restarts: bool) -> None:
        bench.write("dd.jsonl", b"6\n" * 100)
        bench.settle()
        bench.read()
        self.stored = bench.stored(self.half)
        (bench.root / "d.jsonl").unlink()
        (bench.root / "dd.jsonl").unlink()
        assert self.rest(bench, restarts) == [b"5"]
        assert [offset >= 10 + 200 for offset, _ in bench.records(0, self.half, 1 << 20)] == [True]

    def test_it_disappears_when_it_is_read(self, bench: Spool, restarts: bool) -> None:
        self.half += 2
        self.stored = bench.stored(self.half)
        (bench.root / "d.jsonl").unlink()
        assert self.rest(bench, restarts) == [b"5"]
        assert bench.skipped == {}

    def test_one_behind_it_disappears(self, bench: Spool, restarts: bool) -> None:
        self.half, self.stored = 2, bench.stored(2)
        (bench.root / "d.jsonl").unlink()
        assert self.rest(bench, restarts) == [b"2", b"5"]
        assert bench.skipped == {"gone": 1}

    def test_a_finished_file_grows(self, bench: Spool, restarts: bool) -> None:
        bench.write("b.jsonl", b"9\n")
        assert self.rest(bench, restarts) == [b"4", b"5"]
        bench.source.committed({0: self.half})
        bench.look()
        assert bench.skipped == ({"out_of_order": 1} if restarts else {"grew": 1})

    @pytest.mark.parametrize("content", [b"\x1f\x8b", gzip.compress(b"6\n7\n", mtime=0)[:-8]])
    def test_a_damaged_file(self, bench: Spool, content: bytes, restarts: bool) -> None:
        bench.write("dd.gz", content)
        found = self.rest(bench, restarts)
        assert (found[0], found[-1]) == (b"4", b"5")
        assert bench.skipped == {"damaged": 1}

    @pytest.mark.parametrize(
        ("name", "content"),
        [("dd.jsonl", gzip.compress(b"6\n", mtime=0)), ("dd.csv", b"a,a\n1,2\n"), ("dd.gz", b"PK\x03\x04")],
    )
    def test_something_else(self, bench: Spool, name: str, content: bytes, restarts: bool) -> None:
        bench.write(name, content)
        assert self.rest(bench, restarts) == [b"4", b"5"]
        assert bench.skipped == {"foreign": 1}


def test_files_are_moved_when_a_checkpoint_covers_them(bench: Spool) -> None:
    bench.moves = True
    bench.restart()
    for name in ("a.jsonl", "x/b.jsonl", "x/c.jsonl", "x/d.gz"):
        bench.write(name, packed(name, b"1\n"))
    bench.settle()
    assert bench.read(1) == [b"1"] * 3
    bench.source.committed({1: 2})
    bench.look()
    assert bench.files(bench.done) == [], "the place is in the file"
    bench.source.committed({1: bench.at})
    bench.look()
    assert bench.files(bench.done) == ["x/b.jsonl", "x/c.jsonl"], "the last one may grow"
    assert bench.files(bench.root) == ["a.jsonl", "x/d.gz"]
    bench.write("x/e.jsonl", b"2\n")
    assert bench.read(1, start=bench.at) == [b"2"]


def test_files_that_were_counted_before_a_start_are_moved(bench: Spool) -> None:
    for name in ("a.jsonl", "b.jsonl", "c.jsonl"):
        bench.write(name, b"1\n")
    bench.settle()
    bench.read()
    stored = bench.stored(bench.at)
    wait_for_another_time(bench.root.parent)
    bench.write("aa.jsonl", b"2\n")
    bench.moves = True
    bench.go_on(stored)
    bench.look()
    assert bench.files(bench.done) == [], "a standby moves nothing, nor does who begins anew"
    bench.source.committed({0: bench.at})
    bench.look()
    assert bench.files(bench.done) == ["a.jsonl", "b.jsonl"]
    assert bench.files(bench.root) == ["aa.jsonl", "c.jsonl"]
    assert bench.skipped == {"out_of_order": 1}


def test_nothing_is_written_over_in_the_folder_of_files_that_are_done(bench: Spool) -> None:
    bench.moves = True
    bench.restart()
    bench.done.mkdir()
    (bench.done / "a.jsonl").write_bytes(b"before")
    for name in ("a.jsonl", "b.jsonl"):
        bench.write(name, b"1\n")
    bench.settle()
    bench.read()
    bench.source.committed({0: bench.at})
    bench.look()
    assert (bench.done / "a.jsonl").read_bytes() == b"before"
    assert bench.files(bench.root) == ["a.jsonl", "b.jsonl"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda spool: spool.replace("a.jsonl", b"9\n8\n"), "replaced"),
        (lambda spool: spool.rewrite("a.jsonl", b"9\n8\n"), "replaced"),
        (lambda spool: spool.rewrite("a.jsonl", b"9\n"), "shrank"),
        (lambda spool: (spool.root / "a.jsonl").unlink(), "gone"),
    ],
)
def test_a_reader_reads_no_other_file_than_its_lease_means(
    bench: Spool, change: Callable[[Spool], None], why: str
) -> None:
    bench.write("a.jsonl", b"1\n2\n")
    bench.write("b.jsonl", b"3\n")
    bench.settle()
    bench.look()
    bench.now_ms += 1
    change(bench)
    found = bench.records(0, 2, 1 << 20)
    assert found == [(5, b"3")]
    assert bench.skipped == {why: 1}


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("a.jsonl", Form(csv=False, shift=0)),
        ("a", Form(csv=False, shift=0)),
        ("a.csv", Form(csv=True, shift=0)),
        ("a.gz", Form(csv=False, shift=11)),
        ("a.jsonl.gz", Form(csv=False, shift=11)),
        ("a.csv.gz", Form(csv=True, shift=11)),
        ("a.csv.zst", Form(csv=True, shift=15)),
        ("a.gz.csv", Form(csv=True, shift=0)),
        ("a.csv.part2", Form(csv=False, shift=0)),
    ],
)
def test_the_name_says_how_a_file_is_read(name: str, form: Form) -> None:
    assert form_of(name) == form
