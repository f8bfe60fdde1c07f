"""Where the records of a partition went: one type, from the partition to the metrics and ``--stats-json``."""

from collections.abc import Mapping
from typing import Final

import msgspec

from streamagg.model.measured import add_counts
from streamagg.model.messages import ColumnBlock


class Counters(msgspec.Struct, rename={"consumed": "records"}, gc=False):
    """Sums of one partition, or of several.

    ``consumed = counted + late + published_before + rejected + set_aside + waiting + read_again``.
    """

    consumed: int = 0
    payload_bytes: int = 0
    """Size of the payloads consumed; 0 for files."""
    counted: int = 0
    late: int = 0
    """Including ``closed_early``."""
    closed_early: int = 0
    """Late for a window that was closed while the partition was idle."""
    published_before: int = 0
    """Read again after a start; their window had been published already."""
    rejected: dict[str, int] = {}
    """By reason."""
    values_ignored: dict[str, int] = {}
    """By measure: what is neither a value nor null, in records that are accepted."""
    set_aside: int = 0
    waiting: int = 0
    """Accepted, and waiting for a slot of the ring."""
    read_again: int = 0
    """Set aside or waiting when reading began again at the checkpoint; read and counted once more."""

    def __add__(self, other: "Counters") -> "Counters":
        """The sums of both."""
        return self._with(other, 1)

    def __sub__(self, before: "Counters") -> "Counters":
        """What has come since ``before``."""
        return self._with(before, -1)

    @property
    def uncounted(self) -> int:
        """Records that are in no count, and will be in none."""
        return self.late + sum(self.rejected.values())

    def read(self, block: ColumnBlock) -> None:
        """Count what a block holds, whatever becomes of the records that it accepts."""
        self.consumed += block.consumed
        self.payload_bytes += block.payload_bytes
        add_counts(self.rejected, block.rejected)
        add_counts(self.values_ignored, block.ignored)

    def reject(self, reason: str, records: int) -> None:
        """Count rejected records under their reason."""
        self.rejected[reason] = self.rejected.get(reason, 0) + records

    def abandoned(self) -> "Counters":
        """The same, once reading has begun again at the checkpoint."""
        undecided = self.set_aside + self.waiting
        return msgspec.structs.replace(
            self,
            rejected=dict(self.rejected),
            values_ignored=dict(self.values_ignored),
            set_aside=0,
            waiting=0,
            read_again=self.read_again + undecided,
        )

    def _with(self, other: "Counters", sign: int) -> "Counters":
        sums = {name: getattr(self, name) + sign * getattr(other, name) for name in _NUMBERS}
        return Counters(
            rejected=_both(self.rejected, other.rejected, sign),
            values_ignored=_both(self.values_ignored, other.values_ignored, sign),
            **sums,
        )


def _both(mine: Mapping[str, int], theirs: Mapping[str, int], sign: int) -> dict[str, int]:
    """Sums by name, without zeros."""
    sums = {name: mine.get(name, 0) + sign * theirs.get(name, 0) for name in dict.fromkeys([*mine, *theirs])}
    return {name: number for name, number in sums.items() if number}


_NUMBERS: Final = tuple(
    name for name in Counters.__struct_fields__ if name not in ("rejected", "values_ignored")
)
