"""A period that shards are asked for."""

from dataclasses import dataclass

from streamagg.core.closed_window import ClosedWindow
from streamagg.core.period_state import Key
from streamagg.model.results import PeriodName


@dataclass(frozen=True, slots=True)
class AskedPeriod:
    """With the answers of the shards."""

    calendar: int
    name: PeriodName
    closed: ClosedWindow
    """Of the last window that is in it."""

    @property
    def key(self) -> Key:
        """Under which shards know it."""
        return self.calendar, self.name.start_ms
