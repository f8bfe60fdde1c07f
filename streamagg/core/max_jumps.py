"""What other max jumps would make of the records of a log: late ones, and those rejected as future."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from streamagg.core.partition_clock import Outcome, PartitionClock, PartitionState
from streamagg.core.windows import Windows
from streamagg.model.columns import NO_COLUMNS, BoolColumn, Int64Column
from streamagg.model.settings import WindowSettings

LISTED_MS: Final = tuple(seconds * 1_000 for seconds in (60, 3_600, 86_400))
"""Max jumps tried beside the default: a minute, an hour, a day. Each is a clock of its own, and costs a pass
over all records."""


@dataclass(slots=True)
class Loss:
    """What a max jump costs, all partitions together."""

    late: int = 0
    future: int = 0

    def add(self, outcome: Outcome) -> None:
        """Take what a block has come to."""
        self.late += outcome.late
        self.future += len(outcome.future)


class MaxJumps:
    """Adds up what each max jump costs."""

    def __init__(self, settings: WindowSettings, default_ms: int) -> None:
        others = {default_ms, *LISTED_MS} - {settings.max_jump_ms}
        self.losses = {max_jump_ms: Loss() for max_jump_ms in sorted(others)}
        """By max jump, without that of the settings."""
        self._windows = [Windows(replace(settings, max_jump_ms=each)) for each in self.losses]

    def clocks(self, begin: int) -> "Trial":
        """The clocks of a partition that is read from an offset on."""
        return Trial(
            [PartitionClock(windows, NO_COLUMNS, PartitionState(begin)) for windows in self._windows],
            list(self.losses.values()),
        )


@dataclass(frozen=True, slots=True)
class Trial:
    """One partition: a clock for each max jump."""

    clocks: Sequence[PartitionClock]
    losses: Sequence[Loss]

    def feed(
        self,
        event_time_ms: Int64Column,
        offset: Int64Column,
        next_offset: int,
    ) -> None:
        """Apply the decodable records of a block, columns of shape ``(n,)``.

        None of them is live: that depends on max jump, and only spares others the wait after a gap.
        """
        live: BoolColumn = np.zeros(len(offset), np.bool_)
        for clock, loss in zip(self.clocks, self.losses, strict=True):
            loss.add(clock.feed(event_time_ms, (), offset, live, next_offset))

    def end(self) -> None:
        """The partition has ended."""
        for clock, loss in zip(self.clocks, self.losses, strict=True):
            loss.add(clock.end())
