"""An output in PostgreSQL: what is in the tables, and what becomes of a server that does not do its part."""

import os
import re
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import orjson
import psycopg
import pytest

from streamagg.core.checkpoint import Checkpoint
from streamagg.core.partition_clock import PartitionState
from streamagg.core.windows import Windows
from streamagg.errors import AccessDenied, PlaceError, SettingsError, Unreachable
from streamagg.model.measured import PublisherNumbers
from streamagg.model.results import RECORDS, USERS, Groups, PeriodName, Value, WindowTable
from streamagg.model.settings import DecodeSettings, KafkaSettings, MeasureSettings, RunSettings
from streamagg.sinks import open as opening
from streamagg.sinks.contract import LeaderPublisher, OutputAway, Publication, PublishFailed, State
from streamagg.sinks.json_records import render
from streamagg.sinks.postgres import connecting, lock, transaction
from streamagg.sinks.postgres import sink as module
from streamagg.sinks.postgres.lock import AdvisoryLock
from streamagg.sinks.postgres.schema import schema
from streamagg.sinks.postgres.sink import PostgresSink
from tests.chaos.outputs import NOTED
from tests.conftest import postgres_running
from tests.support.certificates import Authority
from tests.support.instances import wait_until
from tests.support.postgres import Postgres

DOCS = (Path(__file__).parents[2] / "docs" / "postgres.md").read_text("utf-8")
ROOT = Path(__file__).resolve().parents[2]
WAIT_S = 30
FIRST = 24_474_240
"""The window of 2016-07-14 00:00."""
START = datetime(2016, 7, 14, tzinfo=UTC)
DECODE = DecodeSettings(
    group_by=("country", "100%"),
    measures=(MeasureSettings("bytes", "sum", "bytes"), MeasureSettings("price", "avg", "price")),
)
RULES = """
hostssl all locked all scram-sha-256
host    all locked all reject
host    all all    all trust
"""
ODD = 'Ä\\ " \n\t%b \\N \x7f'
PASSWORD = "not-to-be-seen"


def window(number: int = FIRST, users: int = 3) -> WindowTable:
    """With two groups."""
    row = {USERS: Value(users), RECORDS: Value(5), "bytes": Value(2**60), "price": Value(None)}
    columns: dict[str, list[int | float | None]] = {
        USERS: [2, 1],
        RECORDS: [3, 2],
        "bytes": [0.1, None],
        "price": [-0.125, 7],
    }
    texts = [orjson.dumps(values) for values in (["DE", None], [ODD, "x"])]
    return WindowTable(number, False, row, Groups(2, texts, columns))


def publication(*tables: WindowTable, through: int = FIRST, state: State = ()) -> Publication:
    places = {0: Checkpoint(PartitionState(through - FIRST), through, through)}
    return Publication(tables, places, state=state)


def published(publisher: LeaderPublisher, told: Publication) -> None:
    publisher.submit(told)
    while not select.select([publisher], [], [], 0.1)[0] and publisher.busy:
        publisher.finished()
    assert not publisher.busy or publisher.finished() is told


def reached(point: str) -> None:
    """Nothing is broken on purpose."""


class Bench:
    """A database with its publishers."""

    def __init__(self, server: Postgres, database: str) -> None:
        self.server = server
        self.database = database
        self.settings = RunSettings("in", server.url(database), decode=DECODE)
        self._publishers: list[LeaderPublisher] = []

    def sink(self, at: Callable[[Any], None] = reached, **changed: Any) -> PostgresSink:
        return PostgresSink(replace(self.settings, **changed), at)

    def lead(self, at: Callable[[Any], None] = reached, **changed: Any) -> LeaderPublisher:
        publisher = self.publisher(at, **changed)
        assert publisher.start(lambda: False)
        return publisher

    def publisher(
        self, at: Callable[[Any], None] = reached, numbers: PublisherNumbers | None = None, **changed: Any
    ) -> LeaderPublisher:
        sink = self.sink(at, **changed)
        publisher = sink.publisher(None, "print", lambda: None, numbers or PublisherNumbers())
        self._publishers.append(publisher)
        return publisher

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        return self.server.run(*statements, database=self.database)

    def counts(self) -> list[tuple[int, int]]:
        """Number of the window and users of all records, in order."""
        found = self.run('SELECT ts, cnt FROM streamagg_results WHERE "group" IS NULL ORDER BY ts')
        return [(round((ts - START) / timedelta(minutes=1)), cnt) for ts, cnt in found]

    def close(self) -> None:
        for publisher in self._publishers:
            publisher.close(1.0)


