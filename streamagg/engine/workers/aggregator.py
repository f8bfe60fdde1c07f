"""Counts the users of one shard: rows of windows in, counts of closed windows out."""

from collections.abc import Iterator
from time import perf_counter

from streamagg.core.ring import Ring
from streamagg.model.columns import delivered_schema_of, selected
from streamagg.model.measured import StageTimes
from streamagg.model.messages import (
    AggregatorSetup,
    CloseWindow,
    FreeWindow,
    Heartbeat,
    Reset,
    ShardCount,
    WindowRows,
)


class Aggregator:
    """One shard's ring of windows."""

    def __init__(self, setup: AggregatorSetup) -> None:
        self._setup = setup
        self._schema = delivered_schema_of(setup.decode)
        self._ring = self._empty_ring()
        self._epoch = 0
        self.times = StageTimes()

    def users(self) -> dict[int, int]:
        """Users held, by window (see ``State.users``)."""
        return self._ring.users()

    @property
    def users_bytes(self) -> int:
        """Memory of the users held."""
        return self._ring.nbytes

    def heartbeat(self, cpu_s: float, rss_bytes: int) -> Heartbeat:
        """What it has done and holds, in a process that uses so much."""
        return Heartbeat(cpu_s, rss_bytes, self.times, users=self.users(), users_bytes=self.users_bytes)

    def handle(self, message: WindowRows | CloseWindow | FreeWindow | Reset) -> Iterator[ShardCount]:
        """Take one message; yields the count when it closes a window."""
        match message:
            case WindowRows():
                self._add(message)
            case CloseWindow(window):
                found = self._ring.answer(window)
                yield ShardCount(self._epoch, window, list(found.summaries), found.groups, found.dropped)
            case FreeWindow(window):
                self._ring.free(window)
            case Reset(epoch):
                self._ring = self._empty_ring()
                self._epoch = epoch

    def _add(self, rows: WindowRows) -> None:
        began = perf_counter()
        columns, start = self._schema.view(rows.columns), 0
        for window, count in zip(rows.windows, rows.counts, strict=True):
            self._ring.add(window, selected(columns, slice(start, start + count)), count, rows.groups)
            start += count
        self.times.took("add", perf_counter() - began)

    def _empty_ring(self) -> Ring:
        return Ring(self._setup.slots, self._setup.decode, self._setup.ceiling)
