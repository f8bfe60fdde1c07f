"""One scenario's surroundings: places, records that keep coming, instances, and the judgement."""

import os
import signal
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from random import Random
from typing import Final

from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from streamagg.errors import ExitCode
from tests.chaos.feeder import Feeder
from tests.chaos.files import FileFeeder
from tests.chaos.outcome import Verdict, compare_all
from tests.chaos.outputs import Output
from tests.chaos.places import Places, opened_output
from tests.chaos.shape import DECODE, Shape
from tests.chaos.sites import Site
from tests.chaos.stream import Stream
from tests.chaos.truth import Truth
from tests.support.instances import Instance, wait_until
from tests.support.pipeline import QUICK_GROUP, Run

PATIENCE_S: Final = 90.0
"""How long anything that has to happen may take on a busy machine."""
_END_S: Final = 30.0
_SETTLE_MS: Final = 200
_TOPICS: Final = Places()


class World:
    """What a scenario may use. Nothing here waits without a deadline."""

    def __init__(
        self,
        site: Site,
        directory: Path,
        shape: Shape,
        random: Random,
        *,
        quick: bool = False,
        places: Places = _TOPICS,
    ) -> None:
        self.site = site
        self.shape = shape
        self.quick = quick
        """Take short faults, and few."""
        self.directory = directory
        name = f"chaos-{uuid.uuid4().hex[:8]}"
        self.truth = Truth(shape.window, shape.partitions)
        self._places = places
        self._opened = ExitStack()
        self.feeder: Stream
        if places.source == "topic":
            place = f"{name}-in"
            self._create_topic(place, shape.partitions)
            self.feeder = Feeder(site.direct, place, self.truth, shape, random)
        else:
            place = f"dir:{directory / 'in'}"
            self.feeder = FileFeeder(directory / "in", self.truth, shape, random)
        if places.sink == "topic":
            self._create_topic(f"{name}-out", 1)
        self.output: Output = self._opened.enter_context(
            opened_output(places, site.direct, f"{name}-out", directory)
        )
        self.watch = self.output.watch
        self.run = Run(site.address, place, self.output.place, directory, shape.window, DECODE, f"{name}-out")
        self.instances: list[Instance] = []
        self.recoveries_s: list[float] = []
        self.problems: list[str] = []
        self.expected_ends: dict[int, int] = {}
        """Exit codes by process id, of instances that are meant to give up."""

    def start_instance(self, *flags: str, env: Mapping[str, str] | None = None) -> Instance:
        """One more instance of the group; flags given here win over those of the frame."""
        idle = f"{self.shape.idle_timeout_s:g}s"
        own = ["--unmarshallers", "2", "--aggregators", "2", "--max-restarts", "1000", "--idle-timeout", idle]
        if self._places.source == "directory":
            own += ("--settle", f"{_SETTLE_MS}ms")
        instance = self.run.start(*QUICK_GROUP, *own, *flags, env=env)
        self.instances.append(instance)
        return instance

    @property
    def running(self) -> list[Instance]:
        """Instances that have not ended."""
        return [instance for instance in self.instances if instance.running]

    def wait_until(self, condition: Callable[[], bool], what: str, timeout_s: float = PATIENCE_S) -> float:
        """Look again and again; returns the seconds it took.

        Raises AssertionError when the time is up, and as soon as an instance gives up that should not.
        """

        def holds() -> bool:
            for instance in self.instances:
                assert instance.running or self._fine(instance), _last_words(instance)
            return condition()

        return wait_until(holds, what, timeout_s)

    def wait_for_windows(self, number: int = 1, timeout_s: float = PATIENCE_S) -> float:
        """Wait until so many windows are published that nobody has seen before now; returns the seconds."""
        now = time.monotonic()
        return wait_until(lambda: self.watch.new_since(now) >= number, f"{number} further windows", timeout_s)

    def recovered(self, timeout_s: float = PATIENCE_S) -> float:
        """The fault ends here: measure how long it takes until a window is out that is still open now.

        A window that closed before may come from what was under way. Records must keep coming.
        """
        shape = self.shape
        now_ms = self.feeder.now_ms - max(self.feeder.behind_ms.values(), default=0)
        open_ms = now_ms - shape.granularity_ms - shape.max_lag_ms
        took = self.wait_until(lambda: self.watch.latest_ms > open_ms, "a window of the present", timeout_s)
        self.recoveries_s.append(took)
        return took

    def leader(self) -> Instance | None:
        """Who leads by its own words, if only one does."""
        leading = [instance for instance in self.running if _leads(instance.log)]
        return leading[0] if len(leading) == 1 else None

    def wait_for_leader(self) -> Instance:
        """The only leader."""
        self.wait_until(lambda: self.leader() is not None, "a single leader")
        found = self.leader()
        assert found is not None
        return found

    @property
    def topic_feeder(self) -> Feeder:
        """Where the input is a topic."""
        assert isinstance(self.feeder, Feeder)
        return self.feeder

    @property
    def file_feeder(self) -> FileFeeder:
        """Where it is a directory."""
        assert isinstance(self.feeder, FileFeeder)
        return self.feeder

    def begin(self) -> None:
        """Let records come, and have the output watched."""
        self.watch.start()
        self.feeder.start()

    def judge(self) -> Verdict:
        """End everything in good order and compare every value with the truth.

        What went wrong beside the values is in ``problems``.
        """
        self.feeder.finish()
        expected = {
            f"{calendar} {start // 1000}".lstrip().encode()
            for calendar in self.truth.calendars
            for start in self.truth.closed(calendar)
        }
        self._note(lambda: self._wait_for_all(expected))
        self._end_instances()
        self.watch.stop()
        return compare_all(self.output.records(), self.truth)

    def close(self) -> None:
        """Leave nothing running, whatever happened."""
        for instance in self.instances:
            if instance.running:
                instance.kill()
            elif instance.workers():
                # Orphans: their process group outlives its first process.
                os.killpg(instance.pid, signal.SIGKILL)
        for thread in (self.feeder, self.watch):
            thread.stop()
        self._opened.close()

    def _wait_for_all(self, expected: set[bytes]) -> None:
        def all_out() -> bool:
            if not self.running:
                self.start_instance()
            return expected <= self.watch.seen.keys()

        self.wait_until(all_out, "the last window")

    def _end_instances(self) -> None:
        """SIGTERM to all of them: each must end well and take its workers with it."""
        for instance in self.running:
            instance.signal(signal.SIGTERM)
        for instance in self.instances:
            self._note(partial(self._ended_well, instance))

    def _ended_well(self, instance: Instance) -> None:
        instance.wait(_END_S)
        assert self._fine(instance), _last_words(instance)
        wait_until(lambda: not instance.workers(), f"the end of the workers of {instance.log_path}", _END_S)

    def _fine(self, instance: Instance) -> bool:
        code = instance.wait()
        if "started " not in instance.log and code in {ExitCode.INTERRUPTED, -signal.SIGTERM}:
            # Told to end while it was still loading.
            return True
        return code in {-signal.SIGKILL, self.expected_ends.get(instance.pid, 0)}

    def _note(self, check: Callable[[], None]) -> None:
        try:
            check()
        except AssertionError as error:
            self.problems.append(str(error)[:2_000])

    def _create_topic(self, name: str, partitions: int) -> None:
        admin = AdminClient({"bootstrap.servers": self.site.direct, "log_level": 0})
        for future in admin.create_topics([NewTopic(name, partitions, -1)]).values():
            future.result(PATIENCE_S)


def _last_words(instance: Instance) -> str:
    return f"{instance.log_path} ended with {instance.wait()}: {instance.log[-1_500:]}"


def _leads(log: str) -> bool:
    began, *ended = (log.rfind(words) for words in ("leading:", "standing by", "no longer the leader"))
    return began > max(ended)
