"""How many honest records become late when some clocks are fast, by the rule that decides about jumps.

``python -m tests.simulation --fast-clocks`` prints the table of docs/design.md: the rules that were tried as
a small model of one partition, and the one that was built as it is. Windows of 60 s, a max lag of 5 s.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from streamagg.core.partition_clock import PartitionClock, PartitionState
from streamagg.core.windows import Windows
from streamagg.model.columns import NO_COLUMNS
from streamagg.model.settings import WindowSettings

WINDOW: Final = WindowSettings(60_000, 0, 5_000, 6_000)
RECORDS: Final = 20_000


@dataclass(frozen=True, slots=True)
class Case:
    """A stream of one partition; times in seconds."""

    name: str
    fast: float = 0.0
    """The share of records whose clock is fast."""
    ahead_s: tuple[float, float] = (3_600, 3_600)
    burst: int = 1
    """So many fast ones come in a row."""
    rate: float = 100.0
    """Records a second."""
    gaps: float = 0.0
    """How often nothing comes for up to an hour."""
    old: float = 0.0
    """The share of records that are hours old."""


class Told(NamedTuple):
    """A record: its event time in milliseconds, and whether it is right."""

    time_ms: int
    honest: bool


class Outcome(NamedTuple):
    """Shares of the honest records, and for how many records one of them waited at the most."""

    late: float
    rejected: float
    waited: int

    def __str__(self) -> str:
        rejected = f", {self.rejected:.1%} rejected" if self.rejected >= 0.0005 else ""
        return f"{self.late:.1%}{rejected}".replace("0.0%", "0")


CASES: Final = (
    Case("honest, gaps", gaps=0.001),
    Case("0.1 %, 64 s", 0.001, (64, 64)),
    Case("1 %, 1 h", 0.01),
    Case("10 %, 1 h", 0.1),
    Case("25 %, 1 h", 0.25),
    Case("40 %, 1 h", 0.4),
    Case("1 %, 1 h, bursts of 10", 0.01, burst=10),
    Case("1 %, 1 h, bursts of 20", 0.01, burst=20),
    Case("10 %, 0–300 s", 0.1, (0, 300)),
    Case("10 %, 0–60 s", 0.1, (0, 60)),
    Case("1 %, 0–60 s, 1,000/s", 0.01, (0, 60), rate=1_000),
    Case("30 % hours old, gaps", gaps=0.001, old=0.3),
    Case("one in 8 s", rate=0.125),
    Case("one in 8 s, 10 %, 1 h", 0.1, rate=0.125),
)


def stream(case: Case, seed: int = 5) -> list[Told]:
    """The records of a case, the same for the same seed; a fifth of the honest ones is up to 2 s behind."""
    chance = random.Random(seed)
    now, left, made = 10_000.0, 0, []
    for _ in range(RECORDS):
        now += chance.expovariate(case.rate)
        if case.gaps and chance.random() < case.gaps:
            now += chance.uniform(100, 3_600)
        if left == 0 and chance.random() < case.fast / case.burst:
            left = case.burst
        if left:
            left -= 1
            made.append(Told(round((now + chance.uniform(*case.ahead_s)) * 1_000), False))
        elif chance.random() < case.old:
            made.append(Told(round((now - chance.uniform(3_000, 9_000)) * 1_000), False))
        else:
            behind = chance.uniform(0, 2) if chance.random() < 0.2 else 0
            made.append(Told(round((now - behind) * 1_000), True))
    return made


@dataclass(frozen=True, slots=True)
class Rule:
    """One that was tried."""

    name: str
    reach_ms: int = 6_000
    lead: int | None = None
    """Votes for a record less those against it; None: votes for it among the next 32."""
    votes: int = 3
    past_ms: int | None = None
    """What is further behind the clock does not vote."""


TRIED: Final = (
    Rule("3 of the next 32 agree, reach 65 s", 65_000),
    Rule("17 of the next 32 agree, reach 65 s", 65_000, votes=17),
    Rule("3 of the next 32 agree", votes=3),
    Rule("agreeing ones lead by 8", lead=8),
    Rule("by 24", lead=24),
    Rule("by 24, what is over 30 s behind does not vote", lead=24, past_ms=30_000),
)
BUILT: Final = "the same, and the clock stands while most are over 3 s behind it (built)"


@dataclass(slots=True)
class _Waiting:
    row: int
    time_ms: int
    seen: int = 0
    lead: int = 0


class _Model:
    """One partition under a rule that was tried."""

    def __init__(self, rule: Rule, log: Sequence[Told]) -> None:
        self._rule, self._log = rule, log
        self._clock_ms: int | None = None
        self._aside: list[_Waiting] = []
        self._late = self._rejected = self._waited = 0

    def run(self) -> Outcome:
        for row, record in enumerate(self._log):
            self._vote(record.time_ms)
            if self._reaches(record.time_ms):
                self._take(row)
            else:
                self._aside.append(_Waiting(row, record.time_ms))
            while decided := next(self._decided(), None):
                self._aside.remove(decided)
                self._take(decided.row)
                if self._log[decided.row].honest:
                    self._waited = max(self._waited, row - decided.row)
            for refuted in [waiting for waiting in self._aside if self._refuted(waiting)]:
                self._aside.remove(refuted)
                self._rejected += self._log[refuted.row].honest
        honest = sum(record.honest for record in self._log)
        return Outcome(self._late / honest, self._rejected / honest, self._waited)

    def _vote(self, time_ms: int) -> None:
        past_ms = self._rule.past_ms
        if past_ms is not None and self._clock_ms is not None and time_ms < self._clock_ms - past_ms:
            return
        for waiting in self._aside:
            waiting.seen += 1
            agrees = time_ms >= waiting.time_ms - self._rule.reach_ms
            waiting.lead += 1 if agrees else -1 if self._rule.lead else 0

    def _reaches(self, time_ms: int) -> bool:
        return self._clock_ms is not None and time_ms <= self._clock_ms + self._rule.reach_ms

    def _decided(self) -> Iterator[_Waiting]:
        needed = self._rule.lead or self._rule.votes
        return (each for each in self._aside if each.lead >= needed or self._reaches(each.time_ms))

    def _refuted(self, waiting: _Waiting) -> bool:
        return (
            waiting.seen >= 256 or waiting.lead <= -self._rule.lead if self._rule.lead else waiting.seen >= 32
        )

    def _take(self, row: int) -> None:
        time_ms, honest = self._log[row]
        if self._clock_ms is not None and time_ms // 60_000 * 60_000 + 65_000 <= self._clock_ms:
            self._late += honest
        self._clock_ms = time_ms if self._clock_ms is None else max(self._clock_ms, time_ms)


def tried(rule: Rule, case: Case) -> Outcome:
    """What a rule that was tried makes of a case."""
    return _Model(rule, stream(case)).run()


def built(case: Case) -> Outcome:
    """What the program makes of a case."""
    log = stream(case)
    columns = np.array([record.time_ms for record in log]), np.array([record.honest for record in log])
    times, honest = columns
    clock = PartitionClock(Windows(WINDOW), NO_COLUMNS, PartitionState(0), keep_late=True)
    rows = np.arange(len(log))
    outcome = clock.feed(times, (), rows, np.zeros(len(log), np.bool_), len(log))
    late = sum(int(honest[part.offset].sum()) for part in outcome.late_rows)
    rejected = int(honest[outcome.future].sum()) if outcome.future else 0
    waits = [run.step_offsets() - run.offset for run in outcome.runs]
    taken = [honest[run.offset] for run in outcome.runs]
    waited = max(int((wait * right).max()) for wait, right in zip(waits, taken, strict=True))
    return Outcome(late / honest.sum(), rejected / honest.sum(), waited)


def row_of_built() -> str:
    """The last row of the table."""
    outcomes = [built(case) for case in CASES]
    return _row(BUILT, outcomes)


def table() -> Iterator[str]:
    """The table, line by line, in Markdown."""
    yield "| rule | " + " | ".join(case.name for case in CASES) + " | an honest gap waits for |"
    yield "|---" * (len(CASES) + 2) + "|"
    for rule in TRIED:
        yield _row(rule.name, [tried(rule, case) for case in CASES])
    yield row_of_built()


def _row(name: str, outcomes: Sequence[Outcome]) -> str:
    gap = f"{outcomes[0].waited} records"
    return f"| {name} | " + " | ".join(map(str, outcomes)) + f" | {gap} |"
