"""One partition: what of the blocks that wait can still be applied."""

from streamagg.core.partition import Partition
from streamagg.core.partition_clock import PartitionState
from streamagg.core.windows import Windows
from streamagg.model.columns import ROWS
from streamagg.model.messages import ColumnBlock
from streamagg.model.settings import WindowSettings


def block(first: int, stop: int) -> ColumnBlock:
    return ColumnBlock(0, 0, first, stop, 100, False, 0, {}, b"", (b"",), b"")


def test_blocks_behind_a_gap_are_dropped() -> None:
    """
    offsets   10   20   30 30   40   50
    blocks     |----|----|       |----|
    """
    partition = Partition(0, Windows(WindowSettings()), ROWS, PartitionState(10), 0)
    partition.parked = {b.first: b for b in (block(40, 50), block(20, 30), block(10, 20), block(30, 30))}
    partition.drop_behind_gaps()
    assert sorted(partition.parked) == [10, 20, 30]
