"""Makes the model of a run from its snapshots and the lines of its log."""

import json
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from streamagg.model.measured import add_counts
from streamagg.panel.glyphs import printable
from streamagg.panel.model import Facts, Figures, Line, Model, State
from streamagg.telemetry.snapshot import PartitionSample, Snapshot

MOST_WARNINGS: Final = 3
"""At the foot; older ones go above it, as lines."""
_RATE_OVER: Final = 3
"""Snapshots, of which there is one a second: the rate should follow the traffic, and not jump."""
_LAG_OVER: Final = 10
"""Snapshots, as above: whether the lag grows or shrinks only shows over several seconds."""
_RATES_KEPT: Final = 60
"""Snapshots behind the sparkline: a minute."""
_SHOWN_ANYHOW: Final = frozenset({"summary", "finished"})
"""Events that repeat what the panel shows."""


class Collector:
    """Takes what comes, and says what there is to see."""

    def __init__(
        self,
        facts: Facts,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """``clock`` returns Unix time in seconds, ``monotonic`` those of a clock that is never set."""
        self._facts = facts
        self._clock = clock
        self._monotonic = monotonic
        self._began_s = monotonic()
        self._snapshot = Snapshot()
        self._unready: tuple[str, ...] = ()
        self._history: deque[tuple[float, int, int]] = deque(maxlen=_RATES_KEPT + 1)
        """When, records read so far, and how many are left to read."""
        self._figures: Figures | None = None
        self._warnings: deque[Line] = deque()
        self._said: Line | None = None
        self._url: str | None = None
        self._stopping = False
        self._end: State | None = None
        self._heard = 0

    @property
    def changes(self) -> tuple[object, ...]:
        """As long as this stays the same, so does the model, but for the time."""
        waited_s = None if self._figures else int(self._monotonic() - self._began_s)
        return (self._snapshot.at_s, self._unready, self._heard, self._end, waited_s)

    def look_at(self, snapshot: Snapshot, unready: tuple[str, ...]) -> None:
        """What the coordinator knows, and why it is not ready; each snapshot once."""
        self._unready = unready
        if snapshot is self._snapshot:
            return
        self._snapshot = snapshot
        if _reads(snapshot):
            self._figures = self._figures_of(snapshot)

    def hear(self, line: str) -> str | None:
        """A line that was written to stderr; returns what of the log has no place in the panel any more."""
        self._heard += 1
        try:
            event = json.loads(line)
            heard = Line(_time_of_day(event["ts"]), event["level"], printable(event["message"]))
        except (ValueError, KeyError, TypeError):
            return line
        return self._note(event["event"], event["fields"], heard)

    def end(self, *, well: bool) -> None:
        """The run has ended."""
        self._end = "ended" if well else "failed"

    def model(self) -> Model:
        """What there is to see."""
        return Model(
            facts=self._facts,
            state=self._state(),
            elapsed_s=self._monotonic() - self._began_s,
            now_ms=round(self._clock() * 1_000),
            figures=self._figures,
            unready=self._unready if self._state() == "leader" else (),
            warnings=tuple(self._warnings),
            said=self._said,
            url=self._url,
        )

    def _state(self) -> State:
        if self._end is not None:
            return self._end
        if self._stopping:
            return "stopping"
        if self._snapshot.leader:
            return "leader" if _reads(self._snapshot) else "waiting"
        return "standby" if self._snapshot.dealt else "waiting"

    def _note(self, event: str, fields: dict[str, Any], line: Line) -> str | None:
        if line.level in ("warning", "error"):
            self._warnings.append(line)
            if len(self._warnings) > MOST_WARNINGS:
                gone = self._warnings.popleft()
                return f"{gone.at}  {gone.level.upper()}  {gone.text}"
        elif event == "stopping":
            self._stopping = True
        elif event == "http_serving":
            self._url = fields["url"]
        elif event not in _SHOWN_ANYHOW:
            self._said = line
        return None

    def _figures_of(self, snapshot: Snapshot) -> Figures:
        parts = snapshot.partitions.values()
        records = sum(part.counts.consumed for part in parts)
        lag = sum(part.lag or 0 for part in parts)
        self._history.append((snapshot.at_s, records, lag))
        rejected: dict[str, int] = {}
        for part in parts:
            add_counts(rejected, part.counts.rejected)
        return Figures(
            rate=self._rate(-_RATE_OVER - 1, -1),
            rates=tuple(self._rate(at, at + 1) for at in range(len(self._history) - 1)),
            lag=lag,
            lag_falls=self._lag_falls(),
            watermark_ms=snapshot.watermark_ms,
            records=records,
            counted=sum(part.counts.counted for part in parts),
            late=sum(part.counts.late for part in parts),
            closed_early=sum(part.counts.closed_early for part in parts),
            rejected=rejected,
            published=snapshot.publisher.recent,
            open=snapshot.open,
        )

    def _rate(self, first: int, last: int) -> float:
        """Records a second between two entries of the history."""
        begin, end = self._history[max(first, -len(self._history))], self._history[last]
        return (end[1] - begin[1]) / (end[0] - begin[0]) if end[0] > begin[0] else 0.0

    def _lag_falls(self) -> float | None:
        """Records a second by which less is left to read."""
        begin, end = self._history[max(-_LAG_OVER - 1, -len(self._history))], self._history[-1]
        return (begin[2] - end[2]) / (end[0] - begin[0]) if end[0] - begin[0] >= _RATE_OVER else None


def _reads(snapshot: Snapshot) -> bool:
    """A session is at work."""
    parts: list[PartitionSample] = list(snapshot.partitions.values())
    return snapshot.leader and any(part.lag is not None for part in parts)


def _time_of_day(moment: str) -> str:
    """Of RFC 3339, where this machine is."""
    return f"{datetime.fromisoformat(moment).astimezone():%H:%M:%S}"
