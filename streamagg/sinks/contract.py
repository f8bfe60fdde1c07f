"""What the engine asks of a sink of results, and how to write one.

A sink keeps what is published, and with it the checkpoint of the input, from which reading goes on after a
crash. What makes that exact:

- A publication and its checkpoint are out together or not at all. (With at-least-once delivery results may be
  out without their checkpoint, never the other way round: they come once more.)
- What is to be kept for whoever publishes next, as open periods, is out with its publication, too: keys and
  values that mean something to the core alone. (With at-least-once delivery it may be out without the
  checkpoint. It then comes in steps, each when the one before is out: the results, all values but the last,
  the last value, what is removed. So the last value may tell that the others are there.)
- It gives back the last checkpoint: for each partition the offset to go on from, and a text that means
  something to ``core.checkpoint`` alone.
- One instance publishes. Which one is decided elsewhere, by a leadership; but a leader that was replaced may
  not know. So whoever begins to publish shuts out everybody before, and a publication of theirs that comes
  later fails.

To write one:

1. ``Sink``: a class that ``open.open_sink`` makes of ``model.settings.RunSettings``. It is asked before an
   instance joins its group, and by standbys.
2. ``LeaderPublisher``: the main loop must not wait, so that it works in a thread of its own
   (``publisher_thread``), say, and at one publication at a time. Whatever breaks there becomes PublishFailed:
   the engine reads back the checkpoint and goes on from it, which is right whether the publication is out or
   not. OutputAway is the same where waiting may help. What beginning again would not help against is raised
   as the StreamaggError that it is.
3. Results are rendered by ``json_records`` where they are JSON.
4. Add it to ``tests/contracts/test_sinks.py``, which says all of this as tests.

``kafka.topic`` is a topic, ``directory.sink`` are files, ``postgres.sink`` are tables; ``callback`` hands
results to a function, and needs no leader; ``tests/simulation/sink.py`` breaks wherever it can.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

from streamagg.core.checkpoint import Checkpoint
from streamagg.core.late_references import LateReferences
from streamagg.model.measured import PublisherNumbers
from streamagg.model.results import RunningPeriod, WindowTable

Stored = dict[int, tuple[int, str]]
"""Checkpoints as they are kept: offset and text by partition, those without one left out."""
State = tuple[tuple[bytes, bytes | None], ...]
"""Keys and values: each takes the place of the last value of its key, None removes it. What is removed in a
publication is not given a value behind that in the same one."""
Leads = TypeVar("Leads", contravariant=True)
"""What makes an instance the leader, if the sink has to know: see ``leadership``."""


@dataclass(frozen=True, slots=True)
class Publication:
    """Windows and the checkpoint that goes with them, in one transaction where there are transactions."""

    windows: tuple[WindowTable, ...]
    checkpoints: dict[int, Checkpoint]
    """By partition; written for every partition."""
    future: tuple[tuple[int, int], ...] = ()
    """Partition and offset of records rejected as future since the last publication."""
    late: tuple[LateReferences, ...] = ()
    """Late records since the last publication, if they are wanted."""
    state: State = ()
    """What is to be kept for whoever publishes next, in order."""
    periods: tuple[WindowTable, ...] = ()
    """Periods of calendars that are over, in order."""
    running: tuple[RunningPeriod, ...] = ()
    """What periods come to so far, and in the end, if it is wanted."""

    @property
    def tables(self) -> tuple[WindowTable, ...]:
        """All results, in the order in which they are published: a period behind the last window in it.

        So the order does not show what was published together.
        """
        return tuple(sorted((*self.windows, *self.periods), key=lambda table: table.window))

    @property
    def through(self) -> int | None:
        """The greatest window published with it or before it."""
        return next(iter(self.checkpoints.values())).closed_through if self.checkpoints else None


class PublishFailed(Exception):
    """The publication is not known to be out: continue from the committed checkpoint."""


class OutputAway(PublishFailed):
    """The same, because whoever takes publications is not there for a while: no fault of this run."""


class Publisher(Protocol):
    """Takes one publication at a time."""

    @property
    def busy(self) -> bool:
        """A publication is under way."""

    def submit(self, publication: Publication) -> None:
        """Begin to publish; only while not busy."""

    def finished(self) -> Publication | None:
        """The publication that is out since the last call; raises PublishFailed."""


class LeaderPublisher(Publisher, Protocol):
    """The same for one of several instances: the leader."""

    def start(self, give_up: Callable[[], bool]) -> bool:
        """Shut out every leader before; False if told to give up meanwhile. Raises a StreamaggError."""

    def checkpoints(self, partitions: Iterable[int]) -> Stored:
        """The last ones, which from ``start`` on nobody else changes."""

    def state(self, alive: Callable[[], object]) -> Iterator[tuple[bytes, bytes]]:
        """The last value of each key, in the order in which they were published; to be asked after ``start``.

        Calls ``alive`` several times a second. Raises a StreamaggError.
        """

    def fileno(self) -> int:
        """Readable when a publication is finished, for selectors."""

    def close(self, timeout_s: float) -> None:
        """End once what is under way is done, or this time is over."""


class Sink(Protocol[Leads]):
    """Where results and checkpoints go. Raises a StreamaggError where it cannot be reached."""

    @property
    def most_future(self) -> int:
        """How many records rejected as future a publication may name; 0: any number."""

    def make(self) -> None:
        """Make what is not there yet, if that is allowed; raises TopicError or PlaceError."""

    def require(self, alive: Callable[[], None]) -> None:
        """Raises TopicError or PlaceError if something is missing; calls ``alive`` after each question."""

    def holds_results(self) -> bool:
        """Somebody has published to it before."""

    def checkpoints(self, partitions: Iterable[int]) -> Stored:
        """The last ones; what is under way is not waited for."""

    def publisher(
        self,
        leadership: Leads,
        signature: str,
        confirm: Callable[[], object],
        numbers: PublisherNumbers,
    ) -> LeaderPublisher:
        """For the leader; checkpoints bear the signature.

        ``confirm`` is called before each publication, and raises once the input is not that of the signature.
        What is done is counted in ``numbers``.
        """
