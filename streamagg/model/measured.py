"""Numbers that a process takes of its own work: plain sums, so that taking them costs next to nothing.

They count since the process began and travel with its heartbeats.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Final, Literal, get_args

import msgspec

ClientKind = Literal["group", "publisher", "reader"]
Stage = Literal["fetch", "decode", "sequence", "add", "publish", "commit"]
STAGES: Final[tuple[Stage, ...]] = get_args(Stage)
STAGE_BOUNDS_S: Final = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""Half decades: a batch takes a tenth of a millisecond when it is small and live, seconds when the machine is
overloaded."""


class Distribution(msgspec.Struct, array_like=True, gc=False):
    """How many values fell into each bucket of a histogram, and what they add up to."""

    counts: list[int]
    """One more than there are bounds: the last bucket takes what is above all of them."""
    sum: float = 0.0

    @classmethod
    def over(cls, bounds: Sequence[float]) -> "Distribution":
        """An empty one."""
        return cls([0] * (len(bounds) + 1))

    def observe(self, value: float, bounds: Sequence[float]) -> None:
        """Put a value into its bucket; a bound belongs to the bucket below it."""
        self.counts[bisect_left(bounds, value)] += 1
        self.sum += value

    def add(self, other: "Distribution") -> None:
        """Add the values of another one with the same bounds."""
        self.counts = [mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)]
        self.sum += other.sum


class StageTimes(msgspec.Struct, array_like=True, gc=False):
    """Seconds that the batches took, by stage."""

    by_stage: dict[Stage, Distribution] = {}

    def took(self, stage: Stage, seconds: float) -> None:
        """A batch has passed this stage."""
        if stage not in self.by_stage:
            self.by_stage[stage] = Distribution.over(STAGE_BOUNDS_S)
        self.by_stage[stage].observe(seconds, STAGE_BOUNDS_S)

    def add(self, other: "StageTimes") -> None:
        """Add those of another process, or of another life."""
        # A copy: the thread of the publisher may add a stage meanwhile.
        for stage, times in other.by_stage.copy().items():
            self.by_stage.setdefault(stage, Distribution.over(STAGE_BOUNDS_S)).add(times)


class RoundTrip(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """From a request to its answer, in seconds, over the last interval of librdkafka's statistics."""

    median_s: float
    p99_s: float


class ClientNumbers(msgspec.Struct, array_like=True, gc=False):
    """What clients of Kafka, and readers of directories, have met with."""

    errors: dict[str, int] = {}
    """By the name of the code, such as ``_TRANSPORT``."""
    round_trips: dict[str, RoundTrip] = {}
    """By the number of the broker, as last heard."""
    skipped: dict[str, int] = {}
    """Files of which something is in no count, by why (``sources.directory.skipped``)."""

    def failed(self, code: str) -> None:
        """Count an error."""
        self.errors[code] = self.errors.get(code, 0) + 1

    def add(self, other: "ClientNumbers") -> None:
        """Add those of another client: of two round trips with one broker, the slower is kept."""
        add_counts(self.errors, other.errors)
        add_counts(self.skipped, other.skipped)
        for broker, theirs in other.round_trips.items():
            mine = self.round_trips.get(broker, theirs)
            self.round_trips[broker] = RoundTrip(
                max(mine.median_s, theirs.median_s), max(mine.p99_s, theirs.p99_s)
            )


class PublisherNumbers(msgspec.Struct, gc=False):
    """What the publishers of a run have done, one after the other; they write and others read."""

    client: ClientNumbers = msgspec.field(default_factory=ClientNumbers)
    times: StageTimes = msgspec.field(default_factory=StageTimes)
    committed: int = 0
    """Transactions."""
    aborted: int = 0
    last_commit_s: float | None = None
    """Unix time."""
    state_bytes: int | None = None
    """Of keys and values of what open periods hold, as published; None without calendars."""
    restore_s: float | None = None
    """Seconds that reading this back took, the last time."""


def add_counts(into: dict[str, int], more: Mapping[str, int]) -> None:
    """Add counts to those under the same names."""
    for name, count in more.items():
        into[name] = into.get(name, 0) + count
