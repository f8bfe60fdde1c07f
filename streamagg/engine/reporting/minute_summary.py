"""What a minute of a run came to, in one line."""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from streamagg.telemetry.snapshot import Snapshot

TEXT: Final = (
    "{records_per_second:,} records/s, {lag_records:,} behind, last window {last_window},"
    " {windows:,} windows published, {late:,} late, {rejected:,} rejected{reasons}"
)


class Reasons(dict[str, int]):
    """Rejected records by reason; its text is what follows their sum, and nothing if there are none."""

    def __str__(self) -> str:
        return f" ({listed(self)})" if self else ""


def listed(numbers: Mapping[str, int]) -> str:
    """Each name with its number, by name."""
    return ", ".join(f"{name} {number:,}" for name, number in sorted(numbers.items()))


def summary(before: Snapshot, after: Snapshot, seconds: float) -> dict[str, Any] | None:
    """The fields of ``TEXT``; None if nothing was read or published meanwhile, as on a standby."""
    records = _consumed(after) - _consumed(before)
    windows = sum(after.publisher.windows.values()) - sum(before.publisher.windows.values())
    if not after.leader or not (records or windows):
        return None
    last = after.publisher.last
    reasons = _rejected(after) - _rejected(before)
    return {
        "records_per_second": round(records / seconds),
        "lag_records": sum(part.lag or 0 for part in after.partitions.values()),
        "last_window": None if last is None else utc(last.start_ms),
        "windows": windows,
        "late": _late(after) - _late(before),
        "rejected": reasons.total(),
        "reasons": Reasons(reasons),
    }


def utc(time_ms: int) -> str:
    """RFC 3339, to the second; milliseconds since 1970 where the calendar does not reach."""
    try:
        return datetime.fromtimestamp(time_ms // 1_000, UTC).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return str(time_ms)


def _consumed(snapshot: Snapshot) -> int:
    return sum(part.counts.consumed for part in snapshot.partitions.values())


def _late(snapshot: Snapshot) -> int:
    return sum(part.counts.late for part in snapshot.partitions.values())


def _rejected(snapshot: Snapshot) -> Counter[str]:
    return sum((Counter(part.counts.rejected) for part in snapshot.partitions.values()), Counter[str]())
