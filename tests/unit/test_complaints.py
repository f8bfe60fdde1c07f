"""What is said of partitions with many records in no count: when it begins, meanwhile, and at the end."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from streamagg.engine.reporting.complaints import CountWarnings
from streamagg.engine.reporting.likely_cause import likely_cause
from streamagg.engine.reporting.uncounted import UncountedShares
from streamagg.model.counters import Counters
from streamagg.model.settings import WindowSettings
from streamagg.telemetry.snapshot import PartitionSample, UncountedSample
from tests.unit.test_uncounted import more

WINDOW = WindowSettings(60_000, 0, 5_000, 6_000)
NOON_S = 1_769_860_800
NOON_MS = NOON_S * 1_000


@dataclass
class Run:
    """Partitions that are looked at once a second; the run begins at noon."""

    caplog: pytest.LogCaptureFixture
    partitions: dict[int, Counters] = field(default_factory=lambda: {0: Counters(), 1: Counters()})
    now_s: int = 0
    shares: UncountedShares = field(default_factory=UncountedShares)
    complaints: CountWarnings = field(init=False)

    def __post_init__(self) -> None:
        self.complaints = CountWarnings(WINDOW, lambda: NOON_S + self.now_s)

    def goes_on(self, seconds: int, partition: int = 1, **records: Any) -> list[tuple[str, dict[str, Any]]]:
        """Events of these seconds; the other partition counts a hundred records in each."""
        self.caplog.clear()
        for _ in range(seconds):
            self.now_s += 1
            for number in self.partitions:
                fresh = records if number == partition else {"counted": 100}
                self.partitions[number] = more(self.partitions[number], **fresh)
            found = self.shares.look(self.partitions, self.now_s * 1_000)
            looked = {n: PartitionSample(c, uncounted=found[n]) for n, c in self.partitions.items()}
            self.complaints.look(looked, self.now_s * 1_000)
        return self._events()

    def ends(self) -> list[tuple[str, dict[str, Any]]]:
        self.caplog.clear()
        samples = {n: PartitionSample(c) for n, c in self.partitions.items()}
        self.complaints.sum_up(samples, self.shares.worst(), self.now_s * 1_000)
        return self._events()

    def _events(self) -> list[tuple[str, dict[str, Any]]]:
        return [(vars(record)["event"], vars(record)["fields"]) for record in self.caplog.records]


@pytest.fixture
def run(caplog: pytest.LogCaptureFixture) -> Run:
    caplog.set_level("INFO")
    return Run(caplog)


def test_it_is_told_when_it_begins_and_every_ten_minutes_while_it_lasts(run: Run) -> None:
    """::

    minutes   0 ─── 5 ─────────────────── 28 ───
    late       none    5 of 100 a second     none
    told             ⚠         ⚠         ⚠   over
    """
    assert run.goes_on(300, counted=100) == []
    ((event, fields),) = run.goes_on(60, counted=95, late=5)
    assert event == "partition_uncounted"
    assert (fields["partition"], fields["rejected"]) == (1, 0)
    assert 0.02 < fields["share"] < 0.03, "as soon as it is more"
    assert fields["since"] in ("2026-01-31T12:04:56Z", "2026-01-31T12:05:00Z")
    assert "--max-lag 5s" in fields["cause"]
    assert run.goes_on(500, counted=95, late=5) == []
    ((again, later),) = run.goes_on(300, counted=95, late=5)
    assert (again, later["since"]) == (event, fields["since"])
    assert later["share"] == pytest.approx(0.05, abs=0.001)
    assert len(run.goes_on(520, counted=95, late=5)) == 1
    assert [name for name, _ in run.goes_on(120, counted=100)] == ["partition_counted_again"]
    assert run.goes_on(600, counted=100) == []


def test_two_percent_are_not_told(run: Run) -> None:
    assert run.goes_on(900, counted=98, late=1, rejected={"bad_json": 1}) == []
    assert run.ends() == []


def test_what_comes_and_goes_is_told_once_in_ten_minutes(run: Run) -> None:
    told = []
    for _ in range(6):
        told += run.goes_on(70, counted=90, late=10)
        told += run.goes_on(70, counted=100)
    assert [name for name, _ in told] == [
        "partition_uncounted",
        "partition_counted_again",
        "partition_uncounted",
        "partition_counted_again",
    ]


def test_where_nothing_more_comes_nothing_more_is_said(run: Run) -> None:
    assert len(run.goes_on(60, counted=90, late=10)) == 1
    assert run.goes_on(800) == []


def test_a_handful_of_records_is_not_told(run: Run) -> None:
    assert run.goes_on(99, late=1) == []


def test_the_end_tells_what_the_whole_run_lost(run: Run) -> None:
    run.goes_on(10, counted=90, rejected={"bad_time": 7, "future": 3})
    ((event, fields),) = run.ends()
    assert event == "uncounted_total"
    assert fields == {
        "records": 2_000,
        "late": 0,
        "rejected": 100,
        "partition": 1,
        "share": 0.1,
        "peak": 0.1,
        "peak_at": "2026-01-31T12:00:01Z",
        "cause": "Most are rejected as bad_time (docs/decoding.md).",
    }
    assert run.caplog.records[0].getMessage() == (
        "0 of 2,000 records were late and 100 rejected, and are in no count; most in partition 1, 10.0%, and"
        " up to 10.0% of a partition in a minute, at 2026-01-31T12:00:01Z. " + fields["cause"]
    )


def test_fields_that_cannot_name_a_group_are_told(run: Run) -> None:
    run.goes_on(10, counted=90, rejected={"bad_group": 7, "bad_time": 3})
    ((_, fields),) = run.ends()
    assert fields["cause"].startswith("Most are rejected as bad_group: a field of --group-by holds an object")


def test_the_end_tells_a_bad_minute_of_a_good_day(run: Run) -> None:
    run.goes_on(60, counted=95, late=5)
    run.goes_on(7_200, counted=100)
    ((event, fields),) = run.ends()
    assert (event, fields["share"], fields["peak"]) == ("uncounted_total", 0.0004, 0.05)


def test_the_end_of_a_short_run_tells_three_records_but_not_two(run: Run) -> None:
    run.partitions = {0: more(Counters(), counted=5, late=2)}
    assert run.ends() == []
    run.partitions = {0: more(Counters(), counted=5, late=3)}
    ((_, fields),) = run.ends()
    assert (fields["share"], fields["late"]) == (0.375, 3)
    assert (fields["peak"], fields["peak_at"]) == (0.0, None)
    assert "in a minute" not in run.caplog.records[0].getMessage()


def test_a_standby_has_lost_nothing(run: Run) -> None:
    run.partitions = {}
    assert run.ends() == []


LATE = UncountedSample(1_000, 50, 0, {"bad_json": 3}, 0)


def cause(found: UncountedSample, *clocks_ms: int | None, lag: int = 0, idle: bool = False) -> str:
    """Of the first of partitions with these clocks, at noon."""
    samples = {n: PartitionSample(Counters(), clock_ms=clock, lag=lag) for n, clock in enumerate(clocks_ms)}
    samples[0] = replace(samples[0], idle=idle)
    return likely_cause(0, samples, found, WINDOW, NOON_MS)


def test_a_clock_ahead_of_this_machine() -> None:
    assert "clock is 3,600 s ahead of this machine's" in cause(LATE, NOON_MS + 3_600_500, NOON_MS)
    assert "clock is 3,600 s ahead of this machine's" in cause(LATE, NOON_MS + 3_600_500, lag=10**9)
    assert "--max-lag 5s" in cause(LATE, NOON_MS + 6_000)
    assert "--max-lag 5s" in cause(LATE, None)


def test_a_clock_ahead_of_the_other_partitions() -> None:
    """Of those that are read to their ends: in a backlog they are apart anyway."""
    clocks_ms = [NOON_MS - 100_000, NOON_MS - 700_000, NOON_MS - 700_100, None]
    assert "clock is 600 s ahead of that of the other partitions" in cause(LATE, *clocks_ms)
    assert "--max-lag 5s" in cause(LATE, *clocks_ms, lag=1_001)
    assert "--max-lag 5s" in cause(LATE, *clocks_ms, idle=True)
    assert "--max-lag 5s" in cause(LATE, NOON_MS - 100_000, NOON_MS - 106_000)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (UncountedSample(1_000, 50, 26, {}, 0), "--idle-timeout"),
        (UncountedSample(1_000, 50, 25, {}, 0), "--max-lag 5s"),
        (UncountedSample(1_000, 5, 0, {"future": 4, "bad_json": 3}, 0), "--max-jump 6s"),
        (UncountedSample(1_000, 5, 0, {"future": 3, "bad_json": 4}, 0), "rejected as bad_json"),
    ],
)
def test_the_cause_is_that_of_most(found: UncountedSample, said: str) -> None:
    assert said in cause(found, NOON_MS)
