"""What must hold of the periods of calendars, and of what is kept of those that are open.

Their bounds come from ``tools.periods``, which looks at clocks and shares no code with what it judges.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator

import orjson

from streamagg.tools.periods import Period, Periods
from tests.simulation.broker import Broker, Ended
from tests.simulation.oracle import Expected
from tests.simulation.scenario import Scenario
from tests.simulation.table_oracle import Published, Row, records


def differences(
    broker: Broker, scenario: Scenario, told: Expected, closed_through: int | None
) -> Iterator[str]:
    """Between the periods that are published or open and those that the log comes to."""
    if not scenario.window.calendars:
        return
    once = scenario.delivery == "exactly-once"
    rows = _rows(scenario, told)
    # A period is over with its last window, whether that has records or not.
    closed_ms = -1 if closed_through is None else scenario.rules.end_ms(closed_through)
    over = {period: found for period, found in rows.items() if period.end_ms <= closed_ms}
    found: dict[Period, dict[bytes, bytes]] = {}
    for one in broker.periods:
        known = found.setdefault(Period(*one[:3]), {})
        if one.key in known and (once or known[one.key] != one.value):
            yield f"doubled: {one.key!r} has {known[one.key]!r} and {one.value!r}"
        known.setdefault(one.key, one.value)
    for period in sorted(found.keys() | over.keys()):
        wanted = _records(scenario, told, period, over[period]) if period in over else []
        if (published := list(found.get(period, {}).items())) != wanted:
            yield f"period: {period} has {published}, not {wanted}"
    yield from _order(broker, scenario, once=once)
    yield from _state(broker, rows.keys() - over.keys(), once=once)


def _rows(scenario: Scenario, told: Expected) -> dict[Period, list[Row]]:
    periods, windows = Periods(scenario.window), scenario.plan.windows
    rows: dict[Period, list[Row]] = defaultdict(list)
    for number in sorted(told.rows):
        for period in periods.of(windows.start_ms(number)):
            rows[period] += told.rows[number]
    return rows


def _records(scenario: Scenario, told: Expected, period: Period, rows: list[Row]) -> list[Published]:
    asked, rules = scenario.asked, scenario.rules
    partial = told.partial_through is not None and rules.window(period.start_ms) <= told.partial_through
    name = period.calendar, period.end_ms
    return list(
        records(
            rows,
            asked.decode,
            asked.ceiling,
            period.start_ms,
            rules.granularity_ms,
            partial=partial,
            period=name,
        )
    )


def _order(broker: Broker, scenario: Scenario, *, once: bool) -> Iterator[str]:
    """Behind its last window; exactly once: at once and in its transaction, one period behind the other."""
    places: dict[int, int] = {}
    for place, (start_ms, _, _) in enumerate(broker.output):
        places.setdefault(start_ms, place)
    calendars = [calendar.name for calendar in scenario.window.calendars]
    before = (0, 0)
    for one in broker.periods:
        inside = [start for start in places if one.start_ms <= start < one.end_ms]
        if inside and one.behind <= max(places[start] for start in inside):
            yield f"order: {one.key!r} comes before a window of it"
        now = one.end_ms, calendars.index(one.calendar)
        if once and now < before:
            yield f"order: {one.key!r} comes behind a period that ends later"
        before = now
        if once:
            yield from _apart(broker, scenario, one)


def _apart(broker: Broker, scenario: Scenario, one: Ended) -> Iterator[str]:
    last_ms = one.end_ms - scenario.window.granularity_ms
    places = [place for place, (start_ms, _, _) in enumerate(broker.output) if start_ms == last_ms]
    if places:
        wanted = places[-1] + 1, bisect_right(broker.transactions, places[-1])
        if (one.behind, one.transaction) != wanted:
            yield f"order: {one.key!r} does not follow its last window in its transaction"


def _state(broker: Broker, still_open: set[Period], *, once: bool) -> Iterator[str]:
    """Of the open periods, and of no others."""
    head = orjson.loads(broker.state[b"head"])["periods"] if b"head" in broker.state else {}
    wanted = {f"{period.calendar} {period.start_ms}" for period in still_open}
    if head.keys() != wanted:
        yield f"state: of {sorted(head)}, not {sorted(wanted)}"
    others = {key.rpartition(b" ")[0].rpartition(b" ")[0].decode() for key in broker.state if key != b"head"}
    if once and not others <= wanted:
        yield f"state: values of {sorted(others - wanted)} are left"
