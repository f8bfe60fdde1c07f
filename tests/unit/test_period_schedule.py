"""When periods are over, and how many are open."""

from streamagg.core.calendars import Calendars
from streamagg.core.period_state import PeriodState
from streamagg.core.window_tables import WindowTables
from streamagg.core.windows import Windows
from streamagg.engine.session.period_schedule import PeriodSchedule
from streamagg.model.messages import AskPeriod, ShardCount
from streamagg.model.periods import Gained
from streamagg.model.results import PeriodName, WindowTable
from streamagg.model.settings import NO_CEILING, PLAIN, CalendarSettings, WindowSettings
from streamagg.sinks.contract import Publication

MINUTE_MS = 60_000
WINDOW = WindowSettings(
    calendars=(CalendarSettings("2m", 2 * MINUTE_MS), CalendarSettings("4m", 4 * MINUTE_MS))
)
CALENDARS = Calendars(WINDOW)
TABLES = WindowTables(PLAIN, NO_CEILING)


def test_a_period_is_open_until_it_is_published() -> None:
    state = PeriodState(CALENDARS, "a")
    schedule = PeriodSchedule(CALENDARS, Windows(WINDOW), state, TABLES, shards=1, running=None)
    assert schedule.open == {"2m": 0, "4m": 0}
    for window in (1, 2):
        schedule.closed(window)
    assert schedule.open == {"2m": 2, "4m": 1}
    ((question, last),) = schedule.ask(2, None)
    assert (question, last) == (AskPeriod(0, 0), 1)
    assert schedule.open == {"2m": 2, "4m": 1}
    summaries = TABLES.nothing().summaries
    for window in (1, 2):
        starts = [(number, CALENDARS.period(number, window).start_ms) for number in (0, 1)]
        gained = [Gained(number, start_ms, [b"x"]) for number, start_ms in starts]
        schedule.answer(ShardCount(0, window, summaries, gained=gained), 0)
    schedule.answer(ShardCount(0, 0, summaries, period=(question.calendar, question.start_ms)), 0)
    published = schedule.ready(None)
    schedule.take((1, 2), published, 3 * MINUTE_MS)
    assert schedule.open == {"2m": 1, "4m": 1}


def test_a_period_stands_between_its_last_window_and_the_next_one() -> None:
    """Also when more was published together: that depends on how fast it went."""
    windows = tuple(WindowTable(number, False, {}) for number in range(4))
    periods = tuple(
        WindowTable(last, False, {}, period=PeriodName("2m", (last - 1) * MINUTE_MS, (last + 1) * MINUTE_MS))
        for last in (1, 3)
    )
    found = Publication(windows, {}, periods=periods).tables
    assert found == (*windows[:2], periods[0], *windows[2:], periods[1])
