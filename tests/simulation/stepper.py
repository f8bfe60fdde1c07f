"""Work in a thread of its own that takes one step at a time, and may be killed between any two of them."""

import threading
from collections.abc import Callable
from typing import Final

from tests.support.simulated_files import Dies

WAIT_S: Final = 60.0


class Stepper:
    """Whatever it does, nobody else does anything meanwhile."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._go, self._stands = threading.Semaphore(0), threading.Semaphore(0)
        self._killed = False

    @property
    def works(self) -> bool:
        """It stands before a step."""
        return self._thread is not None

    def begin(self, work: Callable[[], None]) -> None:
        """Do this, up to the next pause in each step."""

        def run() -> None:
            self._go.acquire()
            try:
                work()
            except Dies:
                pass
            finally:
                self._thread = None
                self._stands.release()

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()

    def step(self) -> None:
        """Up to the next pause."""
        self._go.release()
        assert self._stands.acquire(timeout=WAIT_S)

    def kill(self) -> None:
        """It gets no further than the next pause."""
        self._killed = True
        while self.works:
            self.step()

    def pause(self) -> None:
        """Stand still here, for long perhaps; raises Dies where it was killed."""
        if threading.current_thread() is self._thread:
            self._stands.release()
            self._go.acquire()
        if self._killed:
            raise Dies
