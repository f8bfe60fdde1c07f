"""Published records read as columns."""

import orjson
import pytest

from streamagg.serve.records import APPROXIMATE, DROPPED, PARTIAL, WINDOW, parse

PLAIN = {"ts": 1468244400, "cnt": 3, "granularity": 60, "records": 6, "partial": False, "v": 1}


def test_a_batch_becomes_columns_by_calendar() -> None:
    parsed = parse(
        map(
            orjson.dumps,
            [
                PLAIN,
                PLAIN | {"group": {"country": "DE", "page": None}, "bytes": 1.5},
                PLAIN | {"calendar": "day", "end": 1468330800, "groups": 7},
                PLAIN | {"ts": 1468244460.25, "granularity": 0.25, "partial": True, "groups_dropped": True},
                PLAIN | {"approximate": True, "error": 0.0118},
            ],
        )
    )
    windows, days = parsed.rows
    assert (windows.calendar, days.calendar, parsed.unreadable) == (WINDOW, "day", 0)
    assert windows.groups == [None, b'["DE",null]', None, None]
    assert windows.names[1] == ("country", "page")
    assert windows.columns["ts"].tolist() == [1468244400000, 1468244400000, 1468244460250, 1468244400000]
    assert windows.columns["span"].tolist() == [60000, 60000, 250, 60000]
    assert windows.columns["flags"].tolist() == [0, 0, PARTIAL | DROPPED, APPROXIMATE]
    assert windows.columns["error"].tolist() == [None, None, None, 0.0118]
    assert windows.measures["bytes"].tolist() == [None, 1.5, None, None]
    assert days.columns["span"].tolist() == [86400000]
    assert days.columns["groups"].tolist() == [7]


def test_no_users_are_no_count() -> None:
    (rows,) = parse([orjson.dumps({name: value for name, value in PLAIN.items() if name != "cnt"})]).rows
    assert rows.columns["cnt"].tolist() == [None]


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"[]",
        b"7",
        b"{}",
        b'{"v":1}',
        orjson.dumps(PLAIN | {"v": 2}),
        orjson.dumps(PLAIN | {"ts": "1468244400"}),
        orjson.dumps(PLAIN | {"ts": None}),
        orjson.dumps(PLAIN | {"ts": 1e300}),
        orjson.dumps(PLAIN | {"cnt": "3"}),
        orjson.dumps(PLAIN | {"cnt": 2**64 - 1}),
        orjson.dumps(PLAIN | {"records": None}),
        orjson.dumps(PLAIN | {"group": ["DE"]}),
        orjson.dumps(PLAIN | {"group": {"country": 7}}),
        orjson.dumps(PLAIN | {"calendar": 7, "end": 1}),
        orjson.dumps(PLAIN | {"bytes": "many"}),
        orjson.dumps(PLAIN | {"bytes": [1]}),
        orjson.dumps(PLAIN | {"bytes": True}),
        orjson.dumps(PLAIN | {"end": "x", "calendar": "day"}),
    ],
)
def test_what_is_no_such_record_is_left_out_and_spoils_no_other(value: bytes) -> None:
    parsed = parse([orjson.dumps(PLAIN), value, orjson.dumps(PLAIN | {"ts": 0})])
    assert parsed.unreadable == 1
    (rows,) = parsed.rows
    assert rows.columns["ts"].tolist() == [1468244400000, 0]
    assert len(rows.values) == len(rows.groups) == len(rows.names) == 2
