"""Directories as logs: which offsets are whose, what changes under the reader, and where it goes on."""

import os
from collections.abc import Iterable
from itertools import count
from pathlib import Path

import pytest

from streamagg.core import checkpoint
from streamagg.core.checkpoint import Checkpoint
from streamagg.core.partition_clock import PartitionState
from streamagg.errors import CheckpointError
from streamagg.model.measured import ClientNumbers
from streamagg.model.messages import Lease
from streamagg.model.settings import WindowSettings
from streamagg.sources.contract import UNKNOWN_END, Stored
from streamagg.sources.directory import DirectorySource

SETTLE_MS = 2_000
START_MS = 1_800_000_000_000


class Bench:
    """A tree of files, a clock that is set by hand, and a leader that reads."""

    def __init__(self, root: Path, done: Path | None = None) -> None:
        self.root = root / "in"
        self.root.mkdir()
        self.done = root / "done" if done is None else done
        self.now_ms = START_MS
        self.numbers = ClientNumbers()
        self.moves = False
        self.restart()

    def restart(self) -> None:
        """Another process, which knows nothing."""
        done = str(self.done) if self.moves else None
        self.source = DirectorySource(str(self.root), SETTLE_MS, done, clock_ms=lambda: self.now_ms)
        self.ids = count()

    def write(self, name: str, content: bytes) -> None:
        """Append to a file, now."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.write(content)
        os.utime(path, ns=(self.now_ms * 1_000_000, self.now_ms * 1_000_000))

    def settle(self) -> None:
        """Nothing is written for the settle time."""
        self.now_ms += SETTLE_MS

    def look(self) -> None:
        """As the leader does every second; times of directories are not those of the clock here."""
        self.source._tree.forget()
        self.source.look()

    def read(self, partition: int = 0, start: int | None = None, most: int = 1 << 30) -> list[bytes]:
        """All that can be read, in leases of this size."""
        self.look()
        at = self.source.offsets([partition], "earliest")[partition] if start is None else start
        lines: list[bytes] = []
        reader = self.source.reader(1 << 20, self.numbers)
        while at < self.source.end(partition):
            stop, where = self.source.stretch(partition, at, most, UNKNOWN_END)
            assert stop > at
            reader.add(Lease(next(self.ids), partition, at, stop, where=where))
            while reader.busy:
                for batch in reader.poll(0):
                    assert batch.first == at
                    assert all(at <= offset < batch.next for offset in batch.offsets.tolist())
                    at = batch.next
                    lines += [line for line in batch.payloads if line is not None]
            assert at == stop
        self.at = at
        return lines

    def stored(self, offset: int, partition: int = 0) -> Stored:
        """A checkpoint there."""
        mark = self.source.mark(partition, offset)
        at = Checkpoint(PartitionState(offset), None, offset, mark)
        return {partition: (offset, checkpoint.encode(at, "", WindowSettings()))}

    def go_on(self, stored: Stored) -> None:
        """Restart at checkpoints."""
        self.restart()

        def ask(partitions: Iterable[int]) -> Stored:
            return {number: stored[number] for number in partitions if number in stored}

        self.source.recall(ask)

    @property
    def skipped(self) -> dict[str, int]:
        both = (self.numbers.skipped, self.source.numbers.skipped)
        return {why: sum(one.get(why, 0) for one in both) for why in {**both[0], **both[1]}}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_files_are_one_log_in_order_of_names(bench: Bench) -> None:
    bench.write("b.jsonl", b"3\n4\n")
    bench.write("a.jsonl", b"1\n2")
    bench.write(".c.jsonl", b"no\n")
    bench.write("c.jsonl.part", b"no\n")
    bench.settle()
    assert bench.read() == [b"1", b"2", b"3", b"4"]


@pytest.mark.parametrize("most", range(1, 14))
def test_leases_may_be_cut_anywhere(bench: Bench, most: int) -> None:
    for number in range(10):
        bench.write(f"{number}.jsonl", b'{"n":%d}' % number + b"\n" * (number % 3))
    bench.settle()
    assert bench.read(most=most) == [b'{"n":%d}' % number for number in range(10)]


def test_a_directory_with_files_is_a_partition(bench: Bench) -> None:
    bench.write("b/c/x.jsonl", b"1\n")
    bench.write("a/x.jsonl", b"2\n")
    bench.write(".d/x.jsonl", b"3\n")
    (bench.root / "empty").mkdir()
    bench.settle()
    assert bench.source.partitions() == 2
    assert [bench.read(0), bench.read(1)] == [[b"2"], [b"1"]]


def test_a_directory_that_comes_later_has_the_next_number(bench: Bench) -> None:
    bench.write("b/x.jsonl", b"1\n")
    assert bench.source.partitions() == 1
    bench.write("a/x.jsonl", b"2\n")
    bench.settle()
    assert [bench.read(0), bench.read(1)] == [[b"1"], [b"2"]]
    stored = bench.stored(2) | bench.stored(2, partition=1)
    bench.go_on(stored)
    assert [bench.read(0), bench.read(1)] == [[b"1"], [b"2"]]


def test_an_empty_directory_is_one_partition(bench: Bench) -> None:
    assert bench.source.partitions() == 1
    assert bench.read() == []
    bench.write("a.jsonl", b"1\n")
    assert bench.read() == [b"1"]


def test_the_last_file_may_grow(bench: Bench) -> None:
    bench.write("a.jsonl", b"1\n2")
    assert bench.read() == [b"1"]
    bench.write("a.jsonl", b"3\n4\n")
    assert bench.read(start=bench.at) == [b"23", b"4"]
    bench.write("a.jsonl", b"5")
    bench.settle()
    assert bench.read(start=bench.at) == [], "somebody may still be writing that line"
    bench.write("b.jsonl", b"6\n")
    assert bench.read(start=bench.at) == [b"5", b"6"]


def test_a_whole_document_needs_no_newline(bench: Bench) -> None:
    bench.write("a.jsonl", b'{"a":1}\n{"b":2}')
    assert bench.read() == [b'{"a":1}', b'{"b":2}']
    bench.write("a.jsonl", b'\n{"c":3}\n')
    assert bench.read(start=bench.at) == [b'{"c":3}']


def test_the_next_file_waits_until_the_last_one_has_settled(bench: Bench) -> None:
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


def test_the_end_is_known_before_files_have_settled(bench: Bench) -> None:
    """Where a bounded run has to get to: it would wait in vain for a byte more."""
    for name in ("a.jsonl", "b.csv", "c.jsonl"):
        bench.write(name, b"ts\n1\n")
    bench.look()
    end = bench.source.log_ends([0])[0]
    bench.settle()
    bench.read()
    assert end == bench.at


def test_a_place_is_found_again(bench: Bench) -> None:
    for number in range(10):
        bench.write(f"{number}.jsonl", b"%d\n" % number)
    bench.settle()
    bench.read()
    for number in range(10):
        bench.go_on(bench.stored(3 * number))
        assert bench.read(start=3 * number) == [b"%d" % left for left in range(number, 10)]
    assert bench.skipped == {}


def test_a_mark_does_not_grow_with_files(bench: Bench) -> None:
    for number in range(100):
        bench.write(f"{number:03}.jsonl", b"%d\n" % number)
    bench.settle()
    bench.read()
    sizes = {len(bench.source.mark(0, offset)) for offset in range(300)}
    assert max(sizes) < 130


def test_a_checkpoint_without_a_mark_is_refused(bench: Bench) -> None:
    bench.write("a.jsonl", b"1\n")
    at = Checkpoint(PartitionState(2), None, 2)
    with pytest.raises(CheckpointError, match="which file"):
        bench.go_on({0: (2, checkpoint.encode(at, "", WindowSettings()))})
