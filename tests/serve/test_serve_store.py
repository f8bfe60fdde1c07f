"""The store: killed, full, of another format, with records again, late and old ones."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from streamagg.core.measures.theta import compact_theta
from streamagg.errors import SettingsError
from streamagg.model.settings import KeepSettings
from streamagg.serve.following import horizons, kept
from streamagg.serve.questions.asked import Span
from streamagg.serve.questions.windows import WindowsQuestion, windows
from streamagg.serve.records import parse
from streamagg.serve.store import store as storing
from streamagg.serve.store.blobs import StoreFull
from streamagg.serve.store.file import FORMAT, NAME
from streamagg.serve.store.layout import DAY_MS
from streamagg.serve.store.reading import Reading
from streamagg.serve.store.store import Batch, SketchRow, Store
from streamagg.serve.store.unions import unite
from tests.support.asked_store import asking, fill
from tests.support.published_history import EPOCH_S, Visits, values

VISITS = Visits.made(seed=3, windows=120)
RECORDS = [record for record in VISITS.published() if "calendar" not in record]
EVER = Span(0, 2**45)


def all_of(store: Store, *, groups: bool = False, calendar: str = "window") -> list[dict[str, Any]]:
    with asking(store) as reading:
        asked = WindowsQuestion(EVER, calendar, every_group=groups, limit=10**6)
        return windows(reading, asked).records


def of_all(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [record for record in records if "group" not in record]


def sizes(reading: Reading) -> list[int]:
    """Rows of the segments of windows."""
    return [segment.rows for segment in reading.layout.calendars["window"].segments]


WRITER = """
import sys
from pathlib import Path
from streamagg.serve.records import parse
from streamagg.serve.store import store as storing
from tests.serve.test_serve_store import RECORDS, fill, values
storing.SORTED_ROWS, storing.MERGED_ROWS = 20, 60
store = storing.Store(Path(sys.argv[1]))
position = ("topic", "0")
at = int(store.positions().get(position, "0"))
print(at, flush=True)
while at < len(RECORDS):
    behind = min(at + 7, len(RECORDS))
    fill(store, values(RECORDS[at:behind]), positions={position: str(behind)})
    at = behind
    store.sort()
    print(at, flush=True)
"""


def test_killed_at_any_moment_it_has_neither_a_gap_nor_a_double(tmp_path: Path) -> None:
    """By SIGKILL, while it writes, sorts, or merges; once in between a reader looks."""
    directory = tmp_path / "store"
    root = Path(__file__).resolve().parents[2]
    done = 0
    for number in range(6):
        command = [sys.executable, "-c", WRITER, str(directory)]
        with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            first = int(process.stdout.readline())
            # What was told to be stored is.
            assert first >= done
            for _ in range(3 + 2 * number):
                done = int(process.stdout.readline() or b"0") or done
            process.send_signal(signal.SIGKILL)
        store = Store(directory)
        at = int(store.positions()["topic", "0"])
        assert at >= done
        stored = [*all_of(store), *all_of(store, groups=True)]
        assert len(stored) == at
        assert all_of(store) == of_all(RECORDS[:at])
        store.close()


def test_a_record_again_takes_the_place_of_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a batch, in the tail, in a segment."""
    monkeypatch.setattr(storing, "SORTED_ROWS", 1)
    store = Store(tmp_path / "store")
    again = RECORDS[0] | {"cnt": 5}
    fill(store, values(iter([RECORDS[0], RECORDS[0], again])))
    assert all_of(store) == [again]
    fill(store, values(iter([RECORDS[0]])))
    assert all_of(store) == of_all([RECORDS[0]])
    assert store.sort()
    fill(store, values(iter([again])))
    assert all_of(store) == [again]
    assert store.sort()
    assert not store.sort()
    assert all_of(store) == [again]
    store.close()


