"""Files that are finished: every record counts, whatever order they come in.

Without a clock nothing is late and no window closes before the end. So neither the order of blocks
matters nor which file they are from, and what is counted lies in this process: no worker can lose it.
"""

from collections.abc import Iterator, Sequence
from itertools import count as numbers

from streamagg.core.closed_window import ClosedWindow
from streamagg.core.finished_periods import FinishedPeriods
from streamagg.core.measures.uniques import Uniques
from streamagg.core.pairs import counted
from streamagg.core.window_store import WindowStore
from streamagg.core.window_tables import WindowTables, named
from streamagg.core.windows import Windows
from streamagg.engine.main_loop import read
from streamagg.engine.pair_store import PairStore
from streamagg.engine.reporting.symptoms import Symptoms
from streamagg.engine.session.leases import BYTES, LeaseBook
from streamagg.engine.workers.contract import Workers
from streamagg.model.columns import USER, Columns, schema_of, wants_positions, with_positions
from streamagg.model.counters import Counters
from streamagg.model.messages import ColumnBlock, Revoke
from streamagg.model.results import WindowTable
from streamagg.model.settings import NO_CEILING, PLAIN, CeilingSettings, DecodeSettings, WindowSettings


class AnyOrder:
    """Reads files to their ends, then gives their windows."""

    def __init__(
        self,
        window: WindowSettings,
        ends: Sequence[int],
        workers: Workers,
        store: PairStore,
        decode: DecodeSettings = PLAIN,
        ceiling: CeilingSettings = NO_CEILING,
    ) -> None:
        """``ends``: bytes of each file, as ``LeaseBook.add_partition`` takes them.

        ``store``: takes the users where nothing else is asked for.
        """
        self.counts = {number: Counters() for number in range(len(ends))}
        """By file."""
        self.symptoms = Symptoms()
        self.passed = 0
        """Bytes that have been read, of all files together."""
        self._windows = Windows(window)
        self._workers = workers
        self._pairs = store
        self._store = None if decode.plain and not window.calendars else WindowStore(decode, ceiling)
        self._schema = schema_of(decode)
        self._with_positions = wants_positions(decode)
        self._tables = WindowTables(decode, ceiling)
        self._periods = FinishedPeriods(window, decode, ceiling, self._tables)
        self._ceiling = ceiling
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

    def counted(self, *, empty_windows: bool) -> Iterator[WindowTable]:
        """The windows of what has been read, in order; raises TooManyUsers before one that stops it."""
        before: int | None = None
        tables = self._tables
        for closing in self._closed():
            yield from self._periods.ended(closing.window)
            found = tables.combined(closing.answers)
            what = named("window", self._windows.start_ms(closing.window))
            if (refusal := tables.refusal(found, what)) is not None:
                raise refusal
            if empty_windows and before is not None:
                yield from map(tables.empty, range(before + 1, closing.window))
            before = closing.window
            yield tables.table(closing, found)
        yield from self._periods.ended(None)

    def _closed(self) -> Iterator[ClosedWindow]:
        if self._store is None:
            yield from counted(self._pairs.pieces(), Uniques(USER, self._ceiling).keep)
            return
        for window in self._store.windows():
            answer = window.answer()
            yield ClosedWindow(window.number, False, answers=[answer])
            self._periods.absorb(window, answer)

    def _count(self, block: ColumnBlock) -> None:
        self.symptoms.note(block)
        counts = self.counts[block.partition]
        counts.read(block)
        counts.counted += len(block)
        self.passed += block.next - block.first
        windows, columns = self._windows.number(block.event_times()), self._schema.view(block.columns)
        if self._store is None:
            self._pairs.add(windows, columns[USER])
        else:
            self._store.add(windows, self._delivered(block, columns), block.groups)

    def _delivered(self, block: ColumnBlock, columns: Columns) -> Columns:
        if not self._with_positions:
            return columns
        return with_positions(columns, block.event_times(), block.partition, block.offsets())
