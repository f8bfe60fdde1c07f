"""An output in PostgreSQL: the real one, on a simulated server, one statement at a time.

The statements of ``sinks.postgres.transaction`` are few and always the same, so that no SQL is understood
here: each text has a function that does what the server does, with its locks and transactions. What it may do
to a client: end its connection before a statement, before a commit or behind it, so that the outcome is not
known; have another transaction in the way; end one that stands still while somebody waits for its lock.
"""

import random
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Self, cast

import orjson
import psycopg

from streamagg.core.windows import Windows
from streamagg.model.measured import PublisherNumbers
from streamagg.model.settings import RunSettings
from streamagg.sinks.postgres import transaction as statements
from streamagg.sinks.postgres.transaction import Output
from tests.simulation.broker import Broker, Difference, Fenced
from tests.simulation.scenario import Scenario
from tests.simulation.stepped import SteppedPublisher
from tests.simulation.stepper import Stepper
from tests.support.simulated_files import Dies

_ENDED_WHILE_WAITED_FOR: Final = 0.2
_LOST: Final = 0.1
_IN_THE_WAY: Final = 0.1
_LOCKED_FOR_LONG: Final = 0.1
Row = tuple[bytes, ...]
"""Fields of a line of ``COPY``."""


@dataclass
class Changes:
    """Of one transaction: nobody else sees them before it is committed."""

    incoming: bytearray = field(default_factory=bytearray)
    """What was copied into the temporary table."""
    rows: list[Row] = field(default_factory=list)
    places: dict[int, tuple[int, str]] = field(default_factory=dict)
    values: dict[bytes, tuple[int, bytes] | None] = field(default_factory=dict)
    epoch: int | None = None


class Server:
    """What is committed, and who has the lock on the row of the job."""

    def __init__(self) -> None:
        self.epoch = 0
        self.rows: dict[Row, Row] = {}
        """By calendar, time and key."""
        self.places: dict[int, tuple[int, str]] = {}
        self.values: dict[bytes, tuple[int, bytes]] = {}
        self.holder: Connection | None = None

    def apply(self, changes: Changes) -> None:
        """All of them at once."""
        self.rows |= {_unique(row): row for row in changes.rows}
        self.places |= changes.places
        for key, value in changes.values.items():
            if value is None:
                self.values.pop(key, None)
            else:
                self.values[key] = value
        if changes.epoch is not None:
            self.epoch = changes.epoch


def _unique(row: Row) -> Row:
    """Calendar, time and key."""
    return row[1], row[2], row[0]


class Answer:
    """Rows of a statement."""

    def __init__(self, rows: Sequence[tuple[Any, ...]] = ()) -> None:
        self._rows = iter(rows)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return self._rows

    def fetchone(self) -> tuple[Any, ...] | None:
        return next(self._rows, None)

    def fetchmany(self, size: int) -> list[tuple[Any, ...]]:
        return [row for row, _ in zip(self._rows, range(size), strict=False)]


