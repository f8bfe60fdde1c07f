"""Who writes the log: at once, in pieces between runs, or little by little.

Silence is the one place where time has a say in what is published. The feed sees to it that the log
alone decides nevertheless: a partition that is not to fall silent gets a record that cannot be decoded
before the idle time-out is over; after a silence nothing with an event time is written before every
session reads every partition again, and it falls into windows behind those that may be closed.
"""

import random
from collections.abc import Iterable
from typing import TYPE_CHECKING

from tests.simulation.broker import Broker, Log
from tests.simulation.scenario import FILLER, Content, Scenario
from tests.simulation.tree import SimTree, TreeLog

if TYPE_CHECKING:
    from tests.simulation.instance import Instance


class Feed:
    """Appends the content of a scenario to the logs."""

    def __init__(
        self, scenario: Scenario, broker: Broker, chance: random.Random, tree: SimTree | None = None
    ) -> None:
        """``tree``: where logs are files."""
        self._tree = tree
        self._scenario = scenario
        self._broker = broker
        self._chance = chance
        self._phase = -1
        self._left: dict[int, list[Content]] = {}
        self._pause_until_ms = 0
        self._waking = False

    @property
    def complete(self) -> bool:
        """Nothing more will be written."""
        return self._phase == len(self._scenario.phases) - 1 and not any(self._left.values())

    def begin(self, now_ms: int) -> None:
        """The first partitions; all of the log if it is to be there from the start."""
        self._next_phase(now_ms)
        if self._scenario.kind == "bounded":
            for partition in self._left:
                while self._left[partition]:
                    self._append(partition, now_ms)

    def append_some(self, now_ms: int) -> None:
        """A part of what is left, between two runs."""
        if not any(self._left.values()):
            self._next_phase(now_ms)
        everything = self._chance.random() < 0.4
        for partition, left in self._left.items():
            for _ in range(len(left) if everything else self._chance.randrange(len(left) + 1)):
                self._append(partition, now_ms)

    def step(self, now_ms: int, instances: Iterable["Instance"]) -> None:
        """Little by little."""
        if self._waking:
            self._wake(now_ms, instances)
        elif any(self._left.values()):
            if self._chance.random() < self._scenario.odds.write:
                partition = self._chance.choice([p for p, left in self._left.items() if left])
                for _ in range(self._chance.choice((1, 1, 3, 10))):
                    if self._left[partition]:
                        self._append(partition, now_ms)
            if not any(self._left.values()):
                self._pause_until_ms = now_ms + self._chance.randrange(4 * self._idle_ms)
        elif self.complete:
            return
        elif now_ms >= self._pause_until_ms:
            self._waking = True
            self._add_partitions(self._phase + 1, now_ms)
        self._fill(now_ms)

    @property
    def _idle_ms(self) -> int:
        return self._scenario.plan.idle_timeout_ms

    def _fill(self, now_ms: int) -> None:
        """Let no partition fall silent that is not meant to."""
        pausing = not self._waking and not any(self._left.values())
        if self.complete:
            return
        silent = self._scenario.silent[self._phase] if pausing else set()
        for partition, log in self._broker.logs.items():
            if partition not in silent and now_ms - log.appended_ms > self._idle_ms // 4:
                log.append(FILLER, self._chance, now_ms)

    def _wake(self, now_ms: int, instances: Iterable["Instance"]) -> None:
        """Go on once every session reads every partition."""
        for instance in instances:
            if instance.session is None:
                continue
            if instance.may_fall_silent:
                return
            parts = instance.session.sequencer.partitions
            if len(parts) < len(self._broker.logs) or any(part.idle for part in parts.values()):
                return
        self._waking = False
        self._next_phase(now_ms)

    def _next_phase(self, now_ms: int) -> None:
        self._phase += 1
        self._left = {p: list(reversed(content)) for p, content in self._scenario.phases[self._phase].items()}
        self._add_partitions(self._phase, now_ms)

    def _add_partitions(self, phase: int, now_ms: int) -> None:
        for partition in self._scenario.phases[phase]:
            if partition not in self._broker.logs:
                self._broker.logs[partition] = self._log(partition, now_ms)

    def _log(self, partition: int, now_ms: int) -> Log:
        if self._tree is not None:
            return TreeLog(self._tree, partition, now_ms)
        begin = self._scenario.begins[partition]
        return Log(begin, begin, appended_ms=now_ms)

    def _append(self, partition: int, now_ms: int) -> None:
        self._broker.logs[partition].append(self._left[partition].pop(), self._chance, now_ms)
