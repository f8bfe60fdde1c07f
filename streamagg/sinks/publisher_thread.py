"""Publishes without keeping the coordinator waiting: a thread of its own waits for whoever takes it."""

import os
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from time import monotonic
from typing import Final, Protocol

from streamagg import faults
from streamagg.errors import AccessDenied, CheckpointError, PlaceError, TopicError, Unreachable
from streamagg.sinks.contract import OutputAway, Publication, PublishFailed, Stored

STUCK_S: Final = 20.0
"""A call of the producer may hang, whatever time-out it was given: when its broker is started anew, or when
the wall clock is set back (librdkafka issue 2145)."""
_INIT_LOOK_S: Final = 0.05
"""How often the main loop beats and looks for a stop while the producer starts."""
_SERVE_EVERY_S: Final = 1.0
"""Errors and statistics of an idle producer wait in its queue until it is polled."""


class Output(Protocol):
    """What does the work; every call may wait."""

    @property
    def name(self) -> str:
        """Who takes publications, for messages."""

    def open(self, waiting: Callable[[], bool]) -> None:
        """Shut out every leader before; ``waiting`` is false once nobody wants it, and called every second.

        Raises a StreamaggError, OutputAway or PublishFailed.
        """

    def publish(self, publication: Publication, submitted_s: float) -> None:
        """``submitted_s`` is when it was asked for; raises what went wrong, for ``failure`` to name."""

    def failure(self, cause: Exception) -> Exception:
        """What the session hears of a publication that did not get out."""

    def checkpoints(self, partitions: Iterable[int]) -> Stored:
        """See ``sinks.contract.LeaderPublisher``, as ``state``."""

    def state(self, alive: Callable[[], object]) -> Iterator[tuple[bytes, bytes]]: ...

    def serve(self) -> None:
        """Called about once a second while there is nothing to publish."""

    def close(self) -> None:
        """Give up connections and files."""


class PublisherThread:
    """Implements ``sinks.contract.LeaderPublisher``: one output, one thread, one publication at a time."""

    def __init__(self, output: Output, at: Callable[[faults.Point], None], stuck_s: float = STUCK_S) -> None:
        """``at``: as of the output, whose last named point is reached here.

        ``stuck_s``: how long a publication, or a call at the start, may take before it is given up.
        """
        self._output = output
        self._stuck_s = stuck_s
        self._at = at
        self._jobs: queue.SimpleQueue[Publication | None] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[Publication | Exception] = queue.SimpleQueue()
        self._wake_read, self._wake_write = os.pipe()
        self._thread: threading.Thread | None = None
        self._started = threading.Event()
        self._refused: Exception | None = None
        """Why it could not start."""
        self._given_up = False
        self._called = 0.0
        """When the thread last asked for transactions."""
        self.busy = False
        self._submitted = 0.0

    def start(self, give_up: Callable[[], bool]) -> bool:
        """Shut out every leader before; False if told to give up meanwhile.

        Raises Unreachable, or the error for what is answered.
        """
        self._thread = threading.Thread(target=self._work, name="publisher", daemon=True)
        self._called = monotonic()
        self._thread.start()
        while not self._started.wait(_INIT_LOOK_S):
            if give_up():
                self._given_up = True
                return False
            if monotonic() - self._called > self._stuck_s:
                self._given_up = True
                raise Unreachable(
                    f"{self._output.name} did not let a publisher in within {self._stuck_s:g} s"
                )
        if self._refused is not None:
            raise self._refused
        return True

    def checkpoints(self, partitions: Iterable[int]) -> Stored:
        """The last ones; asked in the thread of the caller."""
        return self._output.checkpoints(partitions)

    def state(self, alive: Callable[[], object]) -> Iterator[tuple[bytes, bytes]]:
        """What earlier publications have left of it; read in the thread of the caller."""
        return self._output.state(alive)

    def fileno(self) -> int:
        """Readable when a publication is finished, for selectors."""
        return self._wake_read

    def submit(self, publication: Publication) -> None:
        """Begin to publish; only while not busy."""
        self.busy = True
        self._submitted = monotonic()
        self._jobs.put(publication)

    def finished(self) -> Publication | None:
        """The publication that is out since the last call.

        Raises PublishFailed, and what beginning again would not help against: see ``Output.failure``.
        """
        try:
            result = self._results.get_nowait()
        except queue.Empty:
            if self.busy and monotonic() - self._submitted > self._stuck_s:
                self.busy = False
                raise OutputAway(
                    f"{self._output.name} did not finish a publication within {self._stuck_s:g} s"
                ) from None
            return None
        os.read(self._wake_read, 1)
        self.busy = False
        if isinstance(result, Publication):
            self._at("before-free")
            return result
        raise result

    def close(self, timeout_s: float) -> None:
        """End the thread once what is under way is done; do not wait for it longer than this."""
        self._jobs.put(None)
        if self._thread is None:
            self._release()
        else:
            self._thread.join(timeout_s)

    def _work(self) -> None:
        if self._open():
            self._publish_all()
        self._release()

    def _open(self) -> bool:
        try:
            self._output.open(self._waiting)
        except Exception as error:
            # Whatever it is: ``start`` raises it.
            self._refused = error
        finally:
            self._started.set()
        return self._refused is None

    def _waiting(self) -> bool:
        self._called = monotonic()
        return not self._given_up

    def _publish_all(self) -> None:
        while (publication := self._next_job()) is not None:
            try:
                self._output.publish(publication, self._submitted)
            except Exception as error:
                # Whatever it is: were this thread to die of it, the session would wait in vain.
                self._results.put(self._output.failure(error))
            else:
                self._results.put(publication)
            os.write(self._wake_write, b".")

    def _next_job(self) -> Publication | None:
        """Waits for it, and serves the client meanwhile."""
        while True:
            try:
                return self._jobs.get(timeout=_SERVE_EVERY_S)
            except queue.Empty:
                self._output.serve()

    def _release(self) -> None:
        self._output.close()
        os.close(self._wake_read)
        os.close(self._wake_write)


def failure_of(cause: BaseException) -> Exception:
    """What the session hears of a publication that did not get out."""
    match cause:
        case AccessDenied() | CheckpointError() | PlaceError() | TopicError() | PublishFailed():
            return cause
        case Unreachable():
            return OutputAway(str(cause))
    return PublishFailed(str(cause))
