"""A closed window while the answers of its shards come in, and the table that they add up to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from streamagg.core.measures.contract import Summary
from streamagg.core.measures.published import Measures, measures_of
from streamagg.core.windows import Windows
from streamagg.errors import TooManyUsers
from streamagg.model.messages import ShardCount
from streamagg.model.results import ALL, Group, Value, WindowTable
from streamagg.model.settings import NO_CEILING, DecodeSettings

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class ClosedWindow:
    """Summaries by group and measure."""

    window: int
    partial: bool
    missing: set[int]
    """Shards that have not answered."""
    measures: Measures
    rows: dict[Group, list[Summary]] = field(default_factory=dict)

    def add(self, count: ShardCount, shard: int) -> None:
        """Take the answer of a shard."""
        self.missing.discard(shard)
        self.combine(count.rows)

    def combine(self, rows: Mapping[Group, list[Summary]]) -> None:
        """Take further rows of the table, or further parts of rows."""
        for group, summaries in rows.items():
            self.rows[group] = self._combined(self.rows.get(group), summaries)

    def refusal(self, windows: Windows) -> TooManyUsers | None:
        """Why the run stops here: neither this window nor one behind it may be published; None: it may."""
        for summaries in self.rows.values():
            for measure, summary in zip(self.measures, summaries, strict=True):
                if (why := measure.refusal(summary)) is not None:
                    start = _EPOCH + timedelta(milliseconds=windows.start_ms(self.window))
                    return TooManyUsers(f"The window of {start:%Y-%m-%dT%H:%M:%SZ} {why}")
        return None

    def table(self) -> WindowTable:
        """What is published."""
        rows = {group: self._finished(summaries) for group, summaries in self.rows.items()}
        return WindowTable(self.window, self.partial, rows)

    def _finished(self, summaries: list[Summary]) -> dict[str, Value]:
        pairs = zip(self.measures, summaries, strict=True)
        return {measure.name: measure.finish(summary).all for measure, summary in pairs}

    def _combined(self, ours: list[Summary] | None, theirs: list[Summary]) -> list[Summary]:
        if ours is None:
            return theirs
        pairs = zip(self.measures, ours, theirs, strict=True)
        return [measure.combine(((one, None), (other, None)), 1) for measure, one, other in pairs]


def _nothing() -> WindowTable:
    measures = measures_of(DecodeSettings(), NO_CEILING)
    summaries = [measure.initialize().summary() for measure in measures]
    return ClosedWindow(0, False, set(), measures, {ALL: summaries}).table()


_NOTHING: Final = _nothing().rows


def empty_window(window: int, *, partial: bool = False) -> WindowTable:
    """One that nobody hit."""
    return WindowTable(window, partial, _NOTHING)
