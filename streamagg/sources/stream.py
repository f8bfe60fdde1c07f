"""Standard input as a source: read once, from its front, until whoever writes it closes it.

Its offsets are bytes, after decompression. Live, a line counts as appended when it was read, so that an event
time close to that is believed at once, and time goes on in silence; else silence is only waiting.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from time import time

import numpy as np

from streamagg.model.batch import Batch, Identity, Standing
from streamagg.model.measured import ClientNumbers
from streamagg.model.places import STREAM
from streamagg.sources.contract import UNKNOWN_END, At, Unit
from streamagg.sources.files import FileReader


class StreamSource:
    """Implements ``sources.contract.Source`` with one partition."""

    name = "standard input"
    unit: Unit = "bytes"
    repeatable = False
    marks = None
    hidden_by = "it is not written to its end"

    def __init__(self, *, live: bool) -> None:
        self._live = live

    def partitions(self) -> int:
        """One."""
        return 1

    def identity(self) -> Identity:
        """All that is known is that it is none of those that can be read again."""
        return Identity("standard-input", 1)

    def confirm(self, expected: str) -> Identity:
        """It stays what it is as long as this process lives."""
        return self.identity()

    def offsets(self, partitions: Iterable[int], at: At) -> dict[int, int]:
        """Nothing has come yet."""
        return dict.fromkeys(partitions, 0)

    def log_ends(self, partitions: Iterable[int]) -> dict[int, int]:
        """Nobody knows."""
        return dict.fromkeys(partitions, UNKNOWN_END)

    def held(self, standing: Mapping[int, Standing]) -> dict[int, str]:
        """Whoever writes it may take any time."""
        return {}

    def hold_timeout_ms(self) -> int:
        """Nothing is held up."""
        return 0

    def reader(self, max_record_bytes: int, numbers: ClientNumbers) -> FileReader:
        """It has no client."""
        return LiveReader(max_record_bytes) if self._live else FileReader([STREAM], max_record_bytes)


class LiveReader(FileReader):
    """Says when lines have come, and when none are there."""

    def __init__(self, max_record_bytes: int) -> None:
        super().__init__([STREAM], max_record_bytes)
        self._at = 0
        self._told = False
        """That nothing is there."""

    def _batch(self, partition: int) -> Batch | None:
        lease = self._readings[partition].leases[0].id
        batch = super()._batch(partition)
        if batch is not None:
            self._at, self._told = batch.next, False
            return _stamped(batch)
        if self._told:
            return None
        self._told = True
        return Batch(lease, partition, self._at, self._at, self._at, True, [], _NOTHING, growing=True)


_NOTHING = np.empty(0, np.int64)


def _stamped(batch: Batch) -> Batch:
    now_ms = np.full(len(batch.payloads), int(time() * 1000))
    return replace(batch, timestamps_ms=now_ms, appended_ms=now_ms)
