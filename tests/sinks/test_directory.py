"""An output directory, as whoever reads it finds it."""

import errno
import fcntl
import math
import os
import re
import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import orjson
import pandas
import polars
import pytest
from pyarrow import parquet

from streamagg.core.checkpoint import Checkpoint
from streamagg.core.partition_clock import PartitionState
from streamagg.errors import AccessDenied, PlaceError, SettingsError, Unreachable
from streamagg.model.measured import PublisherNumbers
from streamagg.model.results import RECORDS, USERS, Groups, PeriodName, Value, WindowTable
from streamagg.model.settings import DecodeSettings, KafkaSettings, MeasureSettings, RunSettings
from streamagg.sinks.contract import LeaderPublisher, OutputAway, Publication, PublishFailed, State
from streamagg.sinks.directory import merging, output, state
from streamagg.sinks.directory.files import LOCK, Disk
from streamagg.sinks.directory.lock import DirectoryLock
from streamagg.sinks.directory.manifest import File, Manifest, columns_of, draft_of, encode, read_manifest
from streamagg.sinks.directory.output import Output
from streamagg.sinks.directory.sink import DirectorySink

DOCS = (Path(__file__).parents[2] / "docs" / "directory.md").read_text("utf-8")
WAIT_S = 30
DAY = 1440
"""Windows of a minute."""
FIRST = 24_474_240
"""The window of 2016-07-14 00:00."""
GROUPED = DecodeSettings(
    group_by=("country", "day"),
    measures=(MeasureSettings("bytes", "sum", "bytes"), MeasureSettings("kind", "uniques", "kind")),
)


def settings_for(directory: Path, decode: DecodeSettings = GROUPED, **more: Any) -> RunSettings:
    return RunSettings("in", f"dir:{directory}", decode=decode, **more)


def window(number: int, users: int = 3) -> WindowTable:
    """With two groups."""
    row = {USERS: Value(users), RECORDS: Value(5), "bytes": Value(2**60), "kind": Value(2)}
    columns: dict[str, list[int | float | None]] = {
        USERS: [2, 1],
        RECORDS: [3, 2],
        "bytes": [0.5, None],
        "kind": [1, 1],
    }
    return WindowTable(number, False, row, Groups(2, [b'["DE",null]', b'["\xc3\x84 \\" ","x"]'], columns))


def published(publisher: LeaderPublisher, *tables: WindowTable, state: State = ()) -> None:
    """In one publication."""
    through = max((table.window for table in tables), default=FIRST)
    places = {0: Checkpoint(PartitionState(through), through, through)}
    publisher.submit(Publication(tables, places, state=state))
    assert select.select([publisher], [], [], WAIT_S)[0]
    assert publisher.finished() is not None


class Quick(Disk):
    """What is written lasts as long as a test does."""

    def sync(self, path: str) -> None: ...

    def sync_folder(self, path: str) -> None: ...


@pytest.fixture
def leading() -> Iterator[Any]:
    """Makes publishers that have started, and ends them."""
    begun: list[LeaderPublisher] = []

    def lead(settings: RunSettings, disk: Callable[[Path], Disk] = Quick) -> LeaderPublisher:
        sink = DirectorySink(settings, lambda point: None, disk)
        sink.make()
        publisher = sink.publisher(None, "print", lambda: None, PublisherNumbers())
        begun.append(publisher)
        assert publisher.start(lambda: False)
        return publisher

    yield lead
    for publisher in begun:
        publisher.close(WAIT_S)


def manifest(directory: Path) -> Manifest:
    found = read_manifest(directory)
    assert found is not None
    return found


def lines(directory: Path) -> list[dict[str, Any]]:
    """What counts of the JSON lines, in order."""
    found: list[dict[str, Any]] = []
    for day in manifest(directory).days.values():
        for file in day.jsonl:
            found += map(orjson.loads, (directory / file.path).read_bytes()[: file.bytes].splitlines())
    return found


