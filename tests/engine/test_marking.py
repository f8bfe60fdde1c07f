"""Checkpoints are marked where the source finds them again, and the source hears what is out."""

from typing import Any, cast

from streamagg.core.checkpoint import Checkpoint
from streamagg.core.partition_clock import PartitionState
from streamagg.engine.leadership.marking import MarkingPublisher
from streamagg.sinks.contract import Publication, Publisher
from streamagg.sources.contract import Marks
from tests.support.blocks import set_aside


class Told:
    """A publisher and the marks of a source."""

    busy = False

    def __init__(self) -> None:
        self.submitted: list[Publication] = []
        self.committed_offsets: list[Any] = []

    def submit(self, publication: Publication) -> None:
        self.submitted.append(publication)

    def finished(self) -> Publication | None:
        return self.submitted.pop() if self.submitted else None

    def mark(self, partition: int, offset: int) -> str:
        return f"{partition}-{offset}"

    def committed(self, offsets: Any) -> None:
        self.committed_offsets.append(offsets)


def test_a_mark_is_of_the_first_offset_that_may_be_read_again() -> None:
    told = Told()
    publisher = MarkingPublisher(cast(Publisher, told), cast(Marks, told))
    behind = PartitionState(50, set_aside=(set_aside(40, 1, 1, 1),))
    checkpoints = {0: Checkpoint(PartitionState(7), None, 9), 1: Checkpoint(behind, None, 60)}
    publisher.submit(Publication((), checkpoints))
    assert {n: at.mark for n, at in told.submitted[0].checkpoints.items()} == {0: "0-7", 1: "1-40"}
    assert told.committed_offsets == [], "it is not out"
    assert publisher.finished() is not None
    assert told.committed_offsets == [{0: 7, 1: 40}]
    assert publisher.finished() is None
    assert len(told.committed_offsets) == 1
