"""Leadership in a database: one of several instances has an advisory lock there, on its own connection."""

import threading
from typing import Final

import psycopg

from streamagg.errors import StreamaggError, Unreachable
from streamagg.events import Log
from streamagg.model.measured import ClientNumbers
from streamagg.model.settings import RunSettings
from streamagg.sinks.postgres.connecting import asking, close, connect

_EVERY_S: Final = 0.5
"""How often the lock is asked for, and whoever has it shows that it lives."""
_FORGOTTEN: Final = "10s"
"""A connection that says nothing for so long is ended by the server: its process was stopped."""
_CLOSE_S: Final = 1.0
_LOCK: Final = "hashtextextended(current_schema() || ' ' || %s, 7215398461023457)"
"""Of this job in this schema."""

log = Log(__name__)


class AdvisoryLock:
    """Implements ``sinks.leadership.Leadership``; a thread of its own waits for the server."""

    def __init__(self, settings: RunSettings) -> None:
        self._url = settings.output
        self._job = settings.kafka.group
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, name="leadership", daemon=True)
        self._failed: StreamaggError | None = None
        self.leader = False
        self.joined = False
        """It is at the lock."""
        self.rebalances = 0
        """How often this instance began to lead."""
        self.numbers = ClientNumbers()

    @property
    def assignment_known(self) -> bool:
        """Who does not get the lock does not lead."""
        return self.joined

    def refuse_foreign(self) -> None:
        """Nobody else has this lock."""

    def at_work(self) -> bool:
        """Somebody has the lock; raises a StreamaggError."""
        with asking(self._url) as connection:
            return not _locked(connection, self._job)

    def join(self) -> None:
        """Begin to ask for the lock."""
        self._thread.start()

    def poll(self) -> None:
        """Raises the StreamaggError that keeps this instance from ever having the lock."""
        if self._failed is not None:
            raise self._failed

    def close(self) -> None:
        """Give it back, so that a standby takes over at once."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(_CLOSE_S)

    def _work(self) -> None:
        while not self._ended.is_set():
            try:
                self._hold()
            except (Unreachable, psycopg.Error) as error:
                log.info("lock_lost", "who leads cannot be told: {error}", error=error)
            except StreamaggError as error:
                self._failed = error
                return
            finally:
                self.leader = self.joined = False
            self._ended.wait(_EVERY_S)

    def _hold(self) -> None:
        """Ask for the lock, and have it, as long as the connection lasts."""
        connection = connect(self._url, idle_session_timeout=_FORGOTTEN, statement_timeout=_FORGOTTEN)
        try:
            while not self._ended.is_set():
                if not self.leader and _locked(connection, self._job):
                    self.leader = True
                    self.rebalances += 1
                else:
                    connection.execute("SELECT 1")
                self.joined = True
                self._ended.wait(_EVERY_S)
        finally:
            close(connection)


def _locked(connection: psycopg.Connection, job: str) -> bool:
    """This connection has the lock now."""
    return connection.execute(f"SELECT pg_try_advisory_lock({_LOCK})".encode(), (job,)).fetchone() == (True,)