def rows(directory: Path) -> list[dict[str, Any]]:
    """The same of Parquet."""
    files = [file.path for day in manifest(directory).days.values() for file in day.parquet]
    return [row for path in files for row in parquet.read_table(directory / path).to_pylist()]


def test_lines_are_what_a_topic_would_get(leading: Any, tmp_path: Path) -> None:
    published(leading(settings_for(tmp_path)), window(FIRST))
    assert lines(tmp_path) == [
        {"ts": 1468454400, "cnt": 3, "granularity": 60, "records": 5, "partial": False, "v": 1, "groups": 2}
        | {"bytes": 2**60, "kind": 2},
        {"ts": 1468454400, "group": {"country": "DE", "day": None}, "cnt": 2, "granularity": 60}
        | {"records": 3, "partial": False, "v": 1, "bytes": 0.5, "kind": 1},
        {"ts": 1468454400, "group": {"country": 'Ä " ', "day": "x"}, "cnt": 1, "granularity": 60}
        | {"records": 2, "partial": False, "v": 1, "bytes": None, "kind": 1},
    ]


def test_columns_are_typed_and_groups_are_columns(leading: Any, tmp_path: Path) -> None:
    published(leading(settings_for(tmp_path)), window(FIRST))
    start = datetime(2016, 7, 14, tzinfo=UTC)
    same = {"calendar": None, "ts": start, "end": start.replace(minute=1), "granularity_ms": 60_000}
    same |= {"partial": False, "approximate": False, "error": None, "groups_dropped": False}
    none = {"groups": None}
    assert rows(tmp_path) == [
        same
        | {"kind": "window", "country": None, "group.day": None, "cnt": 3, "records": 5, "groups": 2}
        | {"bytes": 2.0**60, "measure.kind": 2},
        same
        | {"kind": "group", "country": "DE", "group.day": None, "cnt": 2, "records": 3, **none}
        | {"bytes": 0.5, "measure.kind": 1},
        same
        | {"kind": "group", "country": 'Ä " ', "group.day": "x", "cnt": 1, "records": 2, **none}
        | {"bytes": None, "measure.kind": 1},
    ]
    assert [(one.name, one.field) for one in manifest(tmp_path).columns] == [
        ("bytes", "bytes"),
        ("measure.kind", "kind"),
        ("country", "country"),
        ("group.day", "day"),
    ]


def test_without_users_there_is_none_in_the_column(leading: Any, tmp_path: Path) -> None:
    groups = Groups(1, [b'["DE"]'], {RECORDS: [5]})
    table = WindowTable(FIRST, True, {RECORDS: Value(5)}, groups)
    published(leading(settings_for(tmp_path, DecodeSettings(user_field=None, group_by=("country",)))), table)
    assert [(row["cnt"], row["records"], row["partial"]) for row in rows(tmp_path)] == [(None, 5, True)] * 2


def test_what_is_approximate_or_dropped_is_told(leading: Any, tmp_path: Path) -> None:
    table = WindowTable(FIRST, False, {USERS: Value(9, 0.02), RECORDS: Value(9)}, Groups(None, [], {}))
    published(leading(settings_for(tmp_path, DecodeSettings(group_by=("country",)))), table)
    (row,) = rows(tmp_path)
    assert (row["approximate"], row["error"], row["groups"], row["groups_dropped"]) == (
        True,
        0.02,
        None,
        True,
    )


def test_a_period_is_in_the_day_of_its_last_window(leading: Any, tmp_path: Path) -> None:
    july = PeriodName("month", 1467331200000, 1470009600000)
    last = july.end_ms // 60_000 - 1
    table = replace_period(window(last), july)
    published(leading(settings_for(tmp_path)), window(last), table)
    assert list(manifest(tmp_path).days) == ["2016-07-31"]
    kinds = [(row["kind"], row["calendar"], row["ts"].date().isoformat()) for row in rows(tmp_path)]
    assert kinds[0] == ("window", None, "2016-07-31")
    assert kinds[3:] == [("period", "month", "2016-07-01")] + [("period_group", "month", "2016-07-01")] * 2


