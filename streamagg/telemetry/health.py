"""Whether a run is alive and ready, as its main loop reports it and others ask."""

from collections.abc import Callable, Sequence
from time import monotonic
from typing import Final

STUCK_S: Final = 60.0
"""A main loop that has not beaten for so long is stuck: no wait for Kafka takes as long."""


class Health:
    """Written by the main loop, read by the threads that answer others."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        """``clock`` returns seconds."""
        self._clock = clock
        self._beat_s = clock()
        self._unready: tuple[str, ...] = ("the run has not begun",)

    def beat(self) -> None:
        """The main loop moves."""
        self._beat_s = self._clock()

    def show(self, unready: Sequence[str]) -> None:
        """Why the run is not ready, from here on; nothing when it is."""
        self._unready = tuple(unready)

    def stuck(self) -> list[str]:
        """Why the run is not alive; nothing when it is."""
        silent_s = self._clock() - self._beat_s
        return [f"the main loop has stood still for {silent_s:.0f} s"] if silent_s >= STUCK_S else []

    def unready(self) -> list[str]:
        """Why the run is not ready; nothing when it is."""
        return [*self.stuck(), *self._unready]
