"""A PostgreSQL database as a sink."""

from collections.abc import Callable, Iterable
from typing import Final

from streamagg import faults
from streamagg.model.measured import PublisherNumbers
from streamagg.model.settings import RunSettings
from streamagg.sinks.contract import Stored
from streamagg.sinks.postgres.connecting import asking, name_of
from streamagg.sinks.postgres.tables import are_there, make_tables, require_tables
from streamagg.sinks.postgres.transaction import Output, checkpoints
from streamagg.sinks.publisher_thread import PublisherThread

_STUCK_S: Final = 60.0
"""Twice what a statement may take."""


class PostgresSink:
    """Implements ``sinks.contract.Sink``."""

    most_future = 0

    def __init__(self, settings: RunSettings, at: Callable[[faults.Point], None]) -> None:
        """``at`` is called at the named points of a publication, for tests that break it there."""
        self._settings = settings
        self._at = at
        self._url = settings.output
        self._job = settings.kafka.group

    def make(self) -> None:
        """The tables, if that is allowed; raises PlaceError."""
        with asking(self._url) as connection:
            if self._settings.create_tables:
                make_tables(connection)
            require_tables(connection, name_of(self._url))

    def require(self, alive: Callable[[], None]) -> None:
        """Raises PlaceError if tables are missing, or of another version."""
        with asking(self._url) as connection:
            alive()
            require_tables(connection, name_of(self._url))

    def holds_results(self) -> bool:
        """The job has published something."""
        with asking(self._url) as connection:
            found = connection.execute(
                "SELECT EXISTS (SELECT FROM streamagg_results WHERE job = %s)", (self._job,)
            )
            return found.fetchone() == (True,)

    def checkpoints(self, partitions: Iterable[int]) -> Stored:
        """As the tables have them; none while there are no tables."""
        with asking(self._url) as connection:
            return checkpoints(connection, self._job, partitions) if are_there(connection) else {}

    def publisher(
        self,
        leadership: object,
        signature: str,
        confirm: Callable[[], object],
        numbers: PublisherNumbers,
    ) -> PublisherThread:
        """Its epoch shuts others out, whatever made this instance the leader."""
        output = Output(self._settings, signature, confirm, self._at, numbers)
        return PublisherThread(output, self._at, _STUCK_S)
