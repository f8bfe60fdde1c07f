"""Files that are not read to their ends: because somebody interrupts, or because one is damaged.

What has been counted until then is reported all the same, and marked as what it is: a part.
"""

import signal
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import FrameType

import msgspec

from streamagg.core.windows import Windows
from streamagg.errors import FileUnreadable
from streamagg.model.results import WindowTable
from streamagg.signals import handled
from streamagg.sinks.callback import Emit
from streamagg.telemetry import logs


class EarlyEnd:
    """SIGINT and SIGTERM ask for the end; the second one ends at once with KeyboardInterrupt."""

    def __init__(self) -> None:
        self.requested = False
        self.early = False
        """Reading has been ended, so that what comes out from now on may lack records."""
        self.unreadable: FileUnreadable | None = None
        """What is wrong with the first file that could not be read to its end."""

    def __call__(self, _signal: int, _frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        logs.tell("interrupted", "interrupted")

    def installed(self) -> AbstractContextManager[None]:
        """Handle the signals that are not ignored."""
        numbers = [n for n in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(n) is not signal.SIG_IGN]
        return handled(numbers, self)

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Other files are read on when one cannot be."""
        try:
            yield
        except FileUnreadable as error:
            self.unreadable = self.unreadable or error

    def marking(self, emit: Emit) -> Emit:
        """Hands windows on, as partial from an early end on; a request when all is read is none."""

        def marked(windows: Windows, counts: Sequence[WindowTable]) -> None:
            if self.early or self.unreadable is not None:
                counts = [msgspec.structs.replace(count, partial=True) for count in counts]
            emit(windows, counts)

        return marked

    def judge(self) -> None:
        """Raises KeyboardInterrupt or FileUnreadable if the counts are not those of all records."""
        if self.unreadable is not None:
            raise FileUnreadable(f"{self.unreadable} What was counted is a part, and marked as partial.")
        if self.requested:
            raise KeyboardInterrupt