@pytest.fixture
def bench(postgres: Postgres, database: str) -> Iterator[Bench]:
    made = Bench(postgres, database)
    made.sink().make()
    yield made
    made.close()


def test_rows_are_typed(bench: Bench) -> None:
    published(bench.lead(), publication(window()))
    same = (None, START, START + timedelta(minutes=1), timedelta(minutes=1))
    plain = (False, False, None, None, False)
    columns = 'calendar, ts, "end", granularity, "group", cnt, records, measures, partial, approximate, error'
    assert bench.run(
        f"SELECT {columns}, groups, groups_dropped FROM streamagg_results ORDER BY records DESC"
    ) == [
        (*same, None, 3, 5, {"bytes": 2**60, "price": None}, False, False, None, 2, False),
        (*same, {"country": "DE", "100%": None}, 2, 3, {"bytes": 0.1, "price": -0.125}, *plain),
        (*same, {"country": ODD, "100%": "x"}, 1, 2, {"bytes": None, "price": 7}, *plain),
    ]


def test_rows_are_what_a_topic_would_get(bench: Bench) -> None:
    """Of windows, periods and groups, but for the names of some fields."""
    day = PeriodName("day", 1468454400000, 1468540800000)
    tables = (window(), msgspec.structs.replace(window(FIRST + 1439), period=day))
    published(bench.lead(), publication(*tables))
    rows = bench.run(
        "SELECT jsonb_strip_nulls(to_jsonb(r) - 'job' - 'key' - 'granularity' - 'measures' - 'groups_dropped'"
        " - 'approximate' || measures) FROM streamagg_results AS r"
    )
    expected = []
    for table in tables:
        for _, value in render(Windows(bench.settings.window), table, DECODE.group_by):
            record = orjson.loads(value)
            record["end"] = record.get("end", record["ts"] + 60)
            for name in ("ts", "end"):
                record[name] = datetime.fromtimestamp(record[name], UTC).isoformat()
            expected.append({k: v for k, v in record.items() if k not in ("granularity", "v")})

    def comparable(record: dict[str, Any]) -> bytes:
        times = {name: datetime.fromisoformat(record[name]).timestamp() for name in ("ts", "end")}
        group = record.get("group") and {k: v for k, v in record["group"].items() if v is not None}
        present = {k: v for k, v in (record | times | {"group": group}).items() if v is not None}
        return orjson.dumps(present, option=orjson.OPT_SORT_KEYS)

    assert sorted(comparable(row) for (row,) in rows) == sorted(map(comparable, expected))


def test_what_is_approximate_dropped_or_not_counted_is_told(bench: Bench) -> None:
    approximate = {USERS: Value(9, 0.02), RECORDS: Value(9)}
    published(
        bench.lead(),
        publication(
            WindowTable(FIRST, True, approximate, Groups(None, [], {})),
            WindowTable(FIRST + 1, False, {RECORDS: Value(4)}, Groups(1, [b'["DE",null]'], {RECORDS: [4]})),
        ),
    )
    assert bench.run(
        "SELECT cnt, partial, approximate, error, groups, groups_dropped, measures FROM streamagg_results"
        " ORDER BY ts, key"
    ) == [
        (9, True, True, 0.02, None, True, {}),
        (None, False, False, None, 1, False, {}),
        (None, False, False, None, None, False, {}),
    ]


def test_groups_that_jsonb_cannot_hold_stay_apart(bench: Bench) -> None:
    names = ["a\0", "a\ufffd", "a\\u0000", "\0"]
    columns: dict[str, list[int | float | None]] = {name: [1] * 4 for name in (USERS, RECORDS)}
    texts = [orjson.dumps([name, None]) for name in names]
    row = {USERS: Value(4), RECORDS: Value(4)}
    published(bench.lead(), publication(WindowTable(FIRST, False, row, Groups(4, texts, columns))))
    found = [
        group for (group,) in bench.run('SELECT "group" FROM streamagg_results WHERE "group" IS NOT NULL')
    ]
    assert sorted(group["country"] for group in found) == ["a\\u0000", "a\ufffd", "a\ufffd", "\ufffd"]
    keys = bench.run("SELECT key FROM streamagg_results ORDER BY key")
    assert [key.encode() for (key,) in keys] == [b"", *sorted(texts)]


