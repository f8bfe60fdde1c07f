"""Periods that are over, as a session finds them."""

from streamagg.core.calendars import Calendars, Period
from streamagg.core.period_state import PeriodState


def ended(state: PeriodState, calendars: Calendars, until_ms: int) -> list[tuple[int, Period]]:
    """Those of a state that are over when all windows up to then are, with their calendars, in order."""
    found = [(key[0], calendars.period_at(*key)) for key in state.users]
    over = [(calendar, period) for calendar, period in found if period.end_ms <= until_ms]
    return sorted(over, key=lambda one: (one[1].end_ms, one[0]))
