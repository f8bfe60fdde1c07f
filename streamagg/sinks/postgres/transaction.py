"""What is published, in one transaction with the checkpoint, the state and a look at the epoch.

1. begin; copy the rows into a temporary table
2. lock the row of the job: its epoch is that of this leader, or somebody has begun after it
3. insert the rows, or put them in the place of those of the same window and group once there have been some;
   write the checkpoints, and what changes of the state
4. commit

Whoever begins raises the epoch. That waits for a transaction that has the row; one whose process is stopped
in the middle is ended by the server after five seconds (``connecting``). While it copies the server would
wait for it without end, so that nothing is locked then.
"""

from collections.abc import Callable, Iterable, Iterator
from time import monotonic, sleep, time
from typing import Final

import psycopg

from streamagg import faults
from streamagg.core import checkpoint
from streamagg.core.windows import Windows
from streamagg.model.measured import PublisherNumbers
from streamagg.model.settings import RunSettings
from streamagg.sinks.contract import Publication, PublishFailed, State, Stored
from streamagg.sinks.postgres.connecting import close, connect, meant, name_of, refused
from streamagg.sinks.postgres.rows import COLUMNS, lines
from streamagg.sinks.publisher_thread import failure_of

_ATTEMPTS: Final = 3
_PAUSE_S: Final = 0.2
_ROLLED_BACK: Final = "40"
"""Codes that begin so: another transaction was in the way, and this one is undone."""
_PIECE_BYTES: Final = 1 << 20
_AT_ONCE: Final = 100
"""Values of state; each may have half a megabyte."""
_COLUMNS: Final = ", ".join(COLUMNS)
_KEY: Final = "calendar, ts, key"
_FENCE: Final = """
    INSERT INTO streamagg_jobs AS known VALUES (%s, 1)
    ON CONFLICT (job) DO UPDATE SET epoch = known.epoch + 1
    RETURNING epoch
"""
_EPOCH: Final = "SELECT epoch FROM streamagg_jobs WHERE job = %s FOR UPDATE"
_INCOMING: Final = f"""
    CREATE TEMPORARY TABLE streamagg_incoming ON COMMIT DELETE ROWS
    AS SELECT {_COLUMNS} FROM streamagg_results WITH NO DATA
"""
_COPY: Final = f"COPY pg_temp.streamagg_incoming ({_COLUMNS}) FROM STDIN"
_INSERT: Final = f"""
    INSERT INTO streamagg_results (job, {_COLUMNS})
    SELECT %s, {_COLUMNS} FROM pg_temp.streamagg_incoming ORDER BY {_KEY}
"""
"""In the order of the index, of which fewer pages are touched then."""
_UPSERT: Final = f"""{_INSERT}
    ON CONFLICT (job, {_KEY}) DO UPDATE
    SET ({_COLUMNS}) = ROW ({", ".join(f"excluded.{column}" for column in COLUMNS)})
"""
"""It takes the server half as long again, and is needed where results are published anew alone."""
_CHECKPOINTS: Final = """
    INSERT INTO streamagg_checkpoints SELECT %s, * FROM unnest(%s::integer[], %s::bigint[], %s::text[])
    ON CONFLICT (job, partition) DO UPDATE
    SET "offset" = excluded."offset", checkpoint = excluded.checkpoint
"""
_STATE: Final = """
    INSERT INTO streamagg_state SELECT %s, * FROM unnest(%b::bytea[], %s::bigint[], %b::bytea[])
    ON CONFLICT (job, key) DO UPDATE SET number = excluded.number, value = excluded.value
"""
_REMOVE: Final = "DELETE FROM streamagg_state WHERE job = %s AND key = ANY(%b::bytea[])"
_LAST: Final = "SELECT coalesce(max(number), 0) FROM streamagg_state WHERE job = %s"
_STORED: Final = """
    SELECT partition, "offset", checkpoint FROM streamagg_checkpoints
    WHERE job = %s AND partition = ANY(%s::integer[])
"""
_READ: Final = "SELECT key, value FROM streamagg_state WHERE job = %s ORDER BY number"


