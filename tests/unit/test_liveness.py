"""What the outside hears of the main loop: readiness, its changes, a summary a minute, systemd."""

from collections import Counter
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from streamagg.engine.reporting import liveness as pulse_module
from streamagg.engine.reporting.liveness import Liveness, Outside
from streamagg.engine.reporting.minute_summary import TEXT, summary, utc
from streamagg.engine.reporting.stats import Tally
from streamagg.engine.reporting.symptoms import Symptoms
from streamagg.engine.session.view import SessionView
from streamagg.model.counters import Counters
from streamagg.model.messages import Misfit
from streamagg.telemetry.notify import Notifier
from streamagg.telemetry.snapshot import PartitionSample, PublisherSample, Snapshot, WindowSample

COUNTS = Counters(
    consumed=1_000,
    counted=900,
    late=60,
    closed_early=10,
    rejected={"bad_json": 3, "future": 1},
    waiting=36,
)
PART = PartitionSample(COUNTS, lag=7)
LAST = WindowSample(1_468_244_400_000, 5, 6)
BEFORE = Snapshot(leader=True, partitions={0: PART, 1: PART})
AFTER = Snapshot(
    leader=True,
    partitions={
        0: replace(PART, counts=COUNTS + Counters(consumed=1_000, late=5, rejected={"bad_json": 1})),
        1: replace(PART, lag=None),
    },
    publisher=PublisherSample({"final": 3, "empty": 1}, recent=(LAST,)),
)


@dataclass
class Told(Notifier):
    """Keeps what systemd would hear."""

    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__({})

    def _send(self, line: str) -> None:
        self.lines.append(line)


@dataclass
class Surroundings:
    """What a coordinator has, as far as the pulse feels it."""

    caplog: pytest.LogCaptureFixture
    told: Told = field(default_factory=Told)
    outside: Outside = field(init=False)
    assignment_known: bool = True
    leader: bool = False
    session: Any = None
    quiet: list[str] = field(default_factory=list)
    stopping: bool = False
    tally: Tally = field(default_factory=Tally)

    def __post_init__(self) -> None:
        self.outside = Outside(notifier=self.told)

    def look(self, tally: Tally) -> None:
        """The meter does."""

    def silent(self) -> list[str]:
        return self.quiet

    def rss_bytes(self) -> int:
        return 0

    def events(self, pulse: Liveness) -> list[tuple[str, dict[str, Any]]]:
        """Events of one beat."""
        self.caplog.clear()
        pulse.beat(self.tally)
        return [(vars(record)["event"], vars(record)["fields"]) for record in self.caplog.records]


@dataclass
class Clock:
    seconds: float = 1_000.0

    def __call__(self) -> float:
        self.seconds += 1
        return self.seconds


