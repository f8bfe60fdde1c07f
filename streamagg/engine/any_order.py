"""Files that are finished: every record counts, whatever order they come in.

Without a clock nothing is late and no window closes before the end. So neither the order of blocks
matters nor which file they are from, and what is counted lies in this process: no worker can lose it.
"""

from collections.abc import Iterator, Sequence
from itertools import count as numbers

from streamagg.core.closed_window import empty_window
from streamagg.core.measures.counts import Records
from streamagg.core.measures.uniques import Uniques
from streamagg.core.pairs import counted
from streamagg.core.windows import Windows
from streamagg.engine.main_loop import read
from streamagg.engine.pair_store import PairStore
from streamagg.engine.reporting.symptoms import Symptoms
from streamagg.engine.session.leases import BYTES, LeaseBook
from streamagg.engine.workers.contract import Workers
from streamagg.model.columns import ROWS, USER
from streamagg.model.counters import Counters
from streamagg.model.messages import ColumnBlock, Revoke
from streamagg.model.results import WindowTable
from streamagg.model.settings import CeilingSettings


class AnyOrder:
    """Reads files to their ends, then gives their windows."""

    def __init__(self, windows: Windows, ends: Sequence[int], workers: Workers, store: PairStore) -> None:
        """``ends``: bytes of each file, as ``LeaseBook.add_partition`` takes them."""
        self.counts = {number: Counters() for number in range(len(ends))}
        """By file."""
        self.symptoms = Symptoms()
        self.passed = 0
        """Bytes that have been read, of all files together."""
        self._windows = windows
        self._workers = workers
        self._store = store
        self._leases = LeaseBook(len(workers.unmarshallers), numbers(), BYTES)
        for number, end in enumerate(ends):
            self._leases.add_partition(number, 0, end, end, timestamps=False)

    @property
    def finished(self) -> bool:
        """Everything is read."""
        return all(self._leases.finished(number) for number in self.counts)

    def turn(self, timeout_ms: int) -> None:
        """Take what comes within the time-out, and give out what is to be read next.

        Raises the StreamaggError that a worker reports, and one if there is no room on the disk.
        """
        wanted = ((number, 0) for number in self.counts)
        for block in read(self._leases, self._workers, wanted, timeout_ms):
            self._count(block)

    def end_here(self) -> None:
        """Read no further."""
        self._leases.end_here()
        for port in self._workers.unmarshallers:
            port.post(Revoke())

    def counted(self, ceiling: CeilingSettings, *, empty_windows: bool) -> Iterator[WindowTable]:
        """The windows of what has been read, in order; raises TooManyUsers before one that stops it."""
        before: int | None = None
        for closing in counted(self._store.pieces(), Uniques(USER, ceiling), Records()):
            if (refusal := closing.refusal(self._windows)) is not None:
                raise refusal
            if empty_windows and before is not None:
                yield from map(empty_window, range(before + 1, closing.window))
            before = closing.window
            yield closing.table()

    def _count(self, block: ColumnBlock) -> None:
        self.symptoms.note(block)
        counts = self.counts[block.partition]
        counts.read(block)
        counts.counted += len(block)
        self.passed += block.next - block.first
        self._store.add(self._windows.number(block.event_times()), ROWS.view(block.columns)[USER])
