"""A tree of directories as a source."""

from collections.abc import Callable, Collection, Iterable, Mapping
from hashlib import sha256
from threading import RLock
from time import time
from typing import Final

from streamagg.core import checkpoint
from streamagg.errors import CheckpointError, SettingsError
from streamagg.model.batch import Identity, Standing
from streamagg.model.measured import ClientNumbers
from streamagg.sources.contract import Ask, At, Stored, Stretch, Unit
from streamagg.sources.directory import mark
from streamagg.sources.directory.disk import Disk, LocalDisk, below
from streamagg.sources.directory.forms import is_record_file
from streamagg.sources.directory.log import DirectoryLog
from streamagg.sources.directory.mark import Mark
from streamagg.sources.directory.reader import DirectoryReader
from streamagg.sources.directory.tree import Tree
from streamagg.sources.directory.watch import watch

SETTLE_MS: Final = 2_000
_LEAST_HOLD_MS: Final = 60_000
_ID_DIGITS: Final = 22


class DirectorySource:
    """Each directory of a tree that has files is a partition; implements ``sources.contract.Source``.

    Partitions keep their numbers: those of a start are in order of their names, and a directory that gets its
    first file later has the next number. One that goes away stays, without files.
    """

    unit: Unit = "bytes"
    repeatable = True
    hidden_by = "a file there is still being written"

    def __init__(
        self,
        path: str,
        settle_ms: int = SETTLE_MS,
        done_dir: str | None = None,
        number_fields: Collection[str] = (),
        disk: Disk | None = None,
        clock_ms: Callable[[], int] = lambda: int(time() * 1_000),
    ) -> None:
        """``done_dir``: where files go that are counted; ``number_fields``: columns of CSV that hold numbers.

        ``clock_ms``: the time of the file system.
        """
        self.name = path
        self._settle_ms = settle_ms
        self._done_dir = done_dir
        self._number_fields = number_fields
        self._disk = disk or LocalDisk()
        self._clock_ms = clock_ms
        self._tree = Tree(self._disk, path)
        self._logs: list[DirectoryLog] = []
        self._is_directory = False
        self._restored = False
        self._watched = False
        self._leads = False
        self._looking = RLock()
        """Of whoever looks; taken before the other one."""
        self._lock = RLock()
        """Of the logs: a thread looks while the main loop cuts leases."""
        self.numbers = ClientNumbers()
        """What this process has met with."""

    @property
    def marks(self) -> "DirectorySource":
        """They are found by what is known here."""
        return self

    def partitions(self) -> int:
        """As many as directories with files, and one at least."""
        return self.identity().partitions

    def identity(self) -> Identity:
        """A directory that was made anew is another one; raises SettingsError if there is none."""
        found = self._disk.stat(self.name)
        # Listing takes long where there are many files; what has become of them is for ``look``.
        self._is_directory = self._is_directory or self._disk.entries(self.name) is not None
        if found is None or not self._is_directory:
            raise SettingsError(f"{self.name} is no directory: make it, or give another one.")
        self.look()
        number = str(found.inode).encode()
        return Identity(sha256(number).hexdigest()[:_ID_DIGITS], max(1, len(self._logs)))

    def confirm(self, expected: str) -> Identity:
        """Raises CheckpointError when it was made anew. Only the leader asks: from here on it is watched."""
        if not self._watched:
            self._watched = True
            watch(self.name, self.look)
        found = self.identity()
        if found.differs(expected):
            raise CheckpointError(
                f"{self.name} was deleted and made anew while it was read: what its names mean is not known. "
                "Start anew with --from earliest"
            )
        return found

    def offsets(self, partitions: Iterable[int], at: At) -> dict[int, int]:
        """Lines have no timestamps: of those at a time or later, the first is the first of all."""
        if not self._logs:
            self.look()
        with self._lock:
            return {n: log.end if at == "latest" else log.begin for n, log in self._of(partitions)}

    def log_ends(self, partitions: Iterable[int]) -> dict[int, int]:
        """With what is still being written."""
        self.look()
        with self._lock:
            now_ms = self._clock_ms()
            return {number: log.log_end(now_ms) for number, log in self._of(partitions)}

    def held(self, standing: Mapping[int, Standing]) -> dict[int, str]:
        """Those of which less can be read than there was."""
        self.look()
        with self._lock:
            return {n: self.hidden_by for n, log in self._of(standing) if log.end < standing[n].end}

    def hold_timeout_ms(self) -> int:
        """Some settle times."""
        return max(_LEAST_HOLD_MS, 10 * self._settle_ms)

    def reader(self, max_record_bytes: int, numbers: ClientNumbers) -> DirectoryReader:
        """It knows nothing but its leases."""
        return DirectoryReader(self._disk, self.name, max_record_bytes, numbers, self._number_fields)

    def look(self) -> None:
        """Take note of what has changed."""
        with self._looking:
            changed = self._tree.changes(self._clock_ms)
            with self._lock:
                self._note(changed)

    def _note(self, changed: Mapping[str, Mapping[str, int]]) -> None:
        known = {log.directory for log in self._logs}
        fresh = sorted(name for name in changed.keys() - known if any(map(is_record_file, changed[name])))
        if not fresh and not self._logs:
            fresh = [""]
        self._logs += [self._log(Mark(name)) for name in fresh]
        for log in self._logs:
            log.look(changed.get(log.directory), self._clock_ms())
            if self._leads:
                log.clear_away()

    def recall(self, ask: Ask) -> Stored:
        """Go on with the numbers and places of stored checkpoints; raises CheckpointError."""
        count = self.partitions()
        stored = ask(range(count))
        while len(stored) >= count:
            # Directories may have gone since.
            count *= 2
            stored = ask(range(count))
        marks = {number: mark.decode(checkpoint.mark_of(text)) for number, (_, text) in stored.items()}
        with self._looking, self._lock:
            if marks and not (self._restored and all(self._holds(n, at) for n, at in marks.items())):
                self._begin([marks[number] for number in sorted(marks)], restored=True)
            self._cover({number: at.base + at.byte for number, at in marks.items()})
        return stored

    def forget(self) -> None:
        """Begin with the first files, whatever was recalled."""
        with self._looking, self._lock:
            if self._restored:
                self._begin([], restored=False)

    def mark(self, partition: int, offset: int) -> str:
        """What to store with an offset."""
        with self._lock:
            return self._logs[partition].mark(offset).encode()

    def end(self, partition: int) -> int:
        """How far readers get."""
        return self._logs[partition].end if partition < len(self._logs) else 0

    def stretch(self, partition: int, start: int, most: int, limit: int) -> Stretch:
        """A lease, and what its reader has to know."""
        with self._lock:
            return self._logs[partition].stretch(start, most, limit)

    def committed(self, offsets: Mapping[int, int]) -> None:
        """What is before them is not asked for again. Only the leader knows: from here on it moves files."""
        with self._lock:
            self._leads = True
            self._cover(offsets)

    def _cover(self, offsets: Mapping[int, int]) -> None:
        for number, log in self._of(offsets):
            log.committed(offsets[number])

    def _holds(self, number: int, at: Mark) -> bool:
        return number < len(self._logs) and self._logs[number].holds(at)

    def _begin(self, marks: Iterable[Mark], *, restored: bool) -> None:
        self._logs, self._restored = [self._log(at) for at in marks], restored
        self._tree.forget()
        self.look()

    def _of(self, partitions: Iterable[int]) -> list[tuple[int, DirectoryLog]]:
        return [(number, self._logs[number]) for number in partitions if number < len(self._logs)]

    def _log(self, at: Mark) -> DirectoryLog:
        done = None if self._done_dir is None else below(self._done_dir, at.directory)
        return DirectoryLog(self._disk, self.name, at, self._settle_ms, self.numbers, done)