def replace_period(table: WindowTable, period: PeriodName) -> WindowTable:
    return msgspec.structs.replace(table, period=period)


def test_tools_read_it_as_the_page_says(leading: Any, tmp_path: Path) -> None:
    """The blocks of docs/directory.md, with another path."""
    publisher = leading(settings_for(tmp_path))
    published(publisher, window(FIRST))
    published(publisher, window(FIRST + DAY, 4))
    sql, python = (
        re.search(rf"```{kind}\n(.*?)```", DOCS, re.DOTALL)[1].replace("/srv/counts", str(tmp_path))  # type: ignore[index]
        for kind in ("sql", "python")
    )
    with duckdb.connect() as database:
        setting, query = (part for part in sql.split(";\n") if part)
        database.execute(setting)
        found = database.execute(query).fetchall()
        (kind,) = database.execute(
            "SELECT DISTINCT typeof(ts) FROM read_parquet(getvariable('files'))"
        ).fetchone() or ("",)
    assert [(row[0].timestamp(), *row[1:]) for row in found][:2] == [
        (1468540800, "DE", 2),
        (1468540800, 'Ä " ', 1),
    ]
    assert kind == "TIMESTAMP WITH TIME ZONE"

    told: list[Any] = []
    exec(python, {"print": told.append})
    assert told[0].get_column("cnt").to_list() == [3, 4]
    assert told[0].schema["ts"] == polars.Datetime("ms", "UTC")

    files = [tmp_path / file.path for day in manifest(tmp_path).days.values() for file in day.parquet]
    frame = pandas.read_parquet(files)
    assert frame["cnt"].tolist() == [3, 2, 1, 4, 2, 1]
    assert str(frame["ts"].dt.tz) == "UTC"


def test_many_publications_are_few_files(leading: Any, tmp_path: Path) -> None:
    publisher = leading(settings_for(tmp_path, DecodeSettings()))
    plain = [WindowTable(FIRST + n, False, {USERS: Value(n), RECORDS: Value(n)}) for n in range(300)]
    for table in plain:
        published(publisher, table)
    (day,) = manifest(tmp_path).days.values()
    assert len(day.jsonl) == 1
    assert [file.publications for file in day.parquet] == [256, 16, 16, *[1] * 12]
    published(publisher, WindowTable(FIRST + DAY, False, {USERS: Value(300), RECORDS: Value(300)}))
    before, after = manifest(tmp_path).days.values()
    assert [file.publications for file in before.parquet] == [300]
    assert [file.publications for file in after.parquet] == [1]
    assert [row["cnt"] for row in rows(tmp_path)] == list(range(301))
    assert [line["cnt"] for line in lines(tmp_path)] == list(range(301))


def file_of(records: int, publications: int = 1) -> File:
    return File("", 0, records, publications)


def test_files_are_merged_up_to_a_size() -> None:
    large, small = file_of(merging.MOST_RECORDS), file_of(10)
    assert merging.of_all((small, small, large, small, large, small, small)) == [(5, 7), (0, 2)]
    assert merging.of_all((large, small)) == []
    assert merging.of_all((small,)) == []
    assert merging.at_the_end((large,) * 16) is None
    assert merging.at_the_end((small,) * 15) is None
    assert merging.at_the_end((large, *(small,) * 16)) == (1, 17)
    assert merging.at_the_end((file_of(10, 16), *(small,) * 15)) is None


