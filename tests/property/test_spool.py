"""Trees that change under the reader: no record twice, none in part, and none is lost without a word."""

import gzip
import logging
import shutil
import tempfile
from pathlib import Path
from typing import Final

import zstandard
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.support.spool import Spool, wait_for_another_time

FORMS: Final = ("jsonl", "jsonl.gz", "jsonl.zst", "csv", "csv.gz")


class Told(logging.Handler):
    """Names of the files that were told to be skipped."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        if getattr(record, "event", "") == "file_skipped":
            self.names.add(record.fields["path"].rpartition("/")[2])  # type: ignore[attr-defined]


class Changing(RuleBasedStateMachine):
    """A directory, what was written into it, and what was handed out since the last checkpoint or before."""

    def __init__(self) -> None:
        super().__init__()
        self.logger = logging.getLogger("streamagg.sources.directory.skipped")
        self.told = Told()
        self.logger.addHandler(self.told)
        self.base = Path(tempfile.mkdtemp())
        self.spool = Spool(self.base)
        self.next = 0
        self.number = 500
        self.written: dict[int, str] = {}
        """Names of files by the numbers in their whole records."""
        self.begun = ""
        """The file that ends within a record, if there is one."""
        self.at = 0
        self.handed: list[tuple[int, int]] = []
        """Offsets and numbers, in order."""
        self.destroyed: set[int] = set()
        """Numbers that are in no file any more."""
        self.cut: set[str] = set()
        """Files that end within a record for good."""
        self.half_read: set[str] = set()
        """Files of which something was destroyed when something of them had been handed out."""

    def teardown(self) -> None:
        self.logger.removeHandler(self.told)
        shutil.rmtree(self.base)

    @initialize(count=st.integers(0, 3))
    def begin(self, count: int) -> None:
        for _ in range(count):
            self.come("jsonl", 2)
        self.spool.settle()
        self.spool.look()
        self.store(0)

    @rule(form=st.sampled_from(FORMS), count=st.integers(0, 3))
    def come(self, form: str, count: int) -> None:
        """A file with a later name than all others."""
        self.end()
        name = f"{self.number}.{form}"
        self.number += 10
        self.spool.write(name, packed(name, header(name) + self.made(name, count)))

    @precondition(lambda self: any(self.names()))
    @rule(count=st.integers(1, 3), torn=st.booleans())
    def grow(self, count: int, torn: bool) -> None:
        """The last file, unless it is packed; maybe not by whole records."""
        name = self.names()[-1]
        if name.endswith((".gz", ".zst")) or name in self.cut:
            return
        self.end()
        self.spool.write(name, self.made(name, count))
        if torn and name.endswith("jsonl"):
            self.spool.write(name, b'{"n":')
            self.begun = name

    @rule(count=st.integers(1, 2))
    def come_too_late(self, count: int) -> None:
        """A file with an earlier name than one that is there."""
        earlier = f"{self.number - 15}.jsonl"
        if not (self.spool.root / earlier).exists():
            self.spool.write(earlier, self.made(earlier, count))

    @precondition(lambda self: any(self.names()))
    @rule(data=st.data())
    def replace(self, data: st.DataObject) -> None:
        """By a file with other records, which begins otherwise."""
        name = data.draw(st.sampled_from(self.names()))
        self.destroy(name)
        self.spool.replace(name, packed(name, header(name) + self.made(name, 2)))

    @precondition(lambda self: any(self.names()))
    @rule(data=st.data())
    def shrink(self, data: st.DataObject) -> None:
        path = self.spool.root / data.draw(st.sampled_from(self.names()))
        self.destroy(path.name)
        self.cut.add(path.name)
        if path.stat().st_size:
            self.spool.write(path.name, b"")
            with path.open("r+b") as file:
                file.truncate(path.stat().st_size // 2)

    @precondition(lambda self: any(self.names()))
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(self.names()))
        self.destroy(name)
        (self.spool.root / name).unlink()

    @rule()
    def look(self) -> None:
        self.spool.look()

    @rule()
    def settle(self) -> None:
        self.spool.settle()
        self.spool.look()

    @rule(most=st.integers(1, 60), leases=st.integers(1, 5))
    def read(self, most: int, leases: int) -> None:
        """Some leases."""
        found = self.spool.records(0, self.at, most, leases)
        self.at = self.spool.at
        for offset, line in found:
            number = number_in(line)
            if number is not None:
                self.handed.append((offset, number))

    @rule(back=st.integers(0, 4))
    def store(self, back: int) -> None:
        """A checkpoint at one of the last records, or behind all."""
        places = [self.kept_at] if hasattr(self, "kept_at") else []
        behind = [offset for offset, _ in self.handed[-back:]] if back else []
        self.kept_at = max([behind[0] if behind else self.at, *places])
        self.kept = self.spool.stored(self.kept_at)
        self.spool.source.committed({0: self.kept_at})
        wait_for_another_time(self.base)

    @rule()
    def restart(self) -> None:
        """What came behind the checkpoint comes again."""
        self.spool.go_on(self.kept)
        self.at = self.kept_at
        self.handed = [(offset, number) for offset, number in self.handed if offset < self.at]

    @invariant()
    def nothing_is_handed_out_twice_or_in_part(self) -> None:
        numbers = [number for _, number in self.handed]
        assert len(set(numbers)) == len(numbers)
        assert set(numbers) <= self.written.keys()
        offsets = [offset for offset, _ in self.handed]
        assert offsets == sorted(set(offsets))

    def at_the_end(self) -> None:
        """All is read: what is missing was in a file that was told."""
        self.end()
        for _ in range(3):
            self.settle()
            self.read(1 << 20, 1 << 20)
        handed = {number for _, number in self.handed}
        missing = {self.written[number] for number in self.written.keys() - handed - self.destroyed}
        told = self.told.names
        if not any(name.startswith("(") for name in told):
            assert missing | self.half_read <= told

    def made(self, name: str, count: int) -> bytes:
        """So many records of a file."""
        numbers = range(self.next, self.next + count)
        self.next += count
        self.written.update(dict.fromkeys(numbers, name))
        form = b"%d\n" if ".csv" in name else b'{"n":"%d"}\n'
        return b"".join(form % number for number in numbers)

    def end(self) -> None:
        """What was begun gets its end."""
        if self.begun and (self.spool.root / self.begun).exists():
            self.written[self.next] = self.begun
            self.spool.write(self.begun, b'"%d"}\n' % self.next)
            self.next += 1
        self.begun = ""

    def destroy(self, name: str) -> None:
        """What is not handed out of a file never will be."""
        self.begun = "" if self.begun == name else self.begun
        handed = {number for _, number in self.handed}
        numbers = {number for number, file in self.written.items() if file == name} - self.destroyed
        # What has come since the last look nobody can know of.
        seen = self.at < self.spool.source.end(0)
        if seen and numbers & handed and numbers - handed:
            self.half_read.add(name)
        self.destroyed |= numbers

    def names(self) -> list[str]:
        return [name for name in self.spool.files(self.spool.root) if not name.endswith(".part")]


def header(name: str) -> bytes:
    return b"n\n" if ".csv" in name else b""


def packed(name: str, content: bytes) -> bytes:
    if name.endswith(".gz"):
        return gzip.compress(content, mtime=0)
    return zstandard.compress(content) if name.endswith(".zst") else content


def number_in(line: bytes) -> int | None:
    """None: no record was written so."""
    digits = line.removeprefix(b'{"n":"').removesuffix(b'"}')
    return int(digits) if digits.isdigit() else None


class Ending(Changing):
    """The same, and what is missing in the end."""

    def teardown(self) -> None:
        try:
            self.at_the_end()
        finally:
            super().teardown()


TestChanging = Ending.TestCase
TestChanging.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
