"""Which share of a partition's records is in no count: of the last minute, and of more where little comes."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from msgspec.structs import replace

from streamagg.engine.reporting.uncounted import UncountedShares
from streamagg.model.counters import Counters
from streamagg.telemetry.snapshot import UncountedSample


def more(
    counts: Counters, counted: int = 0, late: int = 0, rejected: Mapping[str, int] | None = None
) -> Counters:
    """The counters once so many more records were read."""
    given = dict(rejected or {})
    consumed = counted + late + sum(given.values())
    return counts + Counters(consumed=consumed, counted=counted, late=late, rejected=given)


@dataclass
class Log:
    """One partition that is looked at once a second."""

    shares: UncountedShares = field(default_factory=UncountedShares)
    counts: Counters = field(default_factory=Counters)
    now_s: int = 0
    found: UncountedSample | None = None

    def goes_on(self, seconds: int, every_s: int = 1, **records: int) -> float | None:
        """So many records every so many seconds; returns the share at the end."""
        for _ in range(seconds):
            self.now_s += 1
            if self.now_s % every_s == 0:
                self.counts = more(self.counts, **records)
            self.found = self.shares.look({0: self.counts}, self.now_s * 1_000)[0]
        return None if self.found is None else self.found.share


def test_the_share_of_the_last_minute() -> None:
    """::

    seconds   0 ─────────── 300 ──── 360 ─────────── 600
    late          none       10 of 100     none
    """
    log = Log()
    assert log.goes_on(300, counted=100) == 0.0
    assert log.goes_on(30, counted=90, late=10) == pytest.approx(0.05, rel=0.09), "half a minute of it"
    assert log.goes_on(30, counted=90, late=10) == pytest.approx(0.1, rel=0.09)
    assert log.found is not None
    assert 295_000 <= log.found.since_ms <= 300_000, "to within five seconds"
    assert log.goes_on(30, counted=100) == pytest.approx(0.05, rel=0.15)
    assert log.goes_on(36, counted=100) == 0.0
    worst = log.shares.worst()[0]
    assert worst.share == pytest.approx(0.1, rel=0.09)
    assert worst.at_ms == pytest.approx(360_000, abs=6_000)


def test_reasons_and_early_closed_ones_are_those_of_the_minute() -> None:
    log = Log()
    log.counts = replace(more(Counters(), rejected={"bad_json": 500, "future": 1}), closed_early=9)
    log.goes_on(100, counted=100)
    log.counts = replace(more(log.counts, late=6, rejected={"future": 4}), closed_early=11)
    log.goes_on(1, counted=0)
    assert log.found is not None
    assert log.found == UncountedSample(log.found.records, 6, 2, {"future": 4}, log.found.since_ms)


def test_a_minute_with_few_records_has_no_share() -> None:
    log = Log()
    assert log.goes_on(60, late=1) is None
    assert log.goes_on(39, late=1) is None
    assert log.goes_on(1, late=1) == 1.0


def test_where_little_comes_it_reaches_further_back() -> None:
    """A record in 8 s: a hundred of them are 13 minutes; in 10 s: more than a quarter of an hour."""
    log = Log()
    assert log.goes_on(800, every_s=8, counted=1) == 0.0
    assert log.goes_on(400, every_s=8, late=1) == pytest.approx(0.5, abs=0.03)
    assert log.goes_on(4_000, every_s=8, late=1) == 1.0
    assert log.goes_on(4_000, every_s=10, late=1) is None


def test_silence_has_no_share_in_the_end() -> None:
    log = Log()
    log.goes_on(100, late=100)
    assert log.goes_on(700) == 1.0
    assert log.goes_on(201) is None


def test_what_came_before_the_first_look_counts() -> None:
    """A partition is looked at first when its session begins: until then it has brought nothing."""
    shares = UncountedShares()
    found = shares.look({0: more(Counters(), late=150)}, 5_000)[0]
    assert found == UncountedSample(150, 150, 0, {}, 5_000)


def test_records_that_wait_for_the_ring_are_part_of_it() -> None:
    """Their partition is ahead of the others: what is late of it is known before the rest is counted."""
    shares = UncountedShares()
    read = Counters(consumed=1_000, late=5, waiting=995)
    first = shares.look({0: read}, 0)[0]
    assert first is not None
    assert first.share == 0.005
    for second in range(1, 70):
        delivered = replace(read, counted=second * 10, waiting=995 - second * 10)
        found = shares.look({0: delivered}, second * 1_000)
    assert found[0] is not None
    assert found[0].share == 0.0
    early = replace(read, counted=690, waiting=5, late=305, closed_early=300)
    last = shares.look({0: early}, 70_000)[0]
    assert last is not None
    assert 0.3 < last.share < 0.4


def test_memory_does_not_grow() -> None:
    log = Log()
    for every_s in (1, 8, 100):
        log.goes_on(4_000, every_s=every_s, counted=7)
    assert len(log.shares._partitions[0].marks) <= 24