def test_the_manifest_stays_small_after_a_year_of_minutes() -> None:
    year = {
        f"2016-{number // 28 + 1:02}-{number % 28 + 1:02}": {
            kind: [
                {"path": f"{kind}/day=2016-01-01/00000001-00100000.{kind}", "bytes": 10**7, "records": 10**5}
            ]
            for kind in ("jsonl", "parquet")
        }
        for number in range(365)
    }
    found = msgspec.convert({"group": "streamagg", "days": year}, Manifest)
    assert len(encode(found)) < 110_000


def test_days_are_kept_as_long_as_asked_for(
    leading: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "_REMOVED_AFTER_S", 0.0)
    publisher = leading(settings_for(tmp_path, keep_ms=2 * 86_400_000))
    for day in range(5):
        published(publisher, window(FIRST + day * DAY))
    assert list(manifest(tmp_path).days) == ["2016-07-16", "2016-07-17", "2016-07-18"]
    assert manifest(tmp_path).records == 15
    assert sorted(path.name for path in (tmp_path / "parquet").glob("*/*"))
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.glob("*/*/*")}
    assert left == set(manifest(tmp_path).paths)
    folders = {path.name for path in tmp_path.glob("*/*")}
    assert folders == {f"day={day}" for day in manifest(tmp_path).days}


def test_a_folder_without_files_goes_unless_somebody_has_begun_since(
    leading: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "_REMOVED_AFTER_S", 0.0)
    empty, foreign = tmp_path / "jsonl" / "day=2016-01-01", tmp_path / "jsonl" / "day=2016-01-02"
    first = leading(settings_for(tmp_path, keep_ms=86_400_000))
    for folder in (empty, foreign):
        folder.mkdir(parents=True)
    (foreign / "notes.txt").write_text("of somebody else")
    published(first, window(FIRST))
    leading(settings_for(tmp_path, keep_ms=86_400_000))
    assert not empty.exists()
    assert foreign.exists()


