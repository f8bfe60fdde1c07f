"""One partition as the sequencer sees it: what is parked, what waits for the ring, where it all went."""

import numpy as np

from streamagg.core.partition_clock import Moment, PartitionClock, PartitionState, Run
from streamagg.core.windows import Windows
from streamagg.errors import CheckpointError
from streamagg.model.columns import GROUP_COLUMN, Schema, UInt64Column
from streamagg.model.counters import Counters
from streamagg.model.groups import NO_TEXTS, Tables, named
from streamagg.model.messages import ColumnBlock


class Partition:
    """One partition as the sequencer sees it."""

    def __init__(
        self,
        number: int,
        windows: Windows,
        schema: Schema,
        state: PartitionState,
        read_before: int,
        *,
        keep_late: bool = False,
    ) -> None:
        """``schema``: what rows carry."""
        self.number = number
        self.clock = PartitionClock(windows, schema, state, keep_late=keep_late)
        self._schema = schema
        self._grouped = GROUP_COLUMN in schema.names
        self._aside_texts = NO_TEXTS
        """Of the groups of the records that are set aside."""
        self._recalled = recall_from(schema, state)
        """How far records that are set aside have been read again; None: there is nothing to recall."""
        self.counts = Counters(set_aside=len(state.set_aside), consumed=len(state.set_aside))
        self.parked: dict[int, ColumnBlock] = {}
        self.outbox: list[Run] = []
        self.first_touch: dict[int, PartitionState | Moment] = {}
        """For every open window: the state just before the step that first put a record into it."""
        self.read_before = read_before
        """Offsets below it were read before the start."""
        self.idle = False
        """It does not hold the watermark. The sequencer sets this, and an arrival ends it."""
        self.jumps = 0
        """How often the clock went further than max jump at once."""
        self.last_jump: tuple[int, int] | None = None
        """The times before and after."""
        self.caught_up = False
        self.floor_ms = state.clock_ms
        """Event time below which no more rows can come; None before the first record."""

    @property
    def position(self) -> int:
        """Next offset to apply."""
        return self.clock.state.offset if self._recalled is None else self._recalled

    @property
    def first_aside(self) -> int | None:
        """The offset of the first record that is set aside."""
        waiting = self.clock.state.set_aside
        return waiting[0].offset if waiting else None

    @property
    def holds(self) -> bool:
        """The watermark cannot pass its floor."""
        return not self.idle or bool(self.outbox)

    @property
    def ready(self) -> bool:
        """Something can be applied."""
        return bool(self.outbox) or self.position in self.parked

    @property
    def drained(self) -> bool:
        """Nothing waits to be applied."""
        return not self.outbox and not self.parked

    def drop_behind_gaps(self) -> None:
        """Forget the blocks that wait for others, which will not come."""
        position, reached = self.position, {}
        while (block := self.parked.get(position)) is not None and position not in reached:
            reached[position] = block
            position = block.next
        self.parked = reached

    def parked_rows(self) -> int:
        """Rows that wait in memory."""
        return sum(map(len, self.parked.values())) + self.counts.waiting

    def recall(self, block: ColumnBlock) -> bool:
        """Learn the groups of records set aside before the start; False if there is nothing to learn.

        Checkpoints have no room for texts, so that these records are read again. Raises CheckpointError.
        """
        if self._recalled is None:
            return False
        self._aside_texts = named((self._aside_texts, block.groups), self._aside_ids())
        offset = self.clock.state.offset
        self._recalled = None if block.next >= offset else block.next
        if self._recalled is None and len(self._aside_texts) < len(self._aside_ids()):
            raise CheckpointError(
                f"partition {self.number}: a record that the checkpoint has set aside is gone from the input,"
                " so its group is not known. Start anew with --from earliest"
            )
        return True

    def texts(self, block: ColumnBlock) -> Tables:
        """What names the groups of all rows that a block may bring out; it has been applied."""
        if not self._grouped:
            return ()
        tables = (block.groups, self._aside_texts) if len(self._aside_texts) else (block.groups,)
        self._aside_texts = named(tables, self._aside_ids()) if self.clock.state.set_aside else NO_TEXTS
        return tables

    def texts_aside(self) -> Tables:
        """What names the groups of the records that are, or just were, set aside."""
        return (self._aside_texts,) if self._grouped else ()

    def _aside_ids(self) -> UInt64Column:
        rows = self._schema.unpack(b"".join([record.row for record in self.clock.state.set_aside]))
        ids: UInt64Column = np.unique(rows[self._schema.place(GROUP_COLUMN)])
        return ids

    def note_floor(self) -> None:
        """The outbox or the clock has changed. All floors are asked for when any partition has gone on."""
        self.floor_ms = self.outbox[0].clock_after_first() if self.outbox else self.clock.state.clock_ms

    def delivered_state(self) -> PartitionState:
        """The state behind the last row that was delivered."""
        return self.outbox[0].state_before(0) if self.outbox else self.clock.state

    def checkpoint(self, through: int | None) -> PartitionState:
        """Where reading must begin again once all windows up to ``through`` are published."""
        moments = [m for window, m in self.first_touch.items() if through is None or window > through]
        return min([*moments, self.delivered_state()], key=lambda moment: moment.offset).state()


def recall_from(schema: Schema, state: PartitionState) -> int | None:
    """Where reading must begin to learn the groups of what is set aside; None: nothing is to be learnt."""
    if GROUP_COLUMN not in schema.names or not state.set_aside:
        return None
    return state.set_aside[0].offset
