"""The open windows of one shard, in a circular buffer whose slots are used again."""

from streamagg.core.open_window import OpenWindow, Rules
from streamagg.model.columns import Columns
from streamagg.model.groups import Tables


class Ring:
    """Slot ``window % slots`` holds a window from its first row until it is freed.

    The sequencer never sends windows that lie ``slots`` or more apart, so two never meet in a slot.
    """

    def __init__(self, slots: int, rules: Rules) -> None:
        self._slots: list[OpenWindow | None] = [None] * slots
        self._rules = rules

    def add(self, window: int, columns: Columns, rows: int, texts: Tables = ()) -> None:
        """Take so many rows of a window, and what names their groups.

        Raises ValueError if another window has its slot, and StreamaggError if two groups have one hash.
        """
        position = window % len(self._slots)
        slot = self._slots[position]
        if slot is None:
            slot = self._slots[position] = OpenWindow(window, self._rules)
        elif slot.number != window:
            raise ValueError(f"window {window} needs the slot of window {slot.number}")
        slot.add(columns, rows, texts)

    def window(self, number: int) -> OpenWindow:
        """A window; without rows one that is held nowhere else."""
        slot = self._slots[number % len(self._slots)]
        return slot if slot is not None and slot.number == number else OpenWindow(number, self._rules)

    def users(self) -> dict[int, int]:
        """Users held, by window (see ``State.users``)."""
        return {slot.number: slot.users for slot in self._slots if slot is not None}

    def groups(self) -> dict[int, int]:
        """Groups held, by window."""
        return {slot.number: slot.groups for slot in self._slots if slot is not None}

    @property
    def nbytes(self) -> int:
        """Memory of all that is held."""
        return sum(slot.nbytes for slot in self._slots if slot is not None)

    def free(self, window: int) -> None:
        """Give up the slot of a window, if it has one."""
        position = window % len(self._slots)
        slot = self._slots[position]
        if slot is not None and slot.number == window:
            self._slots[position] = None