def test_a_leader_that_was_replaced_removes_no_folder(
    leading: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_for(tmp_path, keep_ms=86_400_000)
    files = Quick(tmp_path)
    old = Output(settings, "there", files, "", lambda: None, lambda point: None, PublisherNumbers())
    old.open(lambda: True)
    for number in (FIRST, FIRST + 3 * DAY):
        old.publish(Publication((window(number),), {}), 0.0)
    folder = tmp_path / "jsonl" / "day=2016-07-14"
    assert folder.exists(), "whoever reads by the manifest before still finds its files"
    leading(settings)
    assert not folder.exists()
    folder.mkdir()
    monkeypatch.setattr(output, "monotonic", lambda: math.inf)
    old.serve()
    assert folder.exists(), "the new one is about to write there"


def test_what_nobody_names_is_removed_later(
    leading: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher = leading(settings_for(tmp_path))
    for number in range(16):
        published(publisher, window(FIRST + number))
    there = set(tmp_path.glob("parquet/*/*"))
    assert len(there) == 17, "whoever reads by the manifest before still finds its files"
    leading(settings_for(tmp_path))
    (kept,) = tmp_path.glob("parquet/*/*")
    assert kept in there


def test_what_a_leader_left_unfinished_is_cleared_away(leading: Any, tmp_path: Path) -> None:
    publisher = leading(settings_for(tmp_path))
    published(publisher, window(FIRST))
    (day,) = manifest(tmp_path).days.values()
    (counts,) = day.jsonl
    with (tmp_path / counts.path).open("ab") as file:
        file.write(b'{"half a l')
    folder = tmp_path / "parquet" / "day=2016-07-14"
    unfinished, younger, foreign = (
        folder / name for name in ("00000001-00000099.parquet", "00000007-00000001.parquet", "notes.txt")
    )
    for path in (unfinished, younger, foreign):
        path.write_bytes(b"something")
    leading(settings_for(tmp_path))
    assert (tmp_path / counts.path).stat().st_size == counts.bytes
    assert not unfinished.exists()
    assert younger.exists(), "whoever began later may be at work"
    assert foreign.exists()


def test_state_is_not_written_again_with_each_publication(
    leading: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "_SPARE_BYTES", 1 << 16)
    publisher = leading(settings_for(tmp_path))
    published(publisher, state=tuple((b"key %d" % number, bytes(1000)) for number in range(1000)))
    written = 0
    for number in range(700):
        before = manifest(tmp_path).state
        published(publisher, state=((b"key %d" % (number % 500), b"x" * 1000), (b"head", b"%d" % number)))
        after = manifest(tmp_path).state
        written += after[-1].bytes - (before[-1].bytes if after[-1].path == before[-1].path else 0)
    held = sum(file.bytes for file in manifest(tmp_path).state)
    assert held < 2 * 1_020_000 + (1 << 16) + 2_000
    assert written < 2 * 700 * 1_030 + 1_020_000
    found = dict(leading(settings_for(tmp_path)).state(lambda: None))
    assert len(found) == 1001
    assert found[b"head"] == b"699"
    assert found[b"key 0"] == b"x" * 1000
    assert found[b"key 999"] == bytes(1000)


def test_damaged_state_is_told(leading: Any, tmp_path: Path) -> None:
    published(leading(settings_for(tmp_path)), state=((b"key", b"value"),))
    (file,) = manifest(tmp_path).state
    (tmp_path / file.path).write_bytes(b"\xff" * file.bytes)
    with pytest.raises(Exception, match="the files of the state of open periods are damaged"):
        list(leading(settings_for(tmp_path)).state(lambda: None))


def test_files_of_state_do_not_become_many(leading: Any, tmp_path: Path) -> None:
    for number in range(40):
        published(leading(settings_for(tmp_path)), state=((b"key %d" % number, b""),))
        assert len(manifest(tmp_path).state) <= 16
    assert len(dict(leading(settings_for(tmp_path)).state(lambda: None))) == 40


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        (
            {"kafka": KafkaSettings(group="other")},
            "holds the results of the group streamagg, and this one is other",
        ),
        ({"decode": DecodeSettings(group_by=("page",))}, "holds results with other groups or measures"),
    ],
)
def test_another_job_is_refused(leading: Any, tmp_path: Path, changed: Any, sentence: str) -> None:
    leading(settings_for(tmp_path))
    with pytest.raises(PlaceError, match=sentence):
        DirectorySink(replace(settings_for(tmp_path), **changed), lambda point: None).make()


def test_what_it_does_not_know_is_refused(leading: Any, tmp_path: Path) -> None:
    published(leading(settings_for(tmp_path)), window(FIRST))
    sink = DirectorySink(settings_for(tmp_path), lambda point: None)
    whole = (tmp_path / "manifest.json").read_bytes()
    for written, sentence in [
        (whole.replace(b'"v":1', b'"v":2'), "another version"),
        (whole[:-9], "damaged manifest.json"),
    ]:
        (tmp_path / "manifest.json").write_bytes(written)
        with pytest.raises(PlaceError, match=sentence):
            sink.require(lambda: None)
    (tmp_path / "manifest.json").unlink()
    with pytest.raises(PlaceError, match=r"no manifest.json that names those that count"):
        sink.require(lambda: None)


def test_a_directory_that_is_missing_is_told(tmp_path: Path) -> None:
    absent = settings_for(tmp_path / "absent")
    with pytest.raises(PlaceError, match="does not exist, or is none"):
        DirectorySink(absent, lambda point: None).require(lambda: None)
    with pytest.raises(PlaceError, match="does not exist, or is none"):
        DirectorySink(settings_for(tmp_path / "absent" / "counts"), lambda point: None).make()
    (tmp_path / "file").touch()
    with pytest.raises(PlaceError, match="does not exist, or is none"):
        DirectorySink(settings_for(tmp_path / "file"), lambda point: None).make()


def test_without_what_writes_parquet_it_does_not_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamagg.sinks.directory.parquet.find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r"pip install 'streamagg\[parquet\]'"):
        DirectorySink(settings_for(tmp_path), lambda point: None)