@pytest.fixture
def around(caplog: pytest.LogCaptureFixture) -> Surroundings:
    caplog.set_level("INFO")
    return Surroundings(caplog)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Each look at it is a second later."""
    clock = Clock()
    monkeypatch.setattr(pulse_module, "monotonic", clock)
    return clock


@pytest.fixture
def pulse(around: Surroundings, clock: Clock) -> Liveness:
    parts = cast(Any, around)
    return Liveness(around.outside, parts, parts, parts, lambda: around.stopping)


def reading(first_lease_ms: int | None) -> Any:
    """A session of a topic without partitions."""
    return SimpleNamespace(
        first_lease_ms=first_lease_ms,
        view=lambda: SessionView({}, None, {}, {}),
        plan=SimpleNamespace(bounded=False, windows=None),
        symptoms=Symptoms(),
    )


def test_a_start_is_not_told_but_its_end_is(around: Surroundings, pulse: Liveness) -> None:
    around.assignment_known = False
    assert around.events(pulse) == []
    assert around.outside.health.unready() == ["not in the consumer group"]
    around.assignment_known = True
    assert around.events(pulse) == [("ready", {"role": "standby"})]
    assert around.outside.health.unready() == []
    assert around.events(pulse) == []
    assert around.told.lines == ["READY=1", "STATUS=standby"]


def test_what_makes_it_unready_later_is_told(around: Surroundings, pulse: Liveness) -> None:
    around.events(pulse)
    around.quiet = ["aggregator-0"]
    assert around.events(pulse) == [("not_ready", {"reasons": "aggregator-0 does not answer"})]
    assert around.events(pulse) == []
    around.quiet = []
    assert around.events(pulse) == [("ready", {"role": "standby"})]
    assert around.told.lines.count("READY=1") == 1


def test_a_leader_is_ready_with_its_first_lease(around: Surroundings, pulse: Liveness) -> None:
    around.leader = True
    assert around.events(pulse) == []
    around.session = reading(first_lease_ms=None)
    assert around.events(pulse) == []
    assert around.outside.health.unready() == ["no lease given yet"]
    around.session.first_lease_ms = 1
    assert around.events(pulse) == [("ready", {"role": "leader"})]


def test_another_role_is_told(around: Surroundings, pulse: Liveness) -> None:
    around.events(pulse)
    around.leader = True
    around.session = reading(first_lease_ms=1)
    assert around.events(pulse) == [("ready", {"role": "leader"})]
    assert around.told.lines[-1] == "STATUS=leader"


def test_a_leader_that_counts_nothing_is_not_ready_until_records_are_counted(
    around: Surroundings, pulse: Liveness
) -> None:
    around.leader, around.session = True, reading(first_lease_ms=1)
    around.events(pulse)
    symptoms = around.session.symptoms
    symptoms.records, symptoms.misfits = 1_000, Counter(bad_time=1_000)
    symptoms.samples["bad_time"] = Misfit("bad_time", "`ts` (integer)", "HINT")
    warning, (event, fields) = around.events(pulse)
    assert (warning[0], warning[1]["hint"], event) == ("records_misfit", "HINT", "not_ready")
    reason = "none of the records is counted: HINT"
    assert fields == {"reasons": reason}
    assert around.outside.health.unready() == [reason]
    assert around.events(pulse) == [], "told once"
    around.outside.metrics.show(Snapshot(partitions={0: PartitionSample(Counters(consumed=1_000)), 1: PART}))
    assert around.events(pulse) == [("ready", {"role": "leader"})]


def test_the_end_is_told_to_systemd_once(around: Surroundings, pulse: Liveness) -> None:
    around.stopping = True
    around.events(pulse)
    around.events(pulse)
    pulse.end()
    assert around.told.lines.count("STOPPING=1") == 1


def test_a_summary_a_minute_while_something_happens(
    around: Surroundings, pulse: Liveness, clock: Clock
) -> None:
    around.events(pulse)
    around.outside.metrics.show(AFTER)
    assert around.events(pulse) == []
    clock.seconds += 60
    ((event, fields),) = around.events(pulse)
    assert (event, fields["windows"], fields["lag_records"]) == ("summary", 4, 7)
    assert around.told.lines[-1].startswith("STATUS=")
    assert "7 behind" in around.told.lines[-1]
    clock.seconds += 60
    assert around.events(pulse) == [], "nothing has changed"


def test_a_summary_is_of_what_came_since_the_last_one() -> None:
    found = summary(BEFORE, AFTER, 50.0)
    assert found == {
        "records_per_second": 20,
        "lag_records": 7,
        "last_window": "2016-07-11T13:40:00Z",
        "windows": 4,
        "late": 5,
        "rejected": 1,
        "reasons": {"bad_json": 1},
    }
    assert TEXT.format(**found) == (
        "20 records/s, 7 behind, last window 2016-07-11T13:40:00Z, 4 windows published, 5 late, 1 rejected"
        " (bad_json 1)"
    )


def test_there_is_none_of_nothing_and_none_on_a_standby() -> None:
    assert summary(AFTER, AFTER, 60.0) is None
    assert summary(BEFORE, replace(AFTER, leader=False), 60.0) is None


def test_times_beyond_the_calendar_are_told_too() -> None:
    assert utc(-1_000) == "1969-12-31T23:59:59Z"
    assert utc(1 << 62) == str(1 << 62)
