"""What a log must come to, record by record: the rules of docs/design.md once more, in plain Python.

Shares no code with what it judges.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

Verdict = int | Literal["late", "future", "waiting"]
"""The window that a record is counted in, or why it is in none; waiting: set aside, not decided."""
_VOTERS: Final = 32
_VOTES: Final = 3


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

    def near(self, row: int) -> bool:
        """Within reach of the clock."""
        return self.clock_ms is not None and self.log[row].time_ms <= self.clock_ms + self.rules.max_jump_ms

    def take(self, row: int) -> None:
        """Count a record, unless it is late."""
        time_ms = self.log[row].time_ms
        window = self.rules.window(time_ms)
        closes_ms = self.rules.end_ms(window) + self.rules.max_lag_ms
        late = self.clock_ms is not None and closes_ms <= self.clock_ms
        self.verdicts[row] = "late" if late else window
        self.first_window = window if self.first_window is None else self.first_window
        self.clock_ms = max(self.clock_ms or 0, time_ms)

    def confirmed(self, row: int, at: int, needed: int) -> bool:
        """So many of the records behind it, up to ``at``, support it."""
        floor = self.log[row].time_ms - self.rules.max_jump_ms
        return sum(later.time_ms >= floor for later in self.log[row + 1 : at + 1]) >= needed

    def take_decided(self, at: int, *, last: bool = False) -> None:
        """Count, in offset order, what is confirmed or has come within reach."""
        while True:
            wanted = (at - row if last else _VOTES for row in self.aside)
            decided = [
                row
                for row, votes in zip(self.aside, wanted, strict=True)
                if self.near(row) or self.confirmed(row, at, votes)
            ]
            if not decided:
                return
            self.aside.remove(decided[0])
            self.take(decided[0])

    def reject_until(self, row: int) -> None:
        """What was set aside before this row is not confirmed any more."""
        while self.aside and self.aside[0] <= row:
            self.verdicts[self.aside.pop(0)] = "future"


def judge(log: Sequence[Told], rules: Rules, *, ended: bool = True) -> Judgement:
    """A verdict for every record of one partition, in offset order; ``ended``: nothing follows."""
    told = Judgement(log, rules, ["waiting"] * len(log))
    for row, record in enumerate(log):
        if record.live or told.near(row):
            told.take(row)
        else:
            told.aside.append(row)
        if told.aside:
            told.take_decided(row)
            told.reject_until(row - _VOTERS)
    if ended:
        told.take_decided(len(log) - 1, last=True)
        told.reject_until(len(log))
    return told


@dataclass(slots=True)
class Expected:
    """What the whole topic must come to."""

    users: dict[int, list[str]] = field(default_factory=dict)
    """By window, with repetitions."""
    partial_through: int | None = None
    verdicts: dict[int, dict[int, Verdict]] = field(default_factory=dict)
    """By partition and offset."""

    def windows(self, *, empty: bool) -> dict[int, tuple[int, int, bool]]:
        """Unique users, records and whether it is partial, by window."""
        numbers: Iterable[int] = self.users
        if empty and self.users:
            numbers = range(min(self.users), max(self.users) + 1)
        through = self.partial_through
        return {
            n: (len(set(u := self.users.get(n, []))), len(u), through is not None and n <= through)
            for n in numbers
        }


def expected(logs: Mapping[int, Sequence[tuple[int, Told]]], inside: Iterable[int], rules: Rules) -> Expected:
    """Judge whole logs, pairs of offset and record; ``inside``: partitions whose beginning is missing."""
    total = Expected()
    for partition, log in logs.items():
        judged = judge([record for _, record in log], rules)
        total.verdicts[partition] = {
            offset: verdict for (offset, _), verdict in zip(log, judged.verdicts, strict=True)
        }
        for (_, record), verdict in zip(log, judged.verdicts, strict=True):
            if isinstance(verdict, int):
                total.users.setdefault(verdict, []).append(record.user)
        if partition in inside and judged.first_window is not None:
            total.partial_through = max(total.partial_through or 0, judged.first_window)
    return total
