"""What a scenario's stream looks like, and how streamagg is told to read it."""

from dataclasses import dataclass

from streamagg.model.settings import CalendarSettings, DecodeSettings, WindowSettings

DECODE = DecodeSettings(time_unit="ms")


@dataclass(frozen=True, slots=True)
class Shape:
    """Records as they are fed, windows as they are counted; small, so that a scenario takes seconds."""

    partitions: int = 4
    rate: int = 1_000
    """Records a second, over all partitions."""
    users: int = 2_000
    granularity_ms: int = 1_000
    max_lag_ms: int = 2_000
    disorder: float = 0.1
    """Share of the records that come out of order, and in time."""
    late: float = 0.01
    """Share that comes too late without doubt."""
    broken: float = 0.002
    """Share that is no record."""
    idle_timeout_s: float = 10.0
    """A log that stalls for longer closes windows by the wall clock, which no oracle of the log can know:
    raise it in a scenario that keeps records from reaching the log."""

    calendars: tuple[CalendarSettings, ...] = ()
    """With periods of a given length."""

    @property
    def window(self) -> WindowSettings:
        """The settings of the windows."""
        reach = self.granularity_ms + self.max_lag_ms
        return WindowSettings(
            self.granularity_ms, max_lag_ms=self.max_lag_ms, max_jump_ms=reach, calendars=self.calendars
        )
