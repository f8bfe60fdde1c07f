"""The open windows of one shard, in a circular buffer whose slots are used again."""

from dataclasses import dataclass

from streamagg.core.measures.contract import State, Summary
from streamagg.core.measures.published import Measures
from streamagg.model.columns import Columns
from streamagg.model.results import ALL, Group


@dataclass(slots=True)
class _Slot:
    window: int
    states: list[State]
    """By measure."""


class Ring:
    """Slot ``window % slots`` holds a window from its first row until it is freed.

    The sequencer never sends windows that lie ``slots`` or more apart, so two never meet in a slot.
    """

    def __init__(self, slots: int, measures: Measures) -> None:
        self._slots: list[_Slot | None] = [None] * slots
        self._measures = measures

    def add(self, window: int, columns: Columns, rows: int) -> None:
        """Take so many rows of a window; raises ValueError if another one has its slot."""
        position = window % len(self._slots)
        slot = self._slots[position]
        if slot is None:
            slot = self._slots[position] = _Slot(window, self._states())
        elif slot.window != window:
            raise ValueError(f"window {window} needs the slot of window {slot.window}")
        for state in slot.states:
            state.update(columns, rows, None, 1)

    def summaries(self, window: int) -> dict[Group, list[Summary]]:
        """What a window comes to, by group and measure; without rows what nothing comes to."""
        slot = self._slots[window % len(self._slots)]
        states = slot.states if slot is not None and slot.window == window else self._states()
        return {ALL: [state.summary() for state in states]}

    def users(self) -> dict[int, int]:
        """Users held, by window (see ``State.users``)."""
        return {slot.window: sum(s.users for s in slot.states) for slot in self._slots if slot is not None}

    @property
    def nbytes(self) -> int:
        """Memory of all that is held."""
        return sum(state.nbytes for slot in self._slots if slot is not None for state in slot.states)

    def free(self, window: int) -> None:
        """Give up the slot of a window, if it has one."""
        position = window % len(self._slots)
        slot = self._slots[position]
        if slot is not None and slot.window == window:
            self._slots[position] = None

    def _states(self) -> list[State]:
        return [measure.initialize() for measure in self._measures]
