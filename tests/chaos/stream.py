"""Records that keep coming while things break, and a truth that is told what was sent."""

import threading
import time
from abc import ABC, abstractmethod
from random import Random
from typing import ClassVar, Final

from tests.chaos.shape import Shape
from tests.chaos.truth import Truth

TICK_MS: Final = 20
FLUSH_S: Final = 60.0
"""How long what was sent may take to be there."""
_ORDERLY_MS: Final = 2_000
"""How long a partition begins in order, so that it has a clock."""


class Stream(threading.Thread, ABC):
    """Event time passes as the wall clock does, in steps of ``TICK_MS``; it begins at the present."""

    junk: ClassVar[tuple[bytes, ...]] = (
        b"",
        b"{",
        b"[]",
        b'{"ts":null,"uid":"x"}',
        b'{"ts":1,"uid":""}',
        b'{"uid":"x"}',
    )
    """What is no record."""

    def __init__(self, truth: Truth, shape: Shape, random: Random) -> None:
        super().__init__(name="feeder", daemon=True)
        self.rate: float = shape.rate
        """Records a second from the next step on."""
        self.partitions = list(range(shape.partitions))
        """Where records go; may be replaced by another list at any time."""
        self.behind_ms: dict[int, int] = {}
        """By how much a partition lies behind the others; set it before the start."""
        self.sent = 0
        self.now_ms = int(time.time() * 1000)
        """Event time in ms of the step that is fed."""
        self._truth = truth
        self._shape = shape
        self._random = random
        self._since_ms: dict[int, int] = {}
        self._owed = 0.0
        self._paused = threading.Event()
        self._ending = threading.Event()

    @abstractmethod
    def flush(self) -> None:
        """Wait until everything is there."""

    @abstractmethod
    def _put(self, partition: int, payload: bytes) -> None:
        """One more record, or what is none."""

    @abstractmethod
    def _stepped(self) -> None:
        """Called after each step."""

    @abstractmethod
    def _wait(self, seconds: float) -> None:
        """At most so long."""

    def run(self) -> None:
        """Feed until ``stop``."""
        due = time.monotonic()
        while not self._ending.is_set():
            if not self._paused.is_set():
                self._step(self._random)
            self._stepped()
            # What the machine was too busy for is not made up: event time stands still meanwhile.
            due = max(due + TICK_MS / 1000, time.monotonic())
            while (left := due - time.monotonic()) > 0:
                self._wait(left)

    def pause(self) -> None:
        """Send nothing until ``resume``; event time stands still."""
        self._paused.set()

    def resume(self) -> None:
        """End a ``pause``."""
        self._paused.clear()

    def stop(self) -> None:
        """Send nothing more."""
        self._ending.set()
        if self.is_alive():
            self.join()

    def finish(self) -> None:
        """Stop, and send what it takes to close every window that holds a record so far."""
        self.stop()
        closing_ms = self.now_ms + self._shape.window.max_lag_ms + 2 * self._shape.granularity_ms
        self._owed = 0.0
        while self.now_ms < closing_ms:
            self.now_ms += TICK_MS
            for partition in self.partitions:
                self._send(partition, self.now_ms - self.behind_ms.get(partition, 0))
        self.flush()

    def _step(self, chance: Random) -> None:
        self.now_ms += TICK_MS
        self._owed += self.rate * TICK_MS / 1000
        number = int(self._owed)
        self._owed -= number
        for row in range(number):
            partition = chance.choice(self.partitions)
            time_ms = self.now_ms + row * TICK_MS // number - self.behind_ms.get(partition, 0)
            if chance.random() < self._shape.broken:
                self._produce(partition, chance.choice(self.junk))
            else:
                self._send(partition, time_ms - self._delay_ms(partition, chance))
        if self.now_ms // 1_000 != (self.now_ms - TICK_MS) // 1_000:
            self._truth.settle()

    def _delay_ms(self, partition: int, chance: Random) -> int:
        if self.now_ms < self._since_ms.setdefault(partition, self.now_ms) + _ORDERLY_MS:
            return 0
        kind = chance.random()
        window = self._shape.window
        if kind < self._shape.late:
            return chance.randint(1, 5_000) + 2 * window.granularity_ms + window.max_lag_ms
        return chance.randint(0, window.max_lag_ms * 3 // 4) if kind < self._shape.disorder else 0

    def _send(self, partition: int, time_ms: int) -> None:
        user = self._random.randrange(self._shape.users)
        self._truth.add(partition, time_ms, user)
        self._produce(partition, b'{"ts":%d,"uid":"%d"}' % (time_ms, user))

    def _produce(self, partition: int, payload: bytes) -> None:
        self._put(partition, payload)
        self.sent += 1
