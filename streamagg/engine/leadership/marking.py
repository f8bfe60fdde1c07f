"""Checkpoints of a source whose offsets stand for places that have to be found again."""

from dataclasses import replace

from streamagg.core.checkpoint import Checkpoint
from streamagg.sinks.contract import Publication, Publisher
from streamagg.sources.contract import Marks


class MarkingPublisher:
    """A publisher whose checkpoints are marked, and whose source hears what is committed."""

    def __init__(self, publisher: Publisher, marks: Marks) -> None:
        self._publisher = publisher
        self._marks = marks

    @property
    def busy(self) -> bool:
        """A publication is under way."""
        return self._publisher.busy

    def submit(self, publication: Publication) -> None:
        """Begin to publish; only while not busy."""
        checkpoints = publication.checkpoints.items()
        marked = {n: replace(at, mark=self._marks.mark(n, _needed(at))) for n, at in checkpoints}
        self._publisher.submit(replace(publication, checkpoints=marked))

    def finished(self) -> Publication | None:
        """The publication that is out since the last call; raises PublishFailed."""
        publication = self._publisher.finished()
        if publication is not None:
            self._marks.committed({n: _needed(at) for n, at in publication.checkpoints.items()})
        return publication


def _needed(at: Checkpoint) -> int:
    """The first offset that a session could read which begins there."""
    return min([at.state.offset, *(record.offset for record in at.state.set_aside)])
