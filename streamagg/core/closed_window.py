"""A closed window while the counts of its shards come in, and what they add up to."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np

from streamagg.core.measures.sketch import estimate, merged
from streamagg.core.windows import Windows
from streamagg.errors import TooManyUsers
from streamagg.model.columns import UInt64Column
from streamagg.model.messages import ShardCount
from streamagg.model.results import WindowCount
from streamagg.model.settings import CeilingSettings

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class ClosedWindow:
    """A user is in one shard, so counts add up; what is above the ceiling depends on the sum alone."""

    window: int
    records: int
    partial: bool
    missing: set[int]
    """Shards that have not answered."""
    unique: int | None = 0
    """So far; None: more than the ceiling in one shard."""
    smallest: UInt64Column = field(default_factory=lambda: np.empty(0, np.uint64))

    def add(self, count: ShardCount, shard: int) -> None:
        """Take the answer of a shard."""
        self.missing.discard(shard)
        self.unique = None if self.unique is None or count.unique is None else self.unique + count.unique
        if count.smallest:
            self.smallest = merged(self.smallest, np.frombuffer(count.smallest, np.uint64))

    def stops(self, ceiling: CeilingSettings) -> bool:
        """It may not be published, and nothing behind it."""
        return ceiling.above == "stop" and self._above(ceiling)

    def count(self, ceiling: CeilingSettings) -> WindowCount:
        """The sum of all shards, or an estimate if it is above the ceiling."""
        if self.unique is None or self._above(ceiling):
            about = estimate(self.smallest)
            return WindowCount(self.window, about.unique, self.records, self.partial, about.error)
        return WindowCount(self.window, self.unique, self.records, self.partial)

    def refusal(self, windows: Windows, ceiling: CeilingSettings) -> TooManyUsers:
        """Why the run stops here."""
        start = _EPOCH + timedelta(milliseconds=windows.start_ms(self.window))
        return TooManyUsers(
            f"The window of {start:%Y-%m-%dT%H:%M:%SZ} has more than {ceiling.max_users:,} unique users, so"
            " neither it nor a later one is published. Run again with a higher --max-users, or with"
            " --above-max-users approximate."
        )

    def _above(self, ceiling: CeilingSettings) -> bool:
        if ceiling.max_users is None:
            return False
        return self.unique is None or self.unique > ceiling.max_users