def test_times_before_1970_and_of_milliseconds(bench: Bench) -> None:
    odd = replace(bench.settings.window, granularity_ms=1_500)
    row = {USERS: Value(1), RECORDS: Value(1)}
    published(bench.lead(window=odd), publication(WindowTable(-1, False, row)))
    ((ts, granularity),) = bench.run("SELECT ts, granularity FROM streamagg_results")
    assert ts == datetime(1969, 12, 31, 23, 59, 58, 500_000, tzinfo=UTC)
    assert granularity == timedelta(milliseconds=1_500)


def test_what_is_published_again_takes_its_place(bench: Bench) -> None:
    published(bench.lead(), publication(window(), window(FIRST + 1)))
    published(bench.lead(), publication(window(users=8), through=FIRST + 2))
    assert bench.counts() == [(0, 8), (1, 3)]
    assert bench.run("SELECT count(*) FROM streamagg_results") == [(6,)]


def test_only_the_first_publication_of_a_leader_finds_out_that_rows_are_there(bench: Bench) -> None:
    published(bench.lead(), publication(*map(window, range(FIRST, FIRST + 4))))
    numbers = PublisherNumbers()
    leader = bench.publisher(numbers=numbers)
    leader.start(lambda: False)
    for number in range(3):
        published(leader, publication(window(FIRST + number, 8), through=FIRST + number))
    assert bench.counts() == [(0, 8), (1, 8), (2, 8), (3, 3)]
    assert (numbers.committed, numbers.aborted) == (3, 1)


def test_rows_that_are_there_are_replaced_though_somebody_else_is_in_the_way_meanwhile(bench: Bench) -> None:
    published(bench.lead(), publication(window()))
    bench.run(REFUSING.format(times=2, code="40001"))
    published(bench.lead(), publication(window(users=8)))
    assert bench.counts() == [(0, 8)]


def test_tables_that_would_take_rows_twice_are_refused(bench: Bench) -> None:
    bench.sink().make()
    ((index,),) = bench.run(
        "SELECT conname FROM pg_constraint WHERE conrelid = 'streamagg_results'::regclass AND contype = 'u'"
    )
    bench.run(f"ALTER TABLE streamagg_results DROP CONSTRAINT {index}")
    with pytest.raises(PlaceError, match="no unique or exclusion constraint"):
        bench.lead()


def test_rows_that_a_constraint_of_somebody_else_forbids_are_told(bench: Bench) -> None:
    leader = bench.lead()
    bench.run("CREATE UNIQUE INDEX ON streamagg_results (cnt)")
    published(leader, publication(window()))
    with pytest.raises(PublishFailed, match="duplicate key"):
        published(leader, publication(window(FIRST + 1), through=FIRST + 1))


def test_chaos_sees_a_row_that_is_published_again(bench: Bench) -> None:
    """Its judge reads what was ever put into the table, as if that were a topic."""
    bench.run(NOTED)
    published(bench.lead(), publication(window(users=3)))
    published(bench.lead(), publication(window(users=3), through=FIRST + 1))
    noted = bench.run("SELECT key, value FROM noted WHERE value->>'records' = '5' ORDER BY number")
    start = str(round(START.timestamp()))
    assert noted == [(start, {"cnt": 3, "records": 5})] * 2