class Connection:
    """As much of ``psycopg.Connection`` as the sink uses, in autocommit."""

    def __init__(
        self,
        server: Server,
        stepper: Stepper,
        fails: Callable[[float], bool],
        chance: random.Random,
        committed: Callable[[Changes], None],
    ) -> None:
        """``committed`` is told of all that it commits."""
        self._server = server
        self._stepper = stepper
        self._fails = fails
        self._chance = chance
        self._committed = committed
        self._changes: Changes | None = None
        self.ended = False
        self._statements: Mapping[str, Callable[..., Answer]] = {
            statements._FENCE: self._fence,
            statements._EPOCH: self._epoch,
            statements._INCOMING: lambda: Answer(),
            statements._INSERT: self._insert,
            statements._UPSERT: self._upsert,
            # Whether there is what it needs: nothing is done.
            f"EXPLAIN {statements._UPSERT}": lambda: Answer(),
            statements._CHECKPOINTS: self._write_places,
            statements._STORED: self._read_places,
            statements._STATE: self._write_values,
            statements._REMOVE: self._remove_values,
            statements._LAST: self._last_number,
            statements._READ: self._read_values,
        }

    def execute(self, statement: str | bytes, parameters: Sequence[Any] = ()) -> Answer:
        """In the transaction, or as one of its own; ``parameters`` begin with the job, if there are any."""
        self._come()
        text = statement if isinstance(statement, str) else statement.decode()
        if text not in self._statements:
            raise Difference(f"a statement that the simulator does not know: {text}")
        if self._changes is not None:
            return self._statements[text](*parameters[1:])
        with self.transaction():
            return self._statements[text](*parameters[1:])

    @contextmanager
    def transaction(self) -> Generator[None]:
        self._changes = Changes()
        try:
            yield
            self._commit(self._changes)
        finally:
            self._changes = None
            if self._server.holder is self:
                self._server.holder = None

    def cursor(self, name: str = "", *, binary: bool = False) -> "Cursor":
        return Cursor(self)

    def close(self) -> None:
        self.ended = True

    def copy(self, piece: bytes) -> None:
        """Into the temporary table."""
        self._come()
        self._open.incoming += piece

    @property
    def _open(self) -> Changes:
        assert self._changes is not None
        return self._changes

    def _come(self) -> None:
        """The server has got what was asked; what it was told before is undone if the connection is gone."""
        self._stepper.pause()
        if self.ended or (self._stepper.works and self._fails(_LOST)):
            raise self._gone()
        if self._stepper.works and self._changes is not None and self._fails(_IN_THE_WAY):
            raise psycopg.errors.SerializationFailure("somebody else's transaction")

    def _gone(self) -> psycopg.OperationalError:
        self.ended = True
        return psycopg.OperationalError("the connection is gone")

    def _commit(self, changes: Changes) -> None:
        try:
            self._stepper.pause()
        except Dies:
            # What a process sent before it died arrives all the same.
            if not self.ended and self._chance.random() < 0.5:
                self._apply(changes)
            raise
        if self.ended:
            raise self._gone()
        unheard = self._stepper.works and self._fails(1)
        if not unheard or self._chance.random() < 0.5:
            self._apply(changes)
        if unheard:
            raise self._gone()

    def _apply(self, changes: Changes) -> None:
        self._server.apply(changes)
        self._committed(changes)

    def _lock(self) -> None:
        """On the row of the job; whoever has it and stands still is ended some time."""
        while (holder := self._server.holder) not in (None, self):
            assert holder is not None
            if self._stepper.works:
                self._stepper.pause()
            if not self._stepper.works or self._chance.random() < _ENDED_WHILE_WAITED_FOR:
                holder.ended = True
                self._server.holder = None
        self._server.holder = self

    def _fence(self) -> Answer:
        if self._fails(_LOCKED_FOR_LONG):
            raise psycopg.errors.LockNotAvailable("somebody has it")
        self._lock()
        self._open.epoch = self._server.epoch + 1
        return Answer([(self._server.epoch + 1,)])

    def _epoch(self) -> Answer:
        self._lock()
        return Answer([(self._server.epoch,)])

    def _insert(self) -> Answer:
        self._upsert()
        if any(_unique(row) in self._server.rows for row in self._open.rows):
            raise psycopg.errors.UniqueViolation("a row that is there")
        return Answer()

    def _upsert(self) -> Answer:
        self._open.rows += [tuple(line.split(b"\t")) for line in bytes(self._open.incoming).splitlines()]
        return Answer()

    def _write_places(self, partitions: list[int], offsets: list[int], texts: list[str]) -> Answer:
        self._open.places |= dict(zip(partitions, zip(offsets, texts, strict=True), strict=True))
        return Answer()

    def _read_places(self, partitions: list[int]) -> Answer:
        places = self._server.places
        return Answer([(number, *places[number]) for number in partitions if number in places])

    def _write_values(self, keys: list[bytes], numbers: list[int], values: list[bytes]) -> Answer:
        self._open.values |= dict(zip(keys, zip(numbers, values, strict=True), strict=True))
        return Answer()

    def _remove_values(self, keys: list[bytes]) -> Answer:
        self._open.values |= dict.fromkeys(keys)
        return Answer()

    def _last_number(self) -> Answer:
        return Answer([(max((number for number, _ in self._server.values.values()), default=0),)])

    def _read_values(self) -> Answer:
        ordered = sorted((number, key, value) for key, (number, value) in self._server.values.items())
        return Answer([(key, value) for _, key, value in ordered])


