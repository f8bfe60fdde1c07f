"""One partition as the sequencer sees it: what is parked, what waits for the ring, where it all went."""

from streamagg.core.partition_clock import Moment, PartitionClock, PartitionState, Run
from streamagg.core.windows import Windows
from streamagg.model.columns import ROWS
from streamagg.model.counters import Counters
from streamagg.model.messages import ColumnBlock


class Partition:
    """One partition as the sequencer sees it."""

    def __init__(
        self,
        number: int,
        windows: Windows,
        state: PartitionState,
        read_before: int,
        *,
        keep_late: bool = False,
    ) -> None:
        self.number = number
        self.clock = PartitionClock(windows, ROWS, state, keep_late=keep_late)
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
        return self.clock.state.offset

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
