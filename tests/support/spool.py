"""A tree of files that is read by hand: its clock, its leases and its starts."""

import os
from collections.abc import Iterable
from itertools import count
from pathlib import Path

from streamagg.core import checkpoint
from streamagg.core.checkpoint import Checkpoint
from streamagg.core.partition_clock import PartitionState
from streamagg.model.measured import ClientNumbers
from streamagg.model.messages import Lease
from streamagg.model.settings import WindowSettings
from streamagg.sources.contract import UNKNOWN_END, Stored
from streamagg.sources.directory import DirectorySource

SETTLE_MS = 2_000
START_MS = 1_800_000_000_000


class Spool:
    """A tree of files, a clock that is set by hand, and a leader that reads."""

    def __init__(self, root: Path, done: Path | None = None) -> None:
        self.root = root / "in"
        self.root.mkdir()
        self.done = root / "done" if done is None else done
        self.now_ms = START_MS
        self.numbers = ClientNumbers()
        self.moves = False
        self.number_fields: tuple[str, ...] = ()
        self.restart()

    def restart(self) -> None:
        """Another process, which knows nothing."""
        done = str(self.done) if self.moves else None
        self.source = DirectorySource(
            str(self.root), SETTLE_MS, done, self.number_fields, clock_ms=lambda: self.now_ms
        )
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
        return [line for _, line in self.records(partition, at, most)]

    def records(self, partition: int, at: int, most: int, leases: int = 1 << 30) -> list[tuple[int, bytes]]:
        """With their offsets; no more than so many leases of this size. ``at`` is where reading ends."""
        found: list[tuple[int, bytes]] = []
        reader = self.source.reader(1 << 20, self.numbers)
        for _ in range(leases):
            if at >= self.source.end(partition):
                break
            stop, where = self.source.stretch(partition, at, most, UNKNOWN_END)
            assert stop > at
            reader.add(Lease(next(self.ids), partition, at, stop, where=where))
            while reader.busy:
                for batch in reader.poll(0):
                    assert batch.first == at
                    assert all(at <= offset < batch.next for offset in batch.offsets.tolist())
                    at = batch.next
                    pairs = zip(batch.offsets.tolist(), batch.payloads, strict=True)
                    found += [(offset, line) for offset, line in pairs if line is not None]
            assert at == stop
        self.at = at
        return found

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

    def replace(self, name: str, content: bytes) -> None:
        """By another file."""
        self.write(f"{name}.part", content)
        (self.root / f"{name}.part").rename(self.root / name)

    def rewrite(self, name: str, content: bytes) -> None:
        """The same file."""
        os.truncate(self.root / name, 0)
        self.write(name, content)

    def files(self, root: Path) -> list[str]:
        return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())

    @property
    def skipped(self) -> dict[str, int]:
        both = (self.numbers.skipped, self.source.numbers.skipped)
        return {why: sum(one.get(why, 0) for one in both) for why in {**both[0], **both[1]}}


def wait_for_another_time(directory: Path) -> None:
    """What changes from here on has a later time of its change than what did before."""
    path = directory / "tick"
    path.touch()
    before = path.stat().st_ctime_ns
    while path.stat().st_ctime_ns == before:
        path.touch()
