"""A directory as a sink; results, checkpoints and state are files that one manifest names."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from streamagg import faults
from streamagg.errors import PlaceError
from streamagg.model.measured import PublisherNumbers
from streamagg.model.settings import RunSettings
from streamagg.sinks.contract import Stored
from streamagg.sinks.directory.files import Disk, FileSystem, make_root
from streamagg.sinks.directory.manifest import Manifest
from streamagg.sinks.directory.output import Output, chosen, refuse_other, stored
from streamagg.sinks.directory.parquet import require_pyarrow
from streamagg.sinks.directory.refusal import refused
from streamagg.sinks.publisher_thread import PublisherThread

_STUCK_S: Final = 60.0
"""A disk may be slow, and a large publication large."""


class DirectorySink:
    """Implements ``sinks.contract.Sink``."""

    most_future = 0

    def __init__(
        self,
        settings: RunSettings,
        at: Callable[[faults.Point], None],
        disk: Callable[[Path], FileSystem] = Disk,
    ) -> None:
        """``at`` is called at the named points of a publication, for tests that break it there.

        Raises SettingsError if what writes Parquet is not installed.
        """
        require_pyarrow()
        self._settings = settings
        self._at = at
        self._root = Path(settings.sink.at)
        self._name = f"The directory {self._root}"
        self._files = disk(self._root)

    def make(self) -> None:
        """The directory, if what it is in is there: else something may not be mounted. Raises PlaceError."""
        if self._root.parent.is_dir():
            try:
                make_root(self._root)
            except OSError as error:
                raise refused(error, self._name) from error
        self.require(lambda: None)

    def require(self, alive: Callable[[], None]) -> None:
        """Raises PlaceError if it is missing, or holds something else than the results of this job."""
        if not self._root.is_dir():
            raise PlaceError(f"{self._name} does not exist, or is none: make it, or mount it.")
        found = self._stored()
        if found is not None:
            refuse_other(found, self._settings, self._name)
        alive()

    def holds_results(self) -> bool:
        """Something was published."""
        found = self._stored()
        return found is not None and found.records > 0

    def checkpoints(self, partitions: Iterable[int]) -> Stored:
        """As the manifest has them."""
        found = self._stored()
        return {} if found is None else chosen(found.checkpoints, partitions)

    def publisher(
        self,
        leadership: object,
        signature: str,
        confirm: Callable[[], object],
        numbers: PublisherNumbers,
    ) -> PublisherThread:
        """Its epoch shuts others out, whatever made this instance the leader."""
        output = Output(self._settings, self._name, self._files, signature, confirm, self._at, numbers)
        return PublisherThread(output, self._at, _STUCK_S)

    def _stored(self) -> Manifest | None:
        try:
            return stored(self._files, self._name)
        except OSError as error:
            raise refused(error, self._name) from error
