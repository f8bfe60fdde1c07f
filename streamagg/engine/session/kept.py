"""What is kept of open periods between sessions, on its way from the sink to the aggregators."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from secrets import token_hex

from streamagg.core.calendars import Calendars
from streamagg.core.period_state import PeriodState, restored
from streamagg.core.windows import Windows
from streamagg.engine.workers.port import Port
from streamagg.model.messages import RestorePeriod
from streamagg.model.periods import Gained
from streamagg.model.settings import WindowSettings

_WORD_BYTES = 4
"""Of what sessions are called by; two of the same word would have to follow each other within a period."""


@dataclass(frozen=True, slots=True)
class Kept:
    """At the beginning of a session."""

    state: PeriodState
    gained: Sequence[Gained]
    """By period, what every shard takes its share of."""

    def restore(self, aggregators: Sequence[Port], windows: Windows) -> None:
        """Hand it to the aggregators."""
        until_ms = self.state.through_ms
        through = None if until_ms is None else windows.number(until_ms) - 1
        for shard, port in enumerate(aggregators):
            port.post(RestorePeriod([], through, len(aggregators), shard))
            for one in self.gained:
                port.post(RestorePeriod([one], through, len(aggregators), shard))


def kept_of(
    records: Iterable[tuple[bytes, bytes]],
    window: WindowSettings,
    published_through: int | None,
    *,
    exactly_once: bool,
) -> Kept:
    """What a sink has kept; ``published_through``: the last window published by the checkpoint.

    Raises CheckpointError.
    """
    until_ms = None if published_through is None else Windows(window).start_ms(published_through + 1)
    state, gained = restored(
        records, Calendars(window), token_hex(_WORD_BYTES), until_ms, exactly_once=exactly_once
    )
    return Kept(state, gained)