class Output:
    """Implements ``sinks.publisher_thread.Output``."""

    def __init__(
        self,
        settings: RunSettings,
        signature: str,
        confirm: Callable[[], object],
        at: Callable[[faults.Point], None],
        numbers: PublisherNumbers,
        connected: Callable[[str], psycopg.Connection] = connect,
        wait: Callable[[float], None] = sleep,
    ) -> None:
        """For the first ones see ``sinks.contract.Sink.publisher``.

        ``connected`` makes a connection of a URL, and ``wait`` passes seconds before another attempt.
        """
        self._settings = settings
        self._url = settings.output
        self.name = name_of(self._url)
        self._job = settings.kafka.group
        self._windows = Windows(settings.window)
        self._signature = signature
        self._confirm = confirm
        self._at = at
        self._numbers = numbers
        self._connected = connected
        self._wait = wait
        self._connection: psycopg.Connection | None = None
        self._epoch = 0
        self._write_rows = _INSERT
        self._number = 0
        """Of the last value of the state."""
        if settings.window.calendars:
            numbers.state_bytes = numbers.state_bytes or 0

    def open(self, waiting: Callable[[], bool]) -> None:
        """Shut out every leader before; see ``publisher_thread``."""
        try:
            self._connection = connection = self._connected(self._url)
            while waiting() and not self._fenced(connection):
                pass
            (self._number,) = connection.execute(_LAST, (self._job,)).fetchone() or (0,)
            connection.execute(_INCOMING.encode())
            # Tables without their unique index would take rows twice, and tell nobody.
            connection.execute(f"EXPLAIN {_UPSERT}".encode(), (self._job,))
        except psycopg.Error as error:
            raise meant(error, self._url) from error

    def publish(self, publication: Publication, submitted_s: float) -> None:
        """In the steps of the module's docstring; raises what went wrong, for ``failure`` to name."""
        self._confirm()
        try:
            self._insist(publication, submitted_s)
        except psycopg.errors.UniqueViolation:
            if self._write_rows is _UPSERT:
                raise
            # What is published is there already: from now on it is replaced.
            self._write_rows = _UPSERT
            self._numbers.aborted += 1
            self._insist(publication, monotonic())

    def checkpoints(self, partitions: Iterable[int]) -> Stored:
        """The last ones; nobody else changes them. Raises a StreamaggError."""
        try:
            return checkpoints(self._open, self._job, partitions)
        except psycopg.Error as error:
            raise meant(error, self._url) from error

    def state(self, alive: Callable[[], object]) -> Iterator[tuple[bytes, bytes]]:
        """See ``sinks.contract.LeaderPublisher``."""
        began = monotonic()
        connection = self._open
        try:
            with connection.transaction(), connection.cursor("streamagg_state", binary=True) as cursor:
                cursor.itersize = _AT_ONCE
                alive()
                cursor.execute(_READ, (self._job,))
                while rows := cursor.fetchmany(_AT_ONCE):
                    alive()
                    yield from rows
        except psycopg.Error as error:
            raise meant(error, self._url) from error
        self._numbers.restore_s = monotonic() - began

    def failure(self, cause: Exception) -> Exception:
        """What the session hears of a publication that did not get out."""
        if isinstance(cause, psycopg.Error):
            cause = refused(cause, self._url) or cause
        return failure_of(cause)

    def serve(self) -> None:
        """The next publication tells what has become of the connection."""

    def close(self) -> None:
        """Give up the connection."""
        if self._connection is not None:
            close(self._connection)

    @property
    def _open(self) -> psycopg.Connection:
        assert self._connection is not None
        return self._connection

    def _insist(self, publication: Publication, began: float) -> None:
        """Try again where somebody else was in the way."""
        for attempt in range(_ATTEMPTS):
            try:
                self._transact(publication, began)
                return
            except psycopg.Error as error:
                if not (error.sqlstate or "").startswith(_ROLLED_BACK) or attempt == _ATTEMPTS - 1:
                    raise
                self._numbers.aborted += 1
                self._wait(_PAUSE_S)
                began = monotonic()

    def _transact(self, publication: Publication, began: float) -> None:
        connection = self._open
        self._at("before-begin")
        with connection.transaction():
            if publication.tables:
                self._copy(connection, publication)  # 1
            self._require_epoch(connection)  # 2
            if publication.tables:
                connection.execute(self._write_rows.encode(), (self._job,))  # 3
            self._at("after-produce")
            if publication.windows:
                self._numbers.times.took("publish", monotonic() - began)
            began = monotonic()
            self._at("before-offsets")
            connection.execute(_CHECKPOINTS, (self._job, *self._encoded(publication)))
            self._write_state(connection, publication.state)
            self._at("before-commit")
        self._note_commit(publication, began)  # 4
        self._at("after-commit")

    def _fenced(self, connection: psycopg.Connection) -> bool:
        """The epoch is raised; False if somebody has the row for long."""
        try:
            (self._epoch,) = connection.execute(_FENCE, (self._job,)).fetchone() or (0,)
        except psycopg.errors.LockNotAvailable:
            return False
        return True

    def _require_epoch(self, connection: psycopg.Connection) -> None:
        if connection.execute(_EPOCH, (self._job,)).fetchone() != (self._epoch,):
            raise PublishFailed("another instance has begun to publish")

    def _copy(self, connection: psycopg.Connection, publication: Publication) -> None:
        group_by = self._settings.decode.group_by
        with connection.cursor() as cursor, cursor.copy(_COPY.encode()) as copy:
            for table in publication.tables:
                for piece in _pieces(lines(self._windows, table, group_by)):
                    copy.write(piece)

    def _encoded(self, publication: Publication) -> tuple[list[int], list[int], list[str]]:
        window, decode = self._settings.window, self._settings.decode
        places = publication.checkpoints
        return (
            list(places),
            [at.state.offset for at in places.values()],
            [checkpoint.encode(at, self._signature, window, decode) for at in places.values()],
        )

    def _write_state(self, connection: psycopg.Connection, state: State) -> None:
        last: dict[bytes, bytes | None] = {}
        for key, value in state:
            last.pop(key, None)
            last[key] = value
        written = [(key, value) for key, value in last.items() if value is not None]
        for begin in range(0, len(written), _AT_ONCE):
            part = written[begin : begin + _AT_ONCE]
            numbers = range(self._number + 1, self._number + 1 + len(part))
            self._number += len(part)
            keys, values = [key for key, _ in part], [value for _, value in part]
            connection.execute(_STATE, (self._job, keys, list(numbers), values))
        removed = [key for key, value in last.items() if value is None]
        if removed:
            connection.execute(_REMOVE, (self._job, removed))

    def _note_commit(self, publication: Publication, began: float) -> None:
        numbers = self._numbers
        numbers.committed += 1
        numbers.times.took("commit", monotonic() - began)
        numbers.last_commit_s = time()
        if numbers.state_bytes is not None:
            numbers.state_bytes += sum(len(k) + len(v or b"") for k, v in publication.state)


def checkpoints(connection: psycopg.Connection, job: str, partitions: Iterable[int]) -> Stored:
    """Offset and text by partition."""
    rows = connection.execute(_STORED, (job, list(partitions)))
    return {partition: (offset, text) for partition, offset, text in rows}


def _pieces(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Joined, so that not each is sent by itself."""
    waiting: list[bytes] = []
    size = 0
    for part in parts:
        waiting.append(part)
        size += len(part)
        if size >= _PIECE_BYTES:
            yield b"".join(waiting)
            waiting, size = [], 0
    yield b"".join(waiting)