class Refusing(Quick):
    """A disk that refuses to be written to, with this error."""

    code = 0
    only = ""

    def write(self, path: str, offset: int, content: bytes) -> None:
        if self.code and path.startswith(self.only):
            raise OSError(self.code, os.strerror(self.code), str(path))
        super().write(path, offset, content)


@pytest.mark.parametrize(
    ("code", "kind", "sentence"),
    [
        ("ENOSPC", OutputAway, "on a disk that is full: make room there"),
        ("EDQUOT", OutputAway, "on a disk that is full: make room there"),
        ("EIO", OutputAway, "cannot be used: Input/output error"),
        ("EROFS", AccessDenied, "cannot be written to as this user: jsonl.*: Read-only file system"),
        ("EACCES", AccessDenied, "cannot be written to as this user: jsonl.*: Permission denied"),
    ],
)
def test_a_disk_that_refuses_is_waited_for_or_told(
    leading: Any, tmp_path: Path, code: str, kind: type[Exception], sentence: str
) -> None:
    disk = Refusing(tmp_path)
    publisher = leading(settings_for(tmp_path), disk=lambda root: disk)
    published(publisher, window(FIRST))
    disk.code = getattr(errno, code)
    with pytest.raises(kind, match=sentence):
        published(publisher, window(FIRST + 1))
    sink = DirectorySink(settings_for(tmp_path), lambda point: None, lambda root: disk)
    away = Unreachable if kind is OutputAway else kind
    starting = sink.publisher(None, "print", lambda: None, PublisherNumbers())
    with pytest.raises(away):
        starting.start(lambda: False)
    starting.close(WAIT_S)

    disk.code = 0
    published(leading(settings_for(tmp_path)), window(FIRST + 1))
    assert [line["ts"] for line in lines(tmp_path)[::3]] == [1468454400, 1468454460]


def test_a_manifest_that_is_gone_ends_the_run(leading: Any, tmp_path: Path) -> None:
    publisher = leading(settings_for(tmp_path))
    (tmp_path / "manifest.json").unlink()
    with pytest.raises(PlaceError, match=r"has lost .*manifest.json: restore it"):
        published(publisher, window(FIRST))


