"""A closed window while the answers of its shards come in."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from streamagg.core.measures.contract import Summary
from streamagg.core.measures.smallest_users import Smallest
from streamagg.model.groups import NO_TEXTS, GroupTexts
from streamagg.model.messages import ShardCount


@dataclass(frozen=True, slots=True)
class Answer:
    """What some rows of a window come to."""

    summaries: Sequence[Summary]
    """By measure."""
    groups: GroupTexts = NO_TEXTS
    """By place."""
    dropped: bool = False
    """There were too many groups, so that these are forgotten: there is one place, and ``groups`` has at most
    those of a period that somebody was told of before."""
    smallest: Smallest | None = None
    """Users for sketches; None: these are not wanted."""


@dataclass(slots=True)
class ClosedWindow:
    """Answers of shards, or of other parts of its rows."""

    window: int
    partial: bool
    missing: set[int] = field(default_factory=set)
    """Shards that have not answered."""
    answers: list[Answer] = field(default_factory=list)

    def add(self, count: ShardCount, shard: int) -> None:
        """Take the answer of a shard."""
        self.missing.discard(shard)
        self.answers.append(Answer(count.summaries, count.groups, count.dropped, count.smallest))
