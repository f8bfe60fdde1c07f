"""The open windows of one shard, in a circular buffer whose slots are used again."""

from dataclasses import dataclass, field

from streamagg.core.uniques import Uniques
from streamagg.records import UInt64Column


@dataclass(slots=True)
class _Slot:
    window: int
    uniques: Uniques = field(default_factory=Uniques)


class Ring:
    """Slot ``window % slots`` holds a window from its first row until it is freed.

    The sequencer never sends windows that lie ``slots`` or more apart, so two never meet in a slot.
    """

    def __init__(self, slots: int) -> None:
        self._slots: list[_Slot | None] = [None] * slots

    def add(self, window: int, users: UInt64Column) -> None:
        """Count users, shape ``(n,)``, into a window; raises ValueError if another one has its slot."""
        position = window % len(self._slots)
        slot = self._slots[position]
        if slot is None:
            slot = self._slots[position] = _Slot(window)
        elif slot.window != window:
            raise ValueError(f"window {window} needs the slot of window {slot.window}")
        slot.uniques.add(users)

    def count(self, window: int) -> int:
        """Unique users of a window; 0 if it holds none."""
        slot = self._slots[window % len(self._slots)]
        return slot.uniques.count() if slot is not None and slot.window == window else 0

    def free(self, window: int) -> None:
        """Give up the slot of a window, if it has one."""
        position = window % len(self._slots)
        slot = self._slots[position]
        if slot is not None and slot.window == window:
            self._slots[position] = None