def test_a_measure_that_is_new_and_a_group_by_another_field(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    fill(store, values(iter(RECORDS[:3])))
    store.close()
    store = Store(tmp_path / "store")
    first_s = RECORDS[-1]["ts"] + 60
    new = [
        {
            "ts": first_s,
            "cnt": 1,
            "granularity": 60,
            "records": 1,
            "partial": True,
            "v": 1,
            "bytes": 2.5,
            "Bytes": 7,
        },
        {
            "ts": first_s,
            "group": {"page": "x"},
            "cnt": 1,
            "granularity": 60,
            "records": 1,
            "partial": True,
            "v": 1,
        },
    ]
    fill(store, values(iter(new)))
    found = all_of(store)
    assert found[0] == of_all(RECORDS)[0] | {"bytes": None, "Bytes": None}
    assert found[-1] == new[0] | {"price": None}
    assert [record["group"] for record in all_of(store, groups=True)][-1] == {"page": "x"}
    assert store.groups.fields() == ["country", "page"]
    store.close()


def test_a_sketch_may_come_before_its_record(tmp_path: Path) -> None:
    """Then its group has no names yet, and no question finds it."""
    store = Store(tmp_path / "store")
    sketch = compact_theta(np.array([1 << 40], np.uint64))
    fill(store, [], [SketchRow("window", EPOCH_S * 1_000, b'["DE"]', sketch)])
    assert store.groups.matching({}) == []
    store.close()
    store = Store(tmp_path / "store")
    record = RECORDS[0] | {"group": {"country": "DE"}}
    fill(store, values(iter([record])))
    assert store.groups.matching({"country": "DE"}) == [1]
    assert len(store.groups) == 1
    store.close()


def test_short_segments_of_a_day_become_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a reading has begun to see it goes on seeing."""
    monkeypatch.setattr(storing, "SORTED_ROWS", 1)
    monkeypatch.setattr(storing, "MERGED_ROWS", 50)
    day = 86_400
    later = [record | {"ts": record["ts"] + day} for record in RECORDS]
    store = Store(tmp_path / "store")
    for records in (RECORDS[:20], later[:20], RECORDS[20:40], later[20:45], RECORDS[40:50]):
        fill(store, values(iter(records)))
        assert store.sort()
    cursor = store.cursor()
    with store.reading(cursor) as before:
        asked = WindowsQuestion(EVER, every_group=True, limit=10**6)
        seen = windows(before, asked).records
        assert sizes(before) == [20, 20, 20, 25, 10]
        assert store.sort()
        assert not store.sort()
        assert windows(before, asked).records == seen
    with asking(store) as after:
        assert windows(after, asked).records == seen
        assert sizes(after) == [20, 25, 50]
    store.close()
    again = Store(tmp_path / "store")
    assert all_of(again, groups=True) == seen
    again.close()


class TestKeeping:
    def test_whole_days_are_forgotten_by_their_calendar(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(storing, "SORTED_ROWS", 20)
        store = Store(tmp_path / "store")
        days = [
            {
                "ts": EPOCH_S + 3_600 * hour,
                "cnt": 1,
                "granularity": 60,
                "records": 1,
                "partial": False,
                "v": 1,
            }
            for hour in range(24 * 10)
        ]
        periods = [record | {"calendar": "hour", "end": record["ts"] + 3_600} for record in days]
        sketch = compact_theta(np.array([1 << 40], np.uint64))
        for begin in range(0, len(days), 30):
            rows = [
                SketchRow("window", record["ts"] * 1_000, None, sketch) for record in days[begin : begin + 30]
            ]
            fill(store, values(iter([*days[begin : begin + 30], *periods[begin : begin + 30]])), rows)
            store.sort()
        while unite(store):
            pass
        keep = [KeepSettings(60_000, 2 * DAY_MS), KeepSettings(3_600_000, 5 * DAY_MS)]
        end_ms = (days[-1]["ts"] + 60) * 1_000
        found = horizons(store, keep)
        assert found == {
            "window": (end_ms - 2 * DAY_MS) // DAY_MS * DAY_MS,
            "hour": (end_ms - 5 * DAY_MS) // DAY_MS * DAY_MS,
            -1: (end_ms - 2 * DAY_MS) // DAY_MS * DAY_MS,
            -2: (end_ms - 5 * DAY_MS) // DAY_MS * DAY_MS,
        }
        store.forget(found)
        for name in ("window", "hour"):
            left = [record["ts"] * 1_000 for record in all_of(store, calendar=name)]
            assert left == [one["ts"] * 1_000 for one in days if one["ts"] * 1_000 >= found[name]]
            assert store.extents[name].oldest_ms == left[0]
        oldest = dict(
            store.connection.execute("SELECT calendar, min(ts) FROM sketches GROUP BY calendar").fetchall()
        )
        assert oldest == {1: found["window"], -2: found[-2], -3: EPOCH_S * 1_000 // DAY_MS * DAY_MS}
        layout = store.layout
        store.forget(horizons(store, keep))
        assert store.layout is layout, "once a day at most"
        # A topic that is read again brings them back, and unions stay that could not be made again.
        parsed = parse(values(iter(days)))
        again = kept(Batch(parsed.rows, [SketchRow("window", days[0]["ts"] * 1_000, None, sketch)]), found)
        assert [int(rows.columns["ts"].min()) for rows in again.rows] == [found["window"]]
        assert again.sketches == []
        store.append(again)
        while unite(store):
            pass
        ((unions,),) = store.connection.execute("SELECT min(ts) FROM sketches WHERE calendar = -2").fetchall()
        assert unions == found[-2]
        store.close()

    def test_without_rules_and_windows_nothing_is(self, tmp_path: Path) -> None:
        store = Store(tmp_path / "store")
        assert horizons(store, [KeepSettings(60_000, 1)]) == {}
        fill(store, values(iter(RECORDS)))
        assert horizons(store, []) == {}
        assert horizons(store, [KeepSettings(59_999, 1)]) == {}
        store.close()


class TestTheFile:
    def test_an_older_format_is_made_anew(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        store = Store(tmp_path / "store")
        fill(store, values(iter(RECORDS)), positions={("topic", "0"): "7"})
        store.connection.execute("UPDATE about SET format = 1")
        store.close()
        store = Store(tmp_path / "store")
        assert (store.positions(), store.extents) == ({}, {})
        assert "is made anew" in caplog.text
        store.close()

    def test_a_newer_format_is_refused(self, tmp_path: Path) -> None:
        store = Store(tmp_path / "store")
        store.connection.execute("UPDATE about SET format = ?", [FORMAT + 1])
        store.close()
        with pytest.raises(SettingsError, match=r"later version \(format 3\): update streamagg"):
            Store(tmp_path / "store")

    def test_what_is_no_store_is_told(self, tmp_path: Path) -> None:
        (tmp_path / NAME).write_bytes(b"something else" * 1_000)
        with pytest.raises(SettingsError, match=r"cannot be opened: .*; delete it, and it is made anew"):
            Store(tmp_path)

    def test_a_directory_that_cannot_be_made(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(SettingsError, match="cannot be made: Not a directory"):
            Store(tmp_path / "file" / "store")

    def test_it_belongs_to_one_process(self, tmp_path: Path) -> None:
        store = Store(tmp_path / "store")
        script = "import sys; from pathlib import Path; from streamagg.serve.store.store import Store;"
        script += "Store(Path(sys.argv[1]))"
        command = [sys.executable, "-c", script, str(tmp_path / "store")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert "another process has it open; give each its own --store" in done.stderr
        store.close()


class TestAFullDisk:
    def test_nothing_is_written_where_little_room_is_left(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = Store(tmp_path / "store")
        fill(store, values(iter(RECORDS[:50])))
        monkeypatch.setattr(storing, "FREE_BYTES", 1 << 62)
        with pytest.raises(StoreFull, match="no room left"):
            store.append(Batch())
        assert all_of(store) == of_all(RECORDS[:50])
        monkeypatch.undo()
        fill(store, values(iter(RECORDS[50:])))
        assert all_of(store) == of_all(RECORDS)
        store.close()

    def test_a_write_that_fails_all_the_same_spoils_nothing(self, tmp_path: Path) -> None:
        """The file system refuses in the middle of it."""
        script = """
import resource, signal, sys
from pathlib import Path
import duckdb
from tests.serve.test_serve_store import RECORDS, Store, all_of, fill, of_all, values
store = Store(Path(sys.argv[1]))
fill(store, values(RECORDS[:30]), positions={("t", "0"): "30"})
size = max(path.stat().st_size for path in Path(sys.argv[1]).iterdir())
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10_000, size + 10_000))
try:
    for at in range(30, len(RECORDS), 10):
        fill(store, values(RECORDS[at : at + 10]), positions={("t", "0"): str(at + 10)})