def test_jobs_share_tables(bench: Bench) -> None:
    other = {"kafka": KafkaSettings(group="other")}
    first, second = bench.lead(), bench.lead(**other)
    published(first, publication(window(), state=((b"key", b"first"),)))
    published(second, publication(window(users=8), through=FIRST + 5, state=((b"key", b"second"),)))
    published(first, publication(window(FIRST + 1), through=FIRST + 1))
    assert bench.run('SELECT job, cnt FROM streamagg_results WHERE "group" IS NULL ORDER BY job, ts') == [
        ("other", 8),
        ("streamagg", 3),
        ("streamagg", 3),
    ]
    assert bench.sink().checkpoints([0])[0][0] == 1
    assert bench.sink(**other).checkpoints([0])[0][0] == 5
    assert list(bench.lead(**other).state(lambda: None)) == [(b"key", b"second")]
    assert bench.sink(**other).holds_results()
    assert not bench.sink(kafka=KafkaSettings(group="third")).holds_results()


STOPPED = """
import select, signal, sys, threading
from streamagg.model.measured import PublisherNumbers
from streamagg.sinks.postgres import connecting
from tests.sinks.test_postgres import DECODE, FIRST, publication, window
from streamagg.sinks.postgres.sink import PostgresSink
from streamagg.model.settings import RunSettings

connecting._SERVER["idle_in_transaction_session_timeout"] = "500ms"
url, where = sys.argv[1:]

def at(point):
    if point == where:
        # This thread at once, and then the others.
        signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)

sink = PostgresSink(RunSettings("in", url, decode=DECODE), at)
publisher = sink.publisher(None, "print", lambda: None, PublisherNumbers())
assert publisher.start(lambda: False)
tables = window(users=666), window(FIRST + 1, 666)
publisher.submit(publication(*tables, through=FIRST + 1, state=((b"key", b"old"),)))
select.select([publisher], [], [])
try:
    publisher.finished()
except Exception as error:
    print(type(error).__name__, error)
else:
    print("published")
"""


