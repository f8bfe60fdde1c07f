"""Standard output as a sink: a line of JSON for each result, as a topic would get it.

Nothing of it can be read again, so that checkpoints last as long as the process: a session that breaks goes
on from them, and the next process begins anew.
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from math import inf

from streamagg import faults
from streamagg.core import checkpoint
from streamagg.core.windows import Windows
from streamagg.model.measured import PublisherNumbers
from streamagg.model.settings import RunSettings
from streamagg.sinks.contract import Publication, Stored
from streamagg.sinks.json_records import render
from streamagg.sinks.leadership import Leadership
from streamagg.sinks.publisher_thread import PublisherThread


class StreamSink:
    """Implements ``sinks.contract.Sink``."""

    most_future = 0

    def __init__(self, settings: RunSettings, at: Callable[[faults.Point], None]) -> None:
        """``at``: as of ``kafka.topic``."""
        self._settings = settings
        self._at = at
        self._stored: Stored = {}
        self._state: dict[bytes, bytes] = {}

    def make(self) -> None:
        """It is there."""

    def require(self, alive: Callable[[], None]) -> None:
        """It is there."""

    def holds_results(self) -> bool:
        """Nobody can tell."""
        return False

    def checkpoints(self, partitions: Iterable[int]) -> Stored:
        """Those of this process."""
        return {number: self._stored[number] for number in partitions if number in self._stored}

    def publisher(
        self,
        leadership: Leadership,
        signature: str,
        confirm: Callable[[], object],
        numbers: PublisherNumbers,
    ) -> PublisherThread:
        """Waits for whoever reads, without end."""
        output = _Lines(self._settings, self, signature, confirm)
        return PublisherThread(output, self._at, inf)

    def keep(self, publication: Publication, stored: Stored) -> None:
        """What the next session goes on from, once the lines are out."""
        for key, value in publication.state:
            self._state.pop(key, None)
            if value is not None:
                self._state[key] = value
        self._stored = stored

    def state(self) -> Iterator[tuple[bytes, bytes]]:
        """As ``LeaderPublisher``."""
        return iter(list(self._state.items()))


class _Lines:
    """Implements ``publisher_thread.Output``."""

    name = "standard output"

    def __init__(
        self, settings: RunSettings, sink: StreamSink, signature: str, confirm: Callable[[], object]
    ) -> None:
        self._settings = settings
        self._windows = Windows(settings.window)
        self._sink = sink
        self._signature = signature
        self._confirm = confirm

    def open(self, waiting: Callable[[], bool]) -> None:
        """There is nobody to shut out."""

    def publish(self, publication: Publication, submitted_s: float) -> None:
        """Raises ReaderGone if nobody reads, and OSError."""
        self._confirm()
        settings = self._settings
        lines = [
            value + b"\n"
            for table in publication.tables
            for _, value in render(self._windows, table, settings.decode.group_by)
        ]
        sys.stdout.buffer.write(b"".join(lines))
        sys.stdout.buffer.flush()
        self._sink.keep(
            publication,
            {
                number: (
                    at.state.offset,
                    checkpoint.encode(at, self._signature, settings.window, settings.decode),
                )
                for number, at in publication.checkpoints.items()
            },
        )

    def failure(self, cause: Exception) -> Exception:
        """Lines that are partly out cannot be taken back."""
        return cause

    def checkpoints(self, partitions: Iterable[int]) -> Stored:
        """Those of this process."""
        return self._sink.checkpoints(partitions)

    def state(self, alive: Callable[[], object]) -> Iterator[tuple[bytes, bytes]]:
        """That of this process."""
        alive()
        return self._sink.state()

    def serve(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """It is left open."""
