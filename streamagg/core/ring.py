"""The open windows of one shard, in a circular buffer whose slots are used again."""

from dataclasses import dataclass

from streamagg.core.measures.sketch import KEPT_USERS
from streamagg.core.measures.uniques import Uniques
from streamagg.model.columns import UInt64Column
from streamagg.model.settings import CeilingSettings


@dataclass(slots=True)
class _Slot:
    window: int
    uniques: Uniques


class Ring:
    """Slot ``window % slots`` holds a window from its first row until it is freed.

    The sequencer never sends windows that lie ``slots`` or more apart, so two never meet in a slot.
    """

    def __init__(self, slots: int, ceiling: CeilingSettings | None = None) -> None:
        self._slots: list[_Slot | None] = [None] * slots
        self._most = None if ceiling is None else ceiling.max_users
        self._keep = KEPT_USERS if ceiling is not None and ceiling.above == "approximate" else 0

    def add(self, window: int, users: UInt64Column) -> None:
        """Count users, shape ``(n,)``, into a window; raises ValueError if another one has its slot."""
        position = window % len(self._slots)
        slot = self._slots[position]
        if slot is None:
            slot = self._slots[position] = _Slot(window, Uniques(self._most, self._keep))
        elif slot.window != window:
            raise ValueError(f"window {window} needs the slot of window {slot.window}")
        slot.uniques.add(users)

    def count(self, window: int) -> int | None:
        """Unique users of a window, 0 if it holds none; None if there are more than the ceiling."""
        uniques = self._uniques(window)
        return 0 if uniques is None else uniques.count()

    def smallest(self, window: int) -> UInt64Column | None:
        """What a sketch of the users of a window needs of them; None if there are none or nobody asks."""
        uniques = self._uniques(window)
        return uniques.smallest(self._keep) if uniques is not None and self._keep else None

    def users(self) -> dict[int, int]:
        """Users held, by window (see ``Uniques.rows``)."""
        return {slot.window: slot.uniques.rows for slot in self._slots if slot is not None}

    @property
    def nbytes(self) -> int:
        """Memory of all users held."""
        return sum(slot.uniques.nbytes for slot in self._slots if slot is not None)

    def free(self, window: int) -> None:
        """Give up the slot of a window, if it has one."""
        position = window % len(self._slots)
        slot = self._slots[position]
        if slot is not None and slot.window == window:
            self._slots[position] = None

    def _uniques(self, window: int) -> Uniques | None:
        slot = self._slots[window % len(self._slots)]
        return slot.uniques if slot is not None and slot.window == window else None
