"""The pulse of the main loop, and everything that shows outside: metrics, health, log, systemd."""

from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from streamagg.engine.reporting.metering import Meter
from streamagg.engine.reporting.minute_summary import TEXT, summary
from streamagg.engine.reporting.partition_events import PartitionEvents
from streamagg.engine.reporting.readiness import unready
from streamagg.engine.reporting.stats import Tally
from streamagg.engine.session.session import Session
from streamagg.engine.workers.contract import Workers
from streamagg.engine.workers.memory import Tidiness
from streamagg.events import Log
from streamagg.sinks.leadership import Leadership
from streamagg.telemetry.health import Health
from streamagg.telemetry.metrics import Metrics
from streamagg.telemetry.notify import Notifier

_LOOK_EVERY_S: Final = 1.0
"""As often as workers send a heartbeat: there is nothing new in between."""
_SUMMARY_EVERY_S: Final = 60.0
"""One line a minute is 1,440 a day."""

log = Log(__name__)


@dataclass(frozen=True, slots=True)
class Outside:
    """Who gets to see it."""

    metrics: Metrics = field(default_factory=Metrics)
    health: Health = field(default_factory=Health)
    notifier: Notifier = field(default_factory=Notifier)


class Liveness:
    """Beats as often as the main loop comes by, which it does wherever it waits."""

    def __init__(
        self,
        outside: Outside,
        meter: Meter,
        workers: Workers,
        leadership: Leadership,
        stopping: Callable[[], bool],
    ) -> None:
        self._outside = outside
        self._meter = meter
        self._workers = workers
        self._leadership = leadership
        self._stopping = stopping
        self._changes: PartitionEvents | None = None
        self._next_look_s = 0.0
        self._tidiness = Tidiness()
        self._state: str | None = None
        """Leader, standby or why neither; None before it was ready for the first time."""
        self._summed = outside.metrics.snapshot
        self._summed_s = monotonic()

    def beat(self, tally: Tally) -> None:
        """The main loop moves; ``tally`` holds the sessions before the one that runs."""
        self._outside.health.beat()
        self._outside.notifier.beat()
        if self._stopping():
            self._outside.notifier.stopping()
        self._meter.look(tally)
        now_s = monotonic()
        if now_s >= self._next_look_s:
            self._next_look_s = now_s + _LOOK_EVERY_S
            self._look(now_s, tally)
            self._tidiness.keep()

    def end(self) -> None:
        """The loop has ended, for whatever reason."""
        self._outside.notifier.stopping()
        self._outside.notifier.close()

    def _look(self, now_s: float, tally: Tally) -> None:
        session = self._meter.session
        if session is None:
            self._changes = None
        else:
            tally.fit.look(tally.symptoms, session.symptoms)
            tally.note_memory(self._workers.rss_bytes())
            if self._changes is None or self._changes.session is not session:
                self._changes = PartitionEvents(session)
            self._changes.look(now_s)
        self._show_readiness(session, tally)
        if now_s - self._summed_s >= _SUMMARY_EVERY_S:
            self._sum_up(now_s)

    def _show_readiness(self, session: Session | None, tally: Tally) -> None:
        reasons = unready(
            # Before its first share of the partitions a member does not know whether it leads.
            joined=self._leadership.assignment_known,
            leader=self._leadership.leader,
            reading=session is not None,
            leased=session is not None and session.first_lease_ms is not None,
            nothing_counted=self._nothing_counted(tally),
            silent=self._workers.silent(),
        )
        self._outside.health.show(reasons)
        if not reasons:
            self._outside.notifier.ready()
        role = "leader" if self._leadership.leader else "standby"
        state = "; ".join(reasons) or role
        if state == self._state or (reasons and self._state is None):
            return
        if reasons:
            log.warning("not_ready", "not ready: {reasons}", reasons=state)
        else:
            log.info("ready", "ready as {role}", role=role)
        self._outside.notifier.status(state)
        self._state = state

    def _nothing_counted(self, tally: Tally) -> str | None:
        """Why no record is counted; None if one is, or if nothing is known to be wrong with them."""
        verdict, partitions = tally.fit.verdict, self._outside.metrics.snapshot.partitions
        if (
            verdict is None
            or not verdict.rejected
            or any(part.counts.counted for part in partitions.values())
        ):
            return None
        return verdict.sample.hint

    def _sum_up(self, now_s: float) -> None:
        snapshot = self._outside.metrics.snapshot
        fields = summary(self._summed, snapshot, now_s - self._summed_s)
        self._summed, self._summed_s = snapshot, now_s
        if fields is not None:
            log.info("summary", TEXT, **fields)
            self._outside.notifier.status(TEXT.format(**fields))