@contextmanager
def stopped_process(code: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """One that has stopped itself; it goes on, and ends, with the context at the latest."""
    child = subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        _, status = os.waitpid(child.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        yield child
    finally:
        child.send_signal(signal.SIGCONT)
        child.kill()
        child.communicate()


@pytest.mark.parametrize("point", ["before-begin", "after-produce", "before-commit"])
def test_a_stopped_leader_writes_nothing_when_it_wakes_up(bench: Bench, point: str) -> None:
    with stopped_process(STOPPED, bench.settings.output, point) as child:
        successor = bench.lead()
        published(successor, publication(window(), state=((b"key", b"new"),)))
        child.send_signal(signal.SIGCONT)
        told, _ = child.communicate(timeout=WAIT_S)
    if point == "before-begin":
        assert told == "PublishFailed another instance has begun to publish\n"
    else:
        assert told.startswith("OutputAway ")
    published(successor, publication(window(FIRST + 1, 4), through=FIRST + 1))
    assert bench.counts() == [(0, 3), (1, 4)]
    assert list(bench.lead().state(lambda: None)) == [(b"key", b"new")]


REFUSING = """
    CREATE SEQUENCE asked;
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF nextval('asked') <= {times} THEN
            RAISE EXCEPTION 'because of a test' USING ERRCODE = '{code}';
        END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER refuse BEFORE INSERT ON streamagg_results FOR EACH STATEMENT EXECUTE FUNCTION refuse();
"""


@pytest.mark.parametrize("code", ["40001", "40P01"])
def test_who_is_in_the_way_of_another_tries_again(bench: Bench, code: str) -> None:
    bench.run(REFUSING.format(times=2, code=code))
    published(bench.lead(), publication(window()))
    assert bench.counts() == [(0, 3)]


@pytest.mark.parametrize(
    ("code", "kind", "sentence"),
    [
        ("40001", OutputAway, "is busy with somebody else's transaction: because of a test"),
        ("53100", OutputAway, "is on a disk that is full: because of a test"),
        ("53200", OutputAway, "has not what it needs"),
        ("55P03", OutputAway, "is busy with somebody else's transaction"),
        ("57P01", OutputAway, "cannot be reached"),
        ("57014", OutputAway, "takes too long"),
        ("58030", OutputAway, "cannot be reached"),
        ("25006", OutputAway, "is read-only"),
        ("42501", AccessDenied, "denies this user a right: because of a test"),
        ("42P01", PlaceError, "has not the tables that it should have"),
        ("22003", PublishFailed, "because of a test"),
    ],
)
def test_what_the_server_refuses_is_waited_for_or_told(
    bench: Bench, code: str, kind: type[Exception], sentence: str
) -> None:
    bench.run(REFUSING.format(times=3, code=code))
    publisher = bench.lead()
    with pytest.raises(kind, match=sentence) as told:
        published(publisher, publication(window(), state=((b"key", b"value"),)))
    assert isinstance(told.value, OutputAway) == (kind is OutputAway)
    bench.run("ALTER SEQUENCE asked RESTART 100")
    successor = bench.lead()
    assert (successor.checkpoints([0]), list(successor.state(lambda: None))) == ({}, [])
    published(successor, publication(window()))
    assert bench.counts() == [(0, 3)]


def test_a_lock_that_somebody_holds_is_waited_for(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connecting._SERVER, "lock_timeout", "100ms")
    publisher = bench.lead()
    with psycopg.connect(bench.settings.output) as somebody:
        somebody.execute("LOCK TABLE streamagg_results")
        with pytest.raises(OutputAway, match="busy with somebody else's transaction"):
            published(publisher, publication(window()))
    published(bench.lead(), publication(window()))
    assert bench.counts() == [(0, 3)]


def test_a_statement_that_takes_long_is_given_up(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connecting._SERVER, "statement_timeout", "100ms")
    bench.run(
        REFUSING.format(times=0, code="22003").replace("RETURN NEW", "PERFORM pg_sleep(60); RETURN NEW")
    )
    with pytest.raises(OutputAway, match="statement timeout"):
        published(bench.lead(), publication(window()))


def test_a_database_that_became_read_only_is_waited_for(bench: Bench) -> None:
    bench.run(f"ALTER DATABASE {bench.database} SET default_transaction_read_only = on")
    with pytest.raises(Unreachable, match="is read-only"):
        bench.lead()


def test_connections_that_ran_out_are_waited_for(bench: Bench) -> None:
    bench.run(f"CREATE ROLE {bench.database} LOGIN CONNECTION LIMIT 0")
    url = bench.server.url(bench.database, bench.database)
    with pytest.raises(Unreachable, match=r"cannot be reached: .*too many connections"):
        bench.lead(output=url)


def test_the_rights_of_the_page_are_enough(bench: Bench) -> None:
    """The block of docs/postgres.md, and its question."""
    blocks = re.findall(r"```sql\n(.*?)```", DOCS, re.DOTALL)
    question, rights = blocks
    role = f"counter_{bench.database}"
    bench.run(f"CREATE ROLE {role} LOGIN", f"REVOKE TEMPORARY ON DATABASE {bench.database} FROM PUBLIC")
    url = bench.server.url(bench.database, role)
    sink = bench.sink(output=url, create_tables=False)
    with pytest.raises(AccessDenied, match="denies this user a right: permission denied for table"):
        sink.make()
    granted = rights.replace("DATABASE usage", f"DATABASE {bench.database}").replace("counter", role)
    bench.run(*(statement for statement in granted.split(";\n") if statement))
    sink.make()
    publisher = bench.lead(output=url)
    published(publisher, publication(window(), state=((b"key", b"value"), (b"other", b""))))
    published(publisher, publication(window(), state=((b"key", None),)))
    assert list(publisher.state(lambda: None)) == [(b"other", b"")]
    assert bench.run(question) == [(START, "DE", 2, 0.1), (START, ODD, 1, None)]


def test_tables_that_are_missing_are_told(postgres: Postgres, database: str) -> None:
    bench = Bench(postgres, database)
    assert bench.sink().checkpoints([0]) == {}
    sink = bench.sink(create_tables=False)
    with pytest.raises(PlaceError, match="has no tables of streamagg in its search path"):
        sink.make()
    bench.run(schema())
    sink.make()
    bench.run("DROP TABLE streamagg_results")
    with pytest.raises(PlaceError, match="has not the tables that it should have"):
        bench.lead()
    bench.run("UPDATE streamagg_version SET version = 2")
    with pytest.raises(PlaceError, match="has tables of version 2, and this streamagg knows version 1"):
        bench.sink().make()


def test_tables_are_made_by_two_at_once(postgres: Postgres, database: str) -> None:
    bench = Bench(postgres, database)
    failed: list[Exception] = []

    def make() -> None:
        try:
            bench.sink().make()
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    assert failed == []
    assert bench.run("SELECT count(*) FROM streamagg_version") == [(1,)]


def test_a_database_that_cannot_hold_every_text_is_refused(postgres: Postgres, database: str) -> None:
    other = f"{database}_latin"
    postgres.run(f"CREATE DATABASE {other} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    with pytest.raises(PlaceError, match="has the encoding LATIN1, and must have UTF8"):
        Bench(postgres, other).sink().make()


def test_a_url_that_is_none_is_told(bench: Bench) -> None:
    with pytest.raises(SettingsError, match=r"no URL of PostgreSQL: invalid URI query parameter"):
        bench.sink(output="postgresql://localhost/?no=such").make()


def test_without_its_library_it_does_not_begin(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r"pip install 'streamagg\[postgres\]'"):
        opening.open_sink(bench.settings)


def locks(bench: Bench) -> tuple[AdvisoryLock, AdvisoryLock]:
    """Of two instances."""
    return AdvisoryLock(bench.settings), AdvisoryLock(bench.settings)


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "_EVERY_S", 0.02)


@pytest.mark.usefixtures("_quick")
def test_one_instance_has_the_lock(bench: Bench) -> None:
    first, second = locks(bench)
    third = AdvisoryLock(replace(bench.settings, kafka=KafkaSettings(group="other")))
    assert not second.at_work()
    first.join()
    wait_until(lambda: first.leader, "leadership")
    assert second.at_work()
    second.join()
    third.join()
    wait_until(lambda: second.joined and third.leader, "the others")
    assert (second.leader, second.assignment_known) == (False, True)
    first.close()
    wait_until(lambda: second.leader, "takeover")
    assert (first.leader, second.rebalances) == (False, 1)
    for each in (second, third):
        each.poll()
        each.close()


@pytest.mark.usefixtures("_quick")
def test_a_lock_is_lost_with_its_connection(bench: Bench) -> None:
    first, second = locks(bench)
    first.join()
    wait_until(lambda: first.leader, "leadership")
    second.join()
    wait_until(lambda: second.joined, "the other one")
    pids = bench.run("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted")
    assert pids == [(True,)]
    wait_until(lambda: first.rebalances + second.rebalances == 2, "leadership")
    wait_until(lambda: first.leader != second.leader, "one leader")
    first.close()
    second.close()


HOLDING = """
import os, signal, sys, time
from streamagg.sinks.postgres import lock
from streamagg.sinks.postgres.lock import AdvisoryLock
from streamagg.model.settings import RunSettings

lock._FORGOTTEN = "500ms"
lock._EVERY_S = 0.02
held = AdvisoryLock(RunSettings("in", sys.argv[1]))
held.join()
while not held.leader:
    time.sleep(0.01)
os.kill(os.getpid(), signal.SIGSTOP)
while held.leader:
    time.sleep(0.01)
print("lost")
"""


@pytest.mark.usefixtures("_quick")
def test_a_stopped_holder_loses_the_lock(bench: Bench) -> None:
    with stopped_process(HOLDING, bench.settings.output) as child:
        successor = AdvisoryLock(bench.settings)
        successor.join()
        wait_until(lambda: successor.leader, "takeover")
        child.send_signal(signal.SIGCONT)
        told, _ = child.communicate(timeout=WAIT_S)
    assert told == "lost\n"
    assert successor.leader
    successor.close()


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where certificates of authorities are: root.pem of the server's, other.pem of another one."""
    return tmp_path_factory.mktemp("roots")


@pytest.fixture(scope="module")
def own(roots: Path) -> Iterator[Postgres]:
    """A server that these tests may kill, stop and start; with TLS, and a role with a password."""
    authority = Authority("of the server").write(roots / "root.pem")
    Authority("of somebody else").write(roots / "other.pem")
    issued = authority.server("127.0.0.1")
    with postgres_running() as server:
        server.put("server.crt", issued.certificate)
        server.put("server.key", issued.key)
        server.put("pg_hba.conf", RULES)
        server.run("ALTER SYSTEM SET ssl = on", f"CREATE ROLE locked LOGIN SUPERUSER PASSWORD '{PASSWORD}'")
        server.run("SELECT pg_reload_conf()")
        yield server


@pytest.fixture
def broken(own: Postgres) -> Iterator[Bench]:
    """On that server; it runs again afterwards."""
    name = f"test_{os.urandom(6).hex()}"
    own.run(f"CREATE DATABASE {name}")
    made = Bench(own, name)
    made.sink().make()
    yield made
    own.send(signal.SIGCONT)
    own.start()
    made.close()


@pytest.mark.parametrize("point", ["before-begin", "after-produce", "before-commit", "after-commit"])
@pytest.mark.parametrize("how", ["kill", "stop"])
def test_a_server_that_dies_is_waited_for(broken: Bench, point: str, how: str) -> None:
    published(broken.lead(), publication(window()))
    end = broken.server.kill if how == "kill" else broken.server.stop
    publisher = broken.lead(lambda at: end() if at == point else None)
    second = publication(window(FIRST + 1, 4), through=FIRST + 1, state=((b"key", b"value"),))
    if point == "after-commit":
        published(publisher, second)
    else:
        with pytest.raises(OutputAway, match="cannot be reached"):
            published(publisher, second)
    with pytest.raises(Unreachable, match=r"cannot be reached: .*onnection refused"):
        broken.lead()
    broken.server.start()
    successor = broken.lead()
    is_out = point == "after-commit"
    assert successor.checkpoints([0])[0][0] == int(is_out)
    assert list(successor.state(lambda: None)) == [(b"key", b"value")] * is_out
    published(successor, second)
    assert broken.counts() == [(0, 3), (1, 4)]


def test_a_server_that_does_not_answer_is_given_up(broken: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_STUCK_S", 0.5)
    publisher = broken.lead(lambda at: broken.server.send(signal.SIGSTOP) if at == "before-commit" else None)
    with pytest.raises(OutputAway, match=r"did not finish a publication within 0\.5 s"):
        published(publisher, publication(window()))
    monkeypatch.setitem(connecting._CLIENT, "connect_timeout", 2)
    with pytest.raises(Unreachable):
        broken.lead()
    broken.server.send(signal.SIGCONT)
    monkeypatch.setattr(module, "_STUCK_S", 60.0)
    successor = broken.lead()
    # It was under way, and may be out by now.
    assert successor.checkpoints([0]).keys() == dict(broken.counts()).keys()
    published(successor, publication(window(users=5)))
    assert broken.counts() == [(0, 5)]


def test_a_lock_outlives_a_server_that_starts_anew(broken: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "_EVERY_S", 0.02)
    held = AdvisoryLock(broken.settings)
    held.join()
    wait_until(lambda: held.leader, "leadership")
    broken.server.kill()
    wait_until(lambda: not held.leader, "its loss")
    assert not held.assignment_known
    held.poll()
    broken.server.start()
    wait_until(lambda: held.leader, "leadership again")
    held.close()


def test_tls_and_a_password_from_a_file(
    broken: Bench, roots: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    right.write_text(f"127.0.0.1:*:*:locked:{PASSWORD}\n")
    wrong.write_text("127.0.0.1:*:*:locked:something else\n")
    for path in (right, wrong):
        path.chmod(0o600)

    def url(passfile: Path, root: str = "root.pem", mode: str = "verify-full") -> str:
        parameters = f"sslmode={mode}&sslrootcert={roots / root}&passfile={passfile}"
        return broken.server.url(broken.database, "locked", parameters)

    published(broken.lead(output=url(right)), publication(window()))
    assert broken.counts() == [(0, 3)]
    for refused, sentence in [
        (url(wrong), "password authentication failed"),
        (url(right, "other.pem"), "certificate verify failed"),
        (url(right, mode="disable"), "pg_hba.conf rejects connection"),
    ]:
        with pytest.raises(Unreachable, match=f"cannot be reached: .*{sentence}") as told:
            broken.sink(output=refused).make()
        assert PASSWORD not in str(told.value)
    assert PASSWORD not in caplog.text


def test_much_state_is_written_in_parts(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transaction, "_AT_ONCE", 7)
    values = tuple((b"%d" % number, bytes([number])) for number in range(50))
    published(bench.lead(), publication(state=values))
    assert list(bench.lead().state(lambda: None)) == list(values)
