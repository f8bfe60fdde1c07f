"""What the workers have reported, added up over the lives of each."""

from collections import Counter
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass

from streamagg.model.measured import ClientNumbers, StageTimes, add_counts
from streamagg.model.messages import Heartbeat
from streamagg.telemetry.snapshot import ProcessSample, RestartCause, WorkerKind, WorkersSample


@dataclass(slots=True)
class _Life:
    """A worker by its name, whichever process has it."""

    kind: WorkerKind
    heartbeat: Heartbeat | None = None
    """The last one of the process that lives."""
    past_cpu_s: float = 0.0
    """Of the processes before it."""


class HeartbeatTotals:
    """A worker that is replaced begins at zero: what it had reported before goes into sums, which only grow.

    What it did after its last heartbeat, for up to a second, is in none of them.
    """

    def __init__(self) -> None:
        self._lives: dict[str, _Life] = {}
        self._past_times = StageTimes()
        self._past_errors: dict[str, int] = {}
        self._past_skipped: dict[str, int] = {}
        self._restarts: dict[tuple[WorkerKind, RestartCause], int] = {}

    def begin(self, name: str, kind: WorkerKind) -> None:
        """There is a worker of this name, or another process has its place."""
        self._lives.setdefault(name, _Life(kind))

    def heard(self, name: str, heartbeat: Heartbeat) -> None:
        """A worker has reported."""
        self._lives[name].heartbeat = heartbeat

    def ended(self, name: str, cause: RestartCause) -> None:
        """The process of a worker has ended, and another will take its place."""
        life = self._lives[name]
        self._restarts[life.kind, cause] = self._restarts.get((life.kind, cause), 0) + 1
        if life.heartbeat is not None:
            life.past_cpu_s += life.heartbeat.cpu_s
            self._past_times.add(life.heartbeat.times)
            add_counts(self._past_errors, life.heartbeat.client.errors)
            add_counts(self._past_skipped, life.heartbeat.client.skipped)
        life.heartbeat = None

    def rss_bytes(self) -> int:
        """Resident memory of all workers together, as last heard."""
        return sum(heartbeat.rss_bytes for heartbeat in self._heartbeats())

    def sample(self, backlog_bytes: Mapping[str, int], silent: Container[str]) -> WorkersSample:
        """Everything as last heard; ``silent`` are the names of those that are not counted on."""
        times, readers = StageTimes(), ClientNumbers()
        times.add(self._past_times)
        add_counts(readers.errors, self._past_errors)
        add_counts(readers.skipped, self._past_skipped)
        for heartbeat in self._heartbeats():
            times.add(heartbeat.times)
            readers.add(heartbeat.client)
        kinds = [life.kind for life in self._lives.values()]
        alive = [life.kind for name, life in self._lives.items() if name not in silent]
        return WorkersSample(
            configured={kind: kinds.count(kind) for kind in kinds},
            alive={kind: alive.count(kind) for kind in kinds},
            restarts=dict(self._restarts),
            processes={name: _process(life) for name, life in self._lives.items()},
            backlog_bytes=backlog_bytes,
            times=times,
            readers=readers,
            users=_together(heartbeat.users for heartbeat in self._heartbeats()),
            groups=_together(heartbeat.groups for heartbeat in self._heartbeats()),
            held_bytes=sum(heartbeat.held_bytes for heartbeat in self._heartbeats()),
        )

    def _heartbeats(self) -> list[Heartbeat]:
        return [life.heartbeat for life in self._lives.values() if life.heartbeat is not None]


def _together(by_window: Iterable[Mapping[int, int]]) -> dict[int, int]:
    sums = Counter[int]()
    for held in by_window:
        sums.update(held)
    return dict(sums)


def _process(life: _Life) -> ProcessSample:
    if life.heartbeat is None:
        return ProcessSample(life.past_cpu_s)
    return ProcessSample(life.past_cpu_s + life.heartbeat.cpu_s, life.heartbeat.rss_bytes)
