"""The same counts by the shortest path: one record at a time, plain sets."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from streamagg.settings import WindowSettings
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
    clock: float = float("-inf")
    aside: list[int] = []

    def votes(row: int, until: int) -> int:
        return sum(log[row].time_ms - settings.max_jump_ms <= r.time_ms for r in log[row + 1 : until + 1])

    def take(row: int) -> None:
        nonlocal clock
        time = log[row].time_ms - settings.offset_ms
        window = time // settings.granularity_ms
        if (window + 1) * settings.granularity_ms + settings.max_lag_ms <= clock - settings.offset_ms:
            total.late += 1
        else:
            total.users.setdefault(window, []).append(log[row].user)
        clock = max(clock, log[row].time_ms)

    def take_decided(until: int, ended: bool) -> None:
        for row in aside:
            needed = until - row if ended else 3
            if log[row].time_ms <= clock + settings.max_jump_ms or votes(row, until) >= needed:
                aside.remove(row)
                take(row)
                take_decided(until, ended)
                break

    for row, record in enumerate(log):
        if record.live or record.time_ms <= clock + settings.max_jump_ms:
            take(row)
        else:
            aside.append(row)
        take_decided(row, ended=False)
        total.future += sum(row - waiting >= 32 for waiting in aside)
        aside[:] = [waiting for waiting in aside if row - waiting < 32]
    take_decided(len(log) - 1, ended=True)
    total.future += len(aside)