def test_who_begins_waits_for_a_commit_and_can_be_told_to_give_up(tmp_path: Path) -> None:
    sink = DirectorySink(settings_for(tmp_path), lambda point: None)
    sink.make()
    with (tmp_path / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        publisher = sink.publisher(None, "print", lambda: None, PublisherNumbers())
        asked: list[bool] = []
        assert not publisher.start(lambda: bool(asked.append(True)) or len(asked) > 2)
        assert not (tmp_path / "manifest.json").exists()
    publisher.close(WAIT_S)


def locks(directory: Path) -> tuple[DirectoryLock, DirectoryLock]:
    """Of two instances."""
    return DirectoryLock(settings_for(directory)), DirectoryLock(settings_for(directory))


def test_one_instance_has_the_lock(tmp_path: Path) -> None:
    first, second = locks(tmp_path)
    assert not first.joined
    assert not second.at_work()
    first.join()
    assert second.at_work()
    second.join()
    assert (first.leader, second.leader) == (True, False)
    assert second.joined
    assert second.assignment_known
    first.close()
    second.poll()
    assert (first.leader, second.leader) == (False, True)
    assert (first.rebalances, second.rebalances) == (1, 1)
    second.poll()
    assert second.rebalances == 1
    second.close()


def test_a_lock_that_somebody_removed_is_given_up(tmp_path: Path) -> None:
    first, second = locks(tmp_path)
    first.join()
    (tmp_path / ".leader").unlink()
    second.join()
    assert second.leader
    first.poll()
    assert not first.leader
    first.close()
    second.close()


def test_a_lock_that_cannot_be_had_is_told(tmp_path: Path) -> None:
    with pytest.raises(PlaceError, match=r"has lost .*\.leader"):
        DirectoryLock(settings_for(tmp_path / "absent")).join()


def test_columns_have_names_of_their_own() -> None:
    decode = DecodeSettings(group_by=("ts", "group.ts", "a"), measures=(MeasureSettings("a", "avg", "a"),))
    names = [column.name for column in columns_of(decode)]
    assert names == ["a", "group.ts", "group.group.ts", "group.a"]


def test_who_was_replaced_is_told(leading: Any, tmp_path: Path) -> None:
    before = leading(settings_for(tmp_path))
    leading(settings_for(tmp_path))
    with pytest.raises(PublishFailed, match="another instance has begun to publish"):
        published(before, window(FIRST))


def test_the_page_shows_a_manifest() -> None:
    shown = re.search(r"```\n(\{\"v\".*?)```", DOCS, re.DOTALL)
    assert shown is not None
    assert orjson.loads(shown[1]).keys() == msgspec.to_builtins(Manifest(group="")).keys()
    assert msgspec.json.decode(shown[1], type=Manifest).days["2016-07-11"].jsonl[0].bytes == 1893


def test_nothing_that_takes_long_is_done_under_the_lock(leading: Any, tmp_path: Path) -> None:
    """Whoever is stopped there makes its successor wait."""
    done: list[str] = []

    class Told(Quick):
        @contextmanager
        def locked(self, waiting: Callable[[], bool]) -> Iterator[bool]:
            done.clear()
            with super().locked(waiting) as alone:
                yield alone
                done.append("given back")

        def read(self, path: str) -> bytes:
            done.append("read")
            return super().read(path)

        def write(self, path: str, offset: int, content: bytes) -> None:
            done.append("write")
            super().write(path, offset, content)

        def sync(self, path: str) -> None:
            done.append("sync")

        def sync_folder(self, path: str) -> None:
            done.append("sync of a folder")

        def replace(self, path: str, target: str) -> None:
            done.append("replace")
            super().replace(path, target)

    published(leading(settings_for(tmp_path), Told), window(FIRST))
    assert done == ["read", "replace", "given back", "sync of a folder"]


def test_a_draft_of_a_leader_that_died_is_cleared_away(leading: Any, tmp_path: Path) -> None:
    leading(settings_for(tmp_path))
    draft, later = (tmp_path / draft_of(epoch) for epoch in (1, 9))
    draft.write_bytes(b"{")
    later.write_bytes(b"{")
    published(leading(settings_for(tmp_path)), window(FIRST))
    assert not draft.exists()
    assert later.exists(), "its leader may be at work"


def test_on_a_full_disk_it_makes_room(leading: Any, tmp_path: Path) -> None:
    """For the manifest of whoever begins, which is written before anything is removed."""
    disk = Refusing(tmp_path)
    publisher = leading(settings_for(tmp_path), disk=lambda root: disk)
    for number in range(16):
        published(publisher, window(FIRST + number))
    assert len(list(tmp_path.glob("parquet/*/*"))) == 17
    disk.only = "state"
    disk.code = errno.ENOSPC
    with pytest.raises(OutputAway, match="is full"):
        published(publisher, window(FIRST + 16), state=((b"key", b"value"),))
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.glob("*/*/*")}
    assert left == set(manifest(tmp_path).paths)


def test_what_cannot_be_removed_stays(leading: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Disk, path: str) -> None:
        if "manifest" not in path:
            raise PermissionError(errno.EACCES, "Permission denied", path)

    monkeypatch.setattr(output, "_REMOVED_AFTER_S", 0.0)
    monkeypatch.setattr(Quick, "remove", refuse)
    publisher = leading(settings_for(tmp_path))
    for number in range(17):
        published(publisher, window(FIRST + number))
    assert len(lines(tmp_path)) == 51
