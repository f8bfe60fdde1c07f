"""What a log must come to, record by record: the rules of docs/design.md once more, in plain Python.

Shares no code with what it judges.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from tests.simulation.table_oracle import Fields, Row

Verdict = int | Literal["late", "future", "waiting"]
"""The window that a record is counted in, or why it is in none; waiting: set aside, not decided."""
_LEAD: Final = 24
_ROOM: Final = 32
_PAST: Final = 5


@dataclass(frozen=True, slots=True)
class Rules:
    """Milliseconds; the windows are ``[n * granularity + offset, (n + 1) * granularity + offset)``."""

    granularity_ms: int
    offset_ms: int
    max_lag_ms: int
    max_jump_ms: int

    def window(self, time_ms: int) -> int:
        """The window that holds a time."""
        return (time_ms - self.offset_ms) // self.granularity_ms

    def end_ms(self, window: int) -> int:
        """Its end, exclusive."""
        return (window + 1) * self.granularity_ms + self.offset_ms


class Told(NamedTuple):
    """A decodable record: event time, user, and whether its Kafka timestamp makes it live."""

    time_ms: int
    user: str
    live: bool
    fields: Fields = {}  # noqa: RUF012
    """What it says beside that."""


@dataclass(slots=True)
class Judgement:
    """One partition, so far."""

    log: Sequence[Told]
    rules: Rules
    verdicts: list[Verdict]
    clock_ms: int | None = None
    first_window: int | None = None
    """Of the first record accepted."""
    aside: list[int] = field(default_factory=list)
    lead: dict[int, int] = field(default_factory=dict)
    """Of every record that was set aside: votes for it less votes against it."""
    agreement: int = _LEAD

    def near(self, row: int) -> bool:
        """Within reach of the clock."""
        return self.clock_ms is not None and self.log[row].time_ms <= self.clock_ms + self.rules.max_jump_ms

    def take(self, row: int, *, moves: bool) -> None:
        """Count a record, unless it is late."""
        time_ms = self.log[row].time_ms
        window = self.rules.window(time_ms)
        closes_ms = self.rules.end_ms(window) + self.rules.max_lag_ms
        late = self.clock_ms is not None and closes_ms <= self.clock_ms
        self.verdicts[row] = "late" if late else window
        self.first_window = window if self.first_window is None else self.first_window
        if moves or self.clock_ms is None:
            self.clock_ms = max(self.clock_ms or 0, time_ms)

    def vote(self, row: int) -> None:
        """What a record says of those set aside and of the clock."""
        time_ms, jump_ms = self.log[row].time_ms, self.rules.max_jump_ms
        behind_ms = 0 if self.clock_ms is None else self.clock_ms - time_ms
        if behind_ms > _PAST * jump_ms:
            return
        for other in self.aside:
            self.lead[other] += 1 if time_ms >= self.log[other].time_ms - jump_ms else -1
        if self.clock_ms is not None:
            self.agreement += 1 if behind_ms <= jump_ms // 2 else -1
            self.agreement = max(-_LEAD, min(_LEAD, self.agreement))

    def set_aside(self, row: int) -> None:
        """Of too many, the furthest ahead is rejected."""
        self.aside.append(row)
        self.lead[row] = 0
        if len(self.aside) > _ROOM:
            self.reject([max(self.aside, key=lambda other: (self.log[other].time_ms, other))])

    def take_decided(self, lead: int) -> None:
        """Count, in offset order, what leads by so much or has come within reach."""
        while decided := [row for row in self.aside if self.near(row) or self.lead[row] >= lead]:
            self.aside.remove(decided[0])
            self.take(decided[0], moves=self.agreement > 0 or not self.near(decided[0]))

    def reject(self, rows: Iterable[int]) -> None:
        """These are not believed."""
        for row in rows:
            self.aside.remove(row)
            self.verdicts[row] = "future"


def judge(log: Sequence[Told], rules: Rules, *, ended: bool = True) -> Judgement:
    """A verdict for every record of one partition, in offset order; ``ended``: nothing follows."""
    told = Judgement(log, rules, ["waiting"] * len(log))
    for row, record in enumerate(log):
        moves = told.agreement > 0 or not told.near(row)
        told.vote(row)
        if record.live or told.near(row):
            told.take(row, moves=moves)
        else:
            told.set_aside(row)
        told.take_decided(_LEAD)
        told.reject([other for other in told.aside if told.lead[other] <= -_LEAD])
    if ended:
        told.take_decided(0)
        told.reject(list(told.aside))
    return told


@dataclass(slots=True)
class Expected:
    """What the whole topic must come to."""

    rows: dict[int, list[Row]] = field(default_factory=dict)
    """By window."""
    partial_through: int | None = None
    verdicts: dict[int, dict[int, Verdict]] = field(default_factory=dict)
    """By partition and offset."""
    decided_at_end: set[tuple[int, int]] = field(default_factory=set)
    """Partition and offset of what the records behind it have not decided."""

    def windows(self, *, empty: bool) -> dict[int, tuple[list[Row], bool]]:
        """The rows of each, and whether it is partial."""
        numbers: Iterable[int] = self.rows
        if empty and self.rows:
            numbers = range(min(self.rows), max(self.rows) + 1)
        through = self.partial_through
        return {n: (self.rows.get(n, []), through is not None and n <= through) for n in numbers}


def expected(logs: Mapping[int, Sequence[tuple[int, Told]]], inside: Iterable[int], rules: Rules) -> Expected:
    """Judge whole logs, pairs of offset and record; ``inside``: partitions whose beginning is missing."""
    total = Expected()
    for partition, log in logs.items():
        judged = judge([record for _, record in log], rules)
        open_ = judge([record for _, record in log], rules, ended=False).verdicts
        total.decided_at_end |= {
            (partition, offset)
            for (offset, _), verdict in zip(log, open_, strict=True)
            if verdict == "waiting"
        }
        total.verdicts[partition] = {
            offset: verdict for (offset, _), verdict in zip(log, judged.verdicts, strict=True)
        }
        for (offset, record), verdict in zip(log, judged.verdicts, strict=True):
            if isinstance(verdict, int):
                row = Row(record.time_ms, partition, offset, record.user, record.fields)
                total.rows.setdefault(verdict, []).append(row)
        if partition in inside and judged.first_window is not None:
            total.partial_through = max(total.partial_through or 0, judged.first_window)
    return total