except duckdb.Error:
    assert all_of(store) == of_all(RECORDS[:at]) and store.positions()["t", "0"] == str(at)
    print("refused", at)
"""
        root = Path(__file__).resolve().parents[2]
        command = [sys.executable, "-c", script, str(tmp_path / "store")]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
        assert done.stdout.startswith("refused"), done.stderr
        at = int(done.stdout.split()[1])
        store = Store(tmp_path / "store")
        assert all_of(store) == of_all(RECORDS[:at])
        store.close()


def test_a_batch_is_stored_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where an error comes from inside, and the next batch is stored as ever."""
    store = Store(tmp_path / "store")
    fill(store, values(iter(RECORDS[:10])), positions={("t", "0"): "10"})

    def fails(*_: object) -> None:
        raise duckdb.IOException("no")

    monkeypatch.setattr(store, "_save_positions", fails)
    with pytest.raises(duckdb.IOException):
        fill(store, values(iter(RECORDS[10:])), positions={("t", "0"): "20"})
    monkeypatch.undo()
    assert all_of(store) == of_all(RECORDS[:10])
    fill(store, values(iter(RECORDS[10:])), positions={("t", "0"): "20"})
    assert len([*all_of(store), *all_of(store, groups=True)]) == len(RECORDS)
    groups = all_of(store, groups=True)
    store.close()
    store = Store(tmp_path / "store")
    assert all_of(store, groups=True) == groups
    store.close()
