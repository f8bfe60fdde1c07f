"""Fetch and decode: leases in, column blocks out. Stateless but for its leases."""

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from streamagg.decode import Decoded, Decoder
from streamagg.records import Batch, ColumnBlock, Lease, Revoke


class Reader(Protocol):
    """Where payloads come from."""

    def add(self, lease: Lease) -> None:
        """Read a further lease."""

    def revoke(self, partition: int | None) -> None:
        """Forget the leases of a partition, or all."""

    @property
    def busy(self) -> bool:
        """There is a lease to read."""

    def poll(self, timeout_ms: int) -> list[Batch]:
        """What has come within the time-out."""

    def close(self) -> None:
        """Give up connections and files."""


class DeadLetters(Protocol):
    """Where rejected records go."""

    def put(self, batch: Batch, rejected: Sequence[tuple[int, str]]) -> None:
        """Write down rejected records, pairs of (position in the batch, reason), before returning."""


class Unmarshaller:
    """Turns the batches of a reader into column blocks."""

    def __init__(
        self, reader: Reader, decoder: Decoder, max_jump_ms: int, dead_letters: DeadLetters | None = None
    ) -> None:
        self._reader = reader
        self._decoder = decoder
        self._max_jump_ms = max_jump_ms
        self._dead_letters = dead_letters

    @property
    def busy(self) -> bool:
        """There is a lease to read."""
        return self._reader.busy

    def handle(self, message: Lease | Revoke) -> None:
        """Take a lease, or give leases up."""
        if isinstance(message, Lease):
            self._reader.add(message)
        else:
            self._reader.revoke(message.partition)

    def step(self, timeout_ms: int) -> Iterator[ColumnBlock]:
        """Fetch and decode what comes within the time-out."""
        for batch in self._reader.poll(timeout_ms):
            decoded = self._decoder.decode(batch.payloads)
            if decoded.rejected and self._dead_letters is not None:
                self._dead_letters.put(batch, decoded.rejected)
            yield _block(batch, decoded, self._max_jump_ms)

    def close(self) -> None:
        """Give up connections and files."""
        self._reader.close()


def _block(batch: Batch, decoded: Decoded, max_jump_ms: int) -> ColumnBlock:
    whole = len(decoded.index) == len(batch.payloads)
    live = None
    if batch.timestamps_ms is not None:
        timestamps = batch.timestamps_ms[decoded.index]
        live = ((np.abs(timestamps - decoded.event_time_ms) <= max_jump_ms) & (timestamps >= 0)).tobytes()
    rejected: dict[str, int] = {}
    for _, reason in decoded.rejected:
        rejected[reason] = rejected.get(reason, 0) + 1
    return ColumnBlock(
        lease=batch.lease,
        partition=batch.partition,
        first=batch.first,
        next=batch.next,
        end=batch.end,
        caught_up=batch.caught_up,
        consumed=len(batch.payloads),
        rejected=rejected,
        event_time_ms=decoded.event_time_ms.tobytes(),
        user=decoded.user.tobytes(),
        delta=((batch.offsets if whole else batch.offsets[decoded.index]) - batch.first)
        .astype(np.uint32)
        .tobytes(),
        live=live,
    )