class Cursor:
    """For ``COPY``, and for reading in parts."""

    itersize = 0

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._answer = Answer()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    @contextmanager
    def copy(self, statement: bytes) -> Generator[Self]:
        assert statement.decode() == statements._COPY
        yield self

    def write(self, piece: bytes) -> None:
        self._connection.copy(piece)

    def execute(self, statement: str, parameters: Sequence[Any]) -> None:
        self._answer = self._connection.execute(statement, parameters)

    def fetchmany(self, size: int) -> list[tuple[Any, ...]]:
        return self._answer.fetchmany(size)


class Database:
    """What lasts, and what must be in it."""

    def __init__(self, scenario: Scenario, broker: Broker) -> None:
        decode, window = scenario.asked.decode, scenario.window
        self.settings = RunSettings("dir:/in", "postgresql://out/", window=window, decode=decode)
        self.server = Server()
        self.broker = broker
        self._windows = Windows(window)

    def compare(self) -> None:
        """All of it with what the broker has; raises Difference."""
        if self.server.places != self.broker.committed:
            raise Difference("checkpoints are not those that were committed")
        if {key: value for key, (_, value) in self.server.values.items()} != self.broker.state:
            raise Difference("a state of another moment")


class DatabasePublisher(SteppedPublisher):
    """A step is a statement."""

    def __init__(
        self,
        scenario: Scenario,
        broker: Broker,
        database: Database,
        signature: str,
        confirm: Callable[[], object],
        chance: random.Random,
    ) -> None:
        super().__init__(scenario, broker, chance, Stepper())
        self._database = database
        self._real = Output(
            database.settings,
            signature,
            confirm,
            lambda point: None,
            PublisherNumbers(),
            self._connected,
            lambda seconds: None,
        )

    @property
    def _output(self) -> Output:
        return self._real

    def _connected(self, url: str) -> psycopg.Connection:
        server = self._database.server
        made = Connection(server, self._stepper, self._fails, self._chance, self._committed)
        return cast(psycopg.Connection, made)

    def _committed(self, changes: Changes) -> None:
        if changes.epoch is not None:
            self._epoch = self._broker.start_producer()
        if not changes.places:
            return
        publication = self._publication
        assert publication is not None
        told = self._transaction(publication, changes.places)
        if [_comparable(row) for row in changes.rows] != [_rendered(*row) for row in told.windows]:
            raise Difference("rows: they are not those that a topic would get")
        try:
            self._broker.commit(told)
        except Fenced:
            raise Difference("fenced: a leader that was replaced has published") from None
        self._database.compare()


def _comparable(row: Row) -> tuple[str, str, int, int]:
    """Key, calendar, users and records."""
    users = -1 if row[7] == b"\\N" else int(row[7])
    return row[0].decode(), row[1].decode(), users, int(row[8])


def _rendered(key: bytes, value: bytes) -> tuple[str, str, int, int]:
    """Of a record of a topic the same."""
    told = orjson.loads(value)
    parts = 2 if "calendar" in told else 1
    text = b" ".join(key.split(b" ", parts)[parts:])
    return (
        text.replace(b"\\", b"\\\\").decode(),
        told.get("calendar", "\\N"),
        told.get("cnt", -1),
        told["records"],
    )


class DatabaseSink:
    """Makes the publishers of one instance."""

    def __init__(self, scenario: Scenario, broker: Broker, database: Database, chance: random.Random) -> None:
        self._made_of = scenario, broker, database
        self._chance = chance

    def publisher(
        self, view: object, signature: str, confirm: Callable[[], object], numbers: object
    ) -> DatabasePublisher:
        """Whoever has it leads."""
        return DatabasePublisher(*self._made_of, signature, confirm, self._chance)
