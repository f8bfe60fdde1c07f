"""Groups and measures as lines: what is null, what needs quotes, what is left out."""

import csv
from io import StringIO

import pytest

from streamagg.cli.printing import WindowPrinter
from streamagg.core.windows import Windows
from streamagg.model.groups import group_text
from streamagg.model.results import RECORDS, USERS, Groups, Number, Value, WindowTable
from streamagg.model.settings import CountFormat, DecodeSettings, MeasureSettings, WindowSettings

DECODE = DecodeSettings(group_by=("country", "page"), measures=(MeasureSettings("price", "sum", "price"),))
NAMES: list[list[str | None]] = [['a,"b"', "two\nli\rnes"], [None, ""], ["null", "ü"]]
ROW: dict[str, Value] = {USERS: Value(5), RECORDS: Value(1_234), "price": Value(None)}
COLUMNS: dict[str, list[Number]] = {USERS: [3, 2, 2], RECORDS: [1_000, 200, 34], "price": [2.5, None, 10**6]}
WINDOW = WindowTable(2, True, ROW, Groups(9, [group_text(name) for name in NAMES], COLUMNS))


def printed(
    form: CountFormat, table: WindowTable, capsys: pytest.CaptureFixture[str], decode: DecodeSettings = DECODE
) -> str:
    WindowPrinter(form, decode).emit(Windows(WindowSettings()), [table])
    return capsys.readouterr().out


def test_csv(capsys: pytest.CaptureFixture[str]) -> None:
    """A part of a group that is null is empty, like one that is an empty text; JSON can tell them apart."""
    assert list(csv.reader(StringIO(printed("csv", WINDOW, capsys), newline=""))) == [
        ["ts", "country", "page", "groups", "cnt", "records", "price", "partial", "error"],
        ["120", "", "", "9", "5", "1234", "", "true", ""],
        ["120", 'a,"b"', "two\nli\rnes", "", "3", "1000", "2.5", "true", ""],
        ["120", "", "", "", "2", "200", "", "true", ""],
        ["120", "null", "ü", "", "2", "34", "1000000", "true", ""],
    ]


def test_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    decode = DecodeSettings(group_by=("country",), measures=DECODE.measures)
    groups = Groups(9, [group_text([name]) for name in (None, "DE")], {n: c[:2] for n, c in COLUMNS.items()})
    assert printed("table", WindowTable(2, False, ROW, groups), capsys, decode).splitlines() == [
        "window start (UTC)       country                   unique users       records         price",
        "1970-01-01 00:02:00      (all)                                5         1,234             -",
        "1970-01-01 00:02:00      (null)                               3         1,000           2.5",
        "1970-01-01 00:02:00      DE                                   2           200             -",
    ]


def test_too_many_groups(capsys: pytest.CaptureFixture[str]) -> None:
    table = WindowTable(2, False, ROW, Groups(None, [], {}))
    assert printed("table", table, capsys).endswith("1,234             -  too many groups\n")
    assert printed("csv", table, capsys).splitlines()[1] == "120,,,,5,1234,,false,"


def test_no_users(capsys: pytest.CaptureFixture[str]) -> None:
    table = WindowTable(2, False, {RECORDS: Value(7)})
    decode = DecodeSettings(user_field=None)
    assert printed("csv", table, capsys, decode) == "ts,records,partial,error\n120,7,false,\n"
