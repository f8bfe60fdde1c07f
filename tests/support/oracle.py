"""The same counts by the shortest path: one record at a time, plain sets."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from streamagg.model.settings import WindowSettings
from tests.support.blocks import Record


@dataclass(slots=True)
class Recount:
    """What a whole log comes to once it has ended."""

    users: dict[int, list[int]] = field(default_factory=dict)
    late: int = 0
    future: int = 0

    def published(self) -> dict[int, tuple[int, int]]:
        """Unique users and records by window."""
        return {window: (len(set(users)), len(users)) for window, users in self.users.items()}


def recount(logs: Iterable[Sequence[Record]], settings: WindowSettings) -> Recount:
    """Apply every partition's log to its end."""
    total = Recount()
    for log in logs:
        _apply([record for record in log if record.reason is None], settings, total)
    return total


def _apply(log: Sequence[Record], settings: WindowSettings, total: Recount) -> None:
    partition = _Partition(log, settings, total)
    for row in range(len(log)):
        partition.add(row)
    partition.take_decided(0)
    total.future += len(partition.aside)


class _Partition:
    def __init__(self, log: Sequence[Record], settings: WindowSettings, total: Recount) -> None:
        self.log, self.settings, self.total = log, settings, total
        self.clock: float = float("-inf")
        self.agreement = 24
        self.aside: dict[int, int] = {}
        """The rows set aside, in order, and the votes for each less those against it."""

    def near(self, row: int) -> bool:
        return self.log[row].time_ms <= self.clock + self.settings.max_jump_ms

    def add(self, row: int) -> None:
        moves = self.agreement > 0 or not self.near(row)
        self.vote(row)
        if self.log[row].live or self.near(row):
            self.take(row, moves)
        else:
            self.aside[row] = 0
            if len(self.aside) > 32:
                self.give_up(max(self.aside, key=lambda waiting: (self.log[waiting].time_ms, waiting)))
        self.take_decided(24)
        for refuted in [waiting for waiting, votes in self.aside.items() if votes <= -24]:
            self.give_up(refuted)

    def vote(self, row: int) -> None:
        time, jump = self.log[row].time_ms, self.settings.max_jump_ms
        if self.clock - time > 5 * jump:
            return
        for waiting in self.aside:
            self.aside[waiting] += 1 if self.log[waiting].time_ms - jump <= time else -1
        if self.clock > float("-inf"):
            close = 1 if self.clock - time <= jump // 2 else -1
            self.agreement = max(-24, min(24, self.agreement + close))

    def take(self, row: int, moves: bool) -> None:
        settings = self.settings
        time = self.log[row].time_ms - settings.offset_ms
        window = time // settings.granularity_ms
        if (window + 1) * settings.granularity_ms + settings.max_lag_ms <= self.clock - settings.offset_ms:
            self.total.late += 1
            return
        self.total.users.setdefault(window, []).append(self.log[row].user)
        if moves or self.clock == float("-inf"):
            self.clock = max(self.clock, self.log[row].time_ms)

    def take_decided(self, lead: int) -> None:
        while decided := [row for row, votes in self.aside.items() if votes >= lead or self.near(row)][:1]:
            [row] = decided
            del self.aside[row]
            self.take(row, self.agreement > 0 or not self.near(row))

    def give_up(self, row: int) -> None:
        del self.aside[row]
        self.total.future += 1
