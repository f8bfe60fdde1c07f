"""Pairs of window and user without end, in bounded memory: what exceeds it goes to a temporary file.

It grows by runs, each sorted, one column behind the other::

    window, int64 … | user, uint64 … | records, int64 … || window … | user … | records … || …

The file has no name, so that nothing is left of it, however the process ends.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import IO, Final

import numpy as np

from streamagg.core.pairs import Pairs, merged, unique
from streamagg.errors import StreamaggError
from streamagg.model.columns import Int64Column, UInt64Column

MOST_PAIRS: Final = 1 << 20
"""Pairs held in memory: 24 MB, and five times that while they are sorted."""
_COLUMN_BYTES: Final = 8
"""Of an int64 or uint64."""


@dataclass(frozen=True, slots=True)
class _FileRun:
    """A run in the file; its columns begin at the byte ``at``."""

    fileno: int
    at: int
    size: int
    first: tuple[int, int]

    def __len__(self) -> int:
        return self.size

    def read(self, start: int, stop: int) -> Pairs:
        """The rows from ``start`` up to ``stop``, or to the end if that comes first."""
        columns = [self._column(number, start, min(stop, self.size)) for number in range(3)]
        return Pairs(
            np.frombuffer(columns[0], np.int64),
            np.frombuffer(columns[1], np.uint64),
            np.frombuffer(columns[2], np.int64),
        )

    def _column(self, number: int, start: int, stop: int) -> bytes:
        rows = max(0, stop - start)
        return os.pread(
            self.fileno, rows * _COLUMN_BYTES, self.at + (number * self.size + start) * _COLUMN_BYTES
        )


class PairStore:
    """Takes users of windows in any order, and gives them back in order, each pair once."""

    def __init__(self, most: int = MOST_PAIRS) -> None:
        """``most``: pairs that are held in memory, and half of it rows that are not sorted yet."""
        self._most = most
        room = max(1, most // 2)
        # Untouched room takes no memory.
        self._window = np.empty(room, np.int64)
        self._user = np.empty(room, np.uint64)
        self._filled = 0
        self._held: Pairs | None = None
        self._file: IO[bytes] | None = None
        self._runs: list[_FileRun] = []

    def add(self, window: Int64Column, user: UInt64Column) -> None:
        """Take one record in each row, columns of shape ``(n,)``; raises StreamaggError on a full disk."""
        start = 0
        while start < len(window):
            stop = min(len(window), start + len(self._window) - self._filled)
            filled = self._filled + stop - start
            self._window[self._filled : filled] = window[start:stop]
            self._user[self._filled : filled] = user[start:stop]
            start, self._filled = stop, filled
            if filled == len(self._window):
                self._sort_in()

    def pieces(self) -> Iterator[Pairs]:
        """All pairs so far in ascending order, each once, in pieces."""
        if self._filled:
            self._sort_in()
        held = [] if self._held is None else [self._held]
        return merged([*self._runs, *held], self._most)

    def close(self) -> None:
        """Give the disk back."""
        if self._file is not None:
            self._file.close()

    def _sort_in(self) -> None:
        """Sort what has come into what is held, and that onto the disk if it is too much."""
        ones = np.ones(self._filled, np.int64)
        recent = Pairs(self._window[: self._filled], self._user[: self._filled], ones)
        self._filled = 0
        self._held = unique([recent] if self._held is None else [self._held, recent])
        if len(self._held) > self._most:
            self._runs.append(self._written(self._held))
            self._held = None

    def _written(self, pairs: Pairs) -> _FileRun:
        try:
            if self._file is None:
                self._file = TemporaryFile(prefix="streamagg-", buffering=0)  # noqa: SIM115
            at = self._file.seek(0, os.SEEK_END)
            for column in (pairs.window, pairs.user, pairs.records):
                _write(self._file, column.data.cast("B"))
        except OSError as error:
            raise StreamaggError(
                "The windows need more memory than they may take, and the temporary file for the rest cannot"
                f" be written: {error.strerror}. Make room, or name another directory in TMPDIR."
            ) from error
        return _FileRun(self._file.fileno(), at, len(pairs), pairs.first)


def _write(file: IO[bytes], column: memoryview) -> None:
    """All of it: a disk that is nearly full takes a part first."""
    while column:
        column = column[file.write(column) :]
