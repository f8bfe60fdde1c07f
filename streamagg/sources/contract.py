"""What the engine asks of a source of records, and how to write one.

A source has partitions, numbered from 0 without gaps. Each is a log:

- Its records stand at ascending offsets, which are integers of 64 bits and may have gaps. A record keeps its
  offset, and behind the end more may be written; so an offset is a position that can be stored, and means
  the same when reading goes on from there after a crash.
- It is read in that order, from any offset on.
- It has a beginning (what was before is gone), an end that readers get to, and an end of all that is written.
- It is this log only as long as the source has the same id.

To write one:

1. ``Source``: a class that ``open.open_source`` makes of ``model.settings.SourceSettings``. Making it asks
   nobody anything, because every worker makes one. Questions are asked in threads: they may wait, but not
   without end, and raise a StreamaggError that says what is wrong; Unreachable if asking again may help.
2. ``Reader``: leases in, batches out. It is the hot path, and works on whole pieces.
3. Where a place in a log is more than a number, as a file and a byte in it, the source makes one number of it
   (the bytes of all files before, and that byte). What finds the place again is a text beside the offset of
   a checkpoint, and travels with leases: ``Marks``.
4. What can be read only once is not ``repeatable``: it is read in the main process, and when a session breaks
   the run ends. Its tests are its own (``tests/integration/test_stream.py``).
5. Add it to ``tests/contracts/test_sources.py``, which says all of this as tests.

``kafka.topic`` is a topic, ``directory`` a tree of directories, ``files`` are files that are finished,
``stream`` is standard input.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Literal, NamedTuple, Protocol

from streamagg.model.batch import Batch, Identity, Standing
from streamagg.model.measured import ClientNumbers
from streamagg.model.messages import Lease

UNKNOWN_END: Final = 1 << 62
"""Where a log is taken to end whose end nobody knows before it is read, as that of a pipe. One reader reads
such a log, once and from its front, and no position in it is stored."""

Unit = Literal["records", "bytes"]
"""What offsets count."""
At = Literal["earliest", "latest"] | int
"""The first record kept, behind the last one that readers get to, or the first one appended at this time or
later (ms since the epoch): the latest where there is none, the earliest in a log that knows no times."""

Stored = dict[int, tuple[int, str]]
"""Checkpoints as they are kept: offset and text by partition, those without one left out."""
Ask = Callable[[Iterable[int]], Stored]
"""Reads the checkpoints of partitions."""


class Stretch(NamedTuple):
    """A range of offsets for a lease."""

    stop: int
    where: bytes
    """For the reader: see ``model.messages.Lease``."""


class Marks(Protocol):
    """Finds the places that offsets stand for, where offsets alone do not. Is asked in the leader only.

    Leases never go beyond the end that readers get to: when that has moved, there is another lease. The last
    one before it is ``caught_up`` at its end, and has no offsets where nothing is there.
    """

    @property
    def numbers(self) -> ClientNumbers:
        """What was met with in this process."""

    def recall(self, ask: Ask) -> Stored:
        """Checkpoints, whose texts say what their offsets stand for from here on; raises CheckpointError."""

    def forget(self) -> None:
        """A session begins anew, whatever was recalled."""

    def mark(self, partition: int, offset: int) -> str:
        """What to store with an offset: ASCII without blanks, no longer for more files."""

    def end(self, partition: int) -> int:
        """The end that readers get to."""

    def stretch(self, partition: int, start: int, most: int, limit: int) -> Stretch:
        """About the next ``most`` offsets, cut where a reader can begin; none beyond ``limit`` or the end."""

    def committed(self, offsets: Mapping[int, int]) -> None:
        """The first offsets, by partition, that may be asked for again."""

    def look(self) -> None:
        """Take note of what has changed, and finish with what is committed."""


class Reader(Protocol):
    """Hands out the payloads of leases, each lease in order and completely: gaps, too, are covered."""

    def add(self, lease: Lease) -> None:
        """Read a further lease; those of one partition are read one after the other."""

    def revoke(self, partition: int | None) -> None:
        """Forget the leases of a partition, or all."""

    @property
    def busy(self) -> bool:
        """There is a lease to read."""

    def poll(self, timeout_ms: int) -> list[Batch]:
        """What has come within the time-out.

        The batches of a lease follow one another without gaps, from its start on. One that comes to the end
        of the log before that of its lease is ``caught_up``: if the log may grow, the lease waits, else it is
        done. Payloads last as long as the reader. Raises the StreamaggError that keeps it from reading on.
        """

    def close(self) -> None:
        """Give up connections and files."""


class DeadLetters(Protocol):
    """Where rejected records go."""

    def put(self, batch: Batch, rejected: Sequence[tuple[int, str]]) -> None:
        """Write down rejected records, pairs of (position in the batch, reason), before returning."""


class Source(Protocol):
    """Where records come from."""

    @property
    def name(self) -> str:
        """For messages."""

    @property
    def unit(self) -> Unit:
        """What offsets count."""

    @property
    def repeatable(self) -> bool:
        """It can be read again from a position that was stored; a stream cannot."""

    @property
    def marks(self) -> Marks | None:
        """None where an offset says it all."""

    @property
    def hidden_by(self) -> str:
        """Why the end that readers get to may lie before the end of the log, to complete a sentence."""

    def partitions(self) -> int:
        """How many there are."""

    def identity(self) -> Identity:
        """Which source it is, asked again and again; raises a StreamaggError when it is gone."""

    def confirm(self, expected: str) -> Identity:
        """The same; raises CheckpointError when its id is known, and another one than expected."""

    def offsets(self, partitions: Iterable[int], at: At) -> dict[int, int]:
        """Offset by partition."""

    def log_ends(self, partitions: Iterable[int]) -> dict[int, int]:
        """Offset behind the last record of each partition, whether readers get there yet or not."""

    def held(self, standing: Mapping[int, Standing]) -> dict[int, str]:
        """Why partitions cannot be read on from where they stand; without those that can."""

    def hold_timeout_ms(self) -> int:
        """How long that is borne if nothing else is set."""

    def reader(self, max_record_bytes: int, numbers: ClientNumbers) -> Reader:
        """What reads it; of a record no more than a byte above this is needed.

        What it meets with is counted in ``numbers``.
        """
