"""A stream of records into files of a directory, each partition as another kind of program writes."""

import gzip
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Final, Literal

from tests.chaos.shape import Shape
from tests.chaos.stream import Stream
from tests.chaos.truth import Truth

FOREIGN_USERS: Final = 1_000_000
"""Users from here on are in no count."""
Habit = Literal["appends", "renames", "packs"]
_HABITS: Final[tuple[Habit, ...]] = ("appends", "renames", "appends", "packs")
_STEPS: Final[dict[Habit, int]] = {"appends": 75, "renames": 10, "packs": 15}
"""How many a file is of."""
_TORN_BYTES: Final = 20
"""Of the last line, that are not there yet; at most."""


class Writer:
    """Of one directory; what it is given is there, in whole lines, once ``end`` is called."""

    def __init__(self, folder: Path, habit: Habit, random: Random) -> None:
        self.folder = folder
        self.finished: list[Path] = []
        """Whole files, in order."""
        self._habit: Habit = habit
        self._random = random
        self._lines = bytearray()
        self._steps = 0
        folder.mkdir(parents=True)

    @property
    def is_plain(self) -> bool:
        """It packs nothing."""
        return self._habit != "packs"

    @property
    def path(self) -> Path:
        """Of the file that comes next, or grows."""
        return self.folder / f"{len(self.finished):08d}.jsonl{'.gz' if self._habit == 'packs' else ''}"

    def add(self, payload: bytes) -> None:
        """One more line."""
        self._lines += payload + b"\n"

    def step(self) -> None:
        """A tick has passed: the last file grows by a part of what waits, or a whole one comes."""
        self._steps += 1
        if self._steps >= _STEPS[self._habit]:
            self.end()
        elif self._habit == "appends":
            self._append(max(0, len(self._lines) - self._random.randrange(_TORN_BYTES)))

    def end(self) -> None:
        """The file is whole, if anything is in it; what comes goes into another one."""
        self._steps = 0
        if self._habit == "appends":
            self._append(len(self._lines))
            if self.path.exists():
                self.finished.append(self.path)
        elif self._lines:
            self._rename(bytes(self._lines))
            self._lines.clear()

    def _append(self, size: int) -> None:
        if size:
            with self.path.open("ab") as file:
                file.write(self._lines[:size])
            del self._lines[:size]

    def _rename(self, content: bytes) -> None:
        part = self.folder / f".{self.path.name}"
        part.write_bytes(gzip.compress(content) if self._habit == "packs" else content)
        path = self.path
        part.rename(path)
        self.finished.append(path)


class FileFeeder(Stream):
    """A directory for each partition."""

    def __init__(self, root: Path, truth: Truth, shape: Shape, random: Random) -> None:
        super().__init__(truth, shape, random)
        self.writers = [
            Writer(root / f"{number:02d}", _HABITS[number % len(_HABITS)], random)
            for number in range(shape.partitions)
        ]
        self._stepping = threading.RLock()

    def flush(self) -> None:
        """Everything is in whole files."""
        for writer in self.writers:
            writer.end()

    @contextmanager
    def standing(self) -> Iterator[None]:
        """No step is taken meanwhile."""
        with self._stepping:
            yield

    def close_window(self, partition: int) -> int:
        """The last record of a partition for now closes a window of the present in it; its start in ms.

        Once that window is out everything of the partition has been read. To be called while it stands.
        """
        self.partitions = [number for number in self.partitions if number != partition]
        window = self._shape.window
        # Half a second of the reach is left, for records that are out of order.
        start_ms = (self.now_ms - 500) // window.granularity_ms * window.granularity_ms
        self._send(partition, start_ms + window.granularity_ms + window.max_lag_ms)
        self.writers[partition].end()
        return start_ms

    def _step(self, chance: Random) -> None:
        with self._stepping:
            super()._step(chance)
            for writer in self.writers:
                writer.step()

    def _put(self, partition: int, payload: bytes) -> None:
        self.writers[partition].add(payload)

    def _stepped(self) -> None:
        """Files need nothing."""

    def _wait(self, seconds: float) -> None:
        time.sleep(seconds)
