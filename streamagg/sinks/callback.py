"""A function as a sink, for whoever reads from the front each time."""

from collections.abc import Callable, Sequence

from streamagg.core.checkpoint import Checkpoint
from streamagg.core.windows import Windows
from streamagg.model.results import WindowTable
from streamagg.sinks.contract import Publication

Emit = Callable[[Windows, Sequence[WindowTable]], None]
"""Told windows in order."""


class CallbackPublisher:
    """Hands windows over at once, and remembers the checkpoints."""

    busy = False

    def __init__(self, windows: Windows, emit: Emit, checkpoints: dict[int, Checkpoint]) -> None:
        """``checkpoints``: where reading begins, by partition."""
        self._windows = windows
        self._emit = emit
        self._finished: Publication | None = None
        self.checkpoints = checkpoints
        self.state: dict[bytes, bytes] = {}
        """What publications keep, by key."""

    def submit(self, publication: Publication) -> None:
        """Publish."""
        if publication.tables:
            self._emit(self._windows, publication.tables)
        for key, value in publication.state:
            if value is None:
                self.state.pop(key, None)
            else:
                self.state[key] = value
        self.checkpoints = publication.checkpoints
        self._finished = publication

    def finished(self) -> Publication | None:
        """The publication that is out since the last call."""
        publication, self._finished = self._finished, None
        return publication
