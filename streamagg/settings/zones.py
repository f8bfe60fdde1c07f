"""Time zones: the names of those that this machine has data of, and which windows fit their periods."""

import difflib
import zoneinfo
from collections.abc import Collection
from math import gcd
from typing import Final

from streamagg.core.zone_clock import DAY_MS, ZoneClock
from streamagg.model.settings import CalendarSettings

_NOT_NAMES: Final = frozenset({"localtime", "Factory"})
"""Whatever the machine is set to, and what stands for not being set at all."""
_UNITS_MS: Final = {"hour": 3_600_000, "day": DAY_MS, "week": 7 * DAY_MS, "month": DAY_MS, "year": DAY_MS}
"""While a clock is not changed, periods begin at multiples of it from the first one."""
_MONDAY_MS: Final = 4 * DAY_MS
"""5 January 1970."""
_JUDGED_FROM_MS: Final = 10 * 365 * DAY_MS
"""End of 1979: since then hours and days begin at a quarter of an hour in every zone. The last that did not
were those of Monrovia (until 1972) and Kiritimati (until October 1979)."""


def zone_names() -> frozenset[str]:
    """Names of the IANA database, aliases included; none where there is no such database."""
    return frozenset(zoneinfo.available_timezones() - _NOT_NAMES)


def resembling(written: str, names: Collection[str]) -> str | None:
    """The zone that was probably meant; its city is enough, and capitals do not matter."""
    known = {name.rpartition("/")[2].casefold(): name for name in sorted(names)}
    known |= {name.casefold(): name for name in names}
    name = written.strip().replace(" ", "_").casefold()
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.7)
    return known[close[0]] if close else None


def longest_granularity_ms(calendar: CalendarSettings, clock: ZoneClock) -> int:
    """The longest granularity, without an offset, whose windows fit into periods by the clock."""
    return gcd(_UNITS_MS[calendar.name], *_starts_ms(calendar, clock))


def fits(calendar: CalendarSettings, clock: ZoneClock, granularity_ms: int, offset_ms: int) -> bool:
    """Whether no period by the clock begins inside a window."""
    return _UNITS_MS[calendar.name] % granularity_ms == 0 and all(
        (start_ms - offset_ms) % granularity_ms == 0 for start_ms in _starts_ms(calendar, clock)
    )


def _starts_ms(calendar: CalendarSettings, clock: ZoneClock) -> list[int]:
    """For each offset that the clock has had or will have: a period's start, if it had always been that."""
    phase_ms = _MONDAY_MS if calendar.name == "week" else 0
    offsets_ms = {offset_ms for since_ms, offset_ms in clock.offsets if since_ms > _JUDGED_FROM_MS}
    return [phase_ms - offset_ms for offset_ms in {*offsets_ms, clock.offset_ms(_JUDGED_FROM_MS)}]
