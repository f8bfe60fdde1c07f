"""One partition: what of the blocks that wait can still be applied, and what names the groups set aside."""

import numpy as np
import pytest

from streamagg.core.ballot import SetAside
from streamagg.core.partition import Partition
from streamagg.core.partition_clock import PartitionState
from streamagg.core.windows import Windows
from streamagg.errors import CheckpointError
from streamagg.model.columns import ROWS, schema_of
from streamagg.model.groups import NO_TEXTS, GroupTexts, group_text, joined, texts_of
from streamagg.model.messages import ColumnBlock
from streamagg.model.settings import DecodeSettings, WindowSettings

SCHEMA = schema_of(DecodeSettings(group_by=("g",)))
A, B, C = (texts_of([group_text([name])]) for name in "abc")


def block(first: int, stop: int, groups: GroupTexts = NO_TEXTS) -> ColumnBlock:
    return ColumnBlock(0, 0, first, stop, 100, False, 0, {}, b"", (b"",), b"", groups=groups)


def test_blocks_behind_a_gap_are_dropped() -> None:
    """
    offsets   10   20   30 30   40   50
    blocks     |----|----|       |----|
    """
    partition = Partition(0, Windows(WindowSettings()), ROWS, PartitionState(10), 0)
    partition.parked = {b.first: b for b in (block(40, 50), block(20, 30), block(10, 20), block(30, 30))}
    partition.drop_behind_gaps()
    assert sorted(partition.parked) == [10, 20, 30]


def set_aside(offset: int, group: GroupTexts) -> SetAside:
    row = bytes(SCHEMA.pack((np.array([offset], np.uint64), group.id_column)))
    return SetAside(offset, 1_000_000, row, 0)


def continued() -> Partition:
    """At offset 20, with a record at 12 and one at 15 set aside."""
    state = PartitionState(20, 1_000, (set_aside(12, A), set_aside(15, B)))
    return Partition(0, Windows(WindowSettings()), SCHEMA, state, 20)


def test_what_names_the_groups_set_aside_is_read_again() -> None:
    """
    offsets   12   14     20   25
    set aside  a     b
    blocks     |----|------|    |
    """
    partition = continued()
    assert partition.position == 12
    assert partition.recall(block(12, 14, joined((C, A))))
    assert partition.position == 14
    assert partition.recall(block(14, 20, joined((B, C))))
    assert partition.position == 20
    (known,) = partition.texts_aside()
    assert sorted(known.texts()) == [b'["a"]', b'["b"]']
    following = block(20, 25, C)
    assert not partition.recall(following)
    assert partition.texts(following) == (C, known)


@pytest.mark.parametrize("found", [NO_TEXTS, A, joined((A, C))])
def test_what_cannot_be_read_again_ends_it(found: GroupTexts) -> None:
    partition = continued()
    with pytest.raises(CheckpointError, match=r"partition 0: .* is gone from the input.* --from earliest"):
        partition.recall(block(12, 20, found))


def test_where_there_are_no_groups_nothing_is_read_again() -> None:
    row = bytes(ROWS.pack((np.array([1], np.uint64),)))
    state = PartitionState(20, 1_000, (SetAside(12, 1_000_000, row, 0),))
    partition = Partition(0, Windows(WindowSettings()), ROWS, state, 20)
    assert partition.position == 20
    assert not partition.recall(block(20, 25))
    assert partition.texts(block(20, 25)) == partition.texts_aside() == ()
