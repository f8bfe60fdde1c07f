"""References to late records: gathered by the sequencer, published with the checkpoint.

A reference is published once. It goes out in the transaction that commits how far its partition had been
read, so one whose record was decided before that place has been published already.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from streamagg.core.partition_clock import LateRows
from streamagg.model.columns import Int64Column

MOST_LATE: Final = 50_000
"""References that may wait for a publication, about: they are 24 bytes each, and 200 in the transaction."""


@dataclass(frozen=True, slots=True)
class LateReferences:
    """Late records of one partition, columns of shape ``(n,)``, n > 0."""

    partition: int
    offset: Int64Column
    event_time_ms: Int64Column
    clock_ms: Int64Column
    """The partition's clock just before each."""
    closed_early: bool
    """Their windows were closed while the partition was idle."""


class LateBook:
    """References that are not published yet."""

    def __init__(self, most: int) -> None:
        """Nothing more is to be applied once ``most`` wait; 0: none is kept."""
        self._most = most
        self.waiting = 0
        self._references: list[LateReferences] = []

    @property
    def wanted(self) -> bool:
        """References are kept."""
        return self._most > 0

    @property
    def full(self) -> bool:
        """Nothing more is to be applied before these are published."""
        return self.wanted and self.waiting >= self._most

    def add(self, partition: int, rows: LateRows, read_before: int, *, closed_early: bool = False) -> None:
        """Keep references, without those of records that were decided before the offset ``read_before``."""
        fresh = rows.step_offset >= read_before
        count = int(np.count_nonzero(fresh))
        if count == 0:
            return
        self.waiting += count
        self._references.append(
            LateReferences(
                partition, rows.offset[fresh], rows.event_time_ms[fresh], rows.clock_ms[fresh], closed_early
            )
        )

    def take(self) -> tuple[LateReferences, ...]:
        """All of them, to be published now."""
        taken, self._references, self.waiting = tuple(self._references), [], 0
        return taken
