"""Groups as JSON records, against a dictionary for each."""

import orjson
import pytest

from streamagg.core.windows import Windows
from streamagg.model.groups import group_text
from streamagg.model.results import RECORDS, USERS, Groups, Number, Value, WindowTable
from streamagg.model.settings import WindowSettings
from streamagg.sinks.json_records import render

AWKWARD = ["DE", None, "", "a,b", 'q"\\\n', "%b%%", "é\u2028", "{}[]"]
NUMBERS: list[Number] = [None, 0, -1, 2**63 - 1, 0.1, -1.5e300, 5e-324, 1]


@pytest.mark.parametrize("group_by", [("pa%th",), ("cou\u00e9ntry", "page.%s")])
@pytest.mark.parametrize("users", [True, False])
def test_every_group_is_its_record(group_by: tuple[str, ...], users: bool) -> None:
    named = [[value, "x,"][: len(group_by)] for value in AWKWARD]
    counts: list[Number] = list(range(len(named)))
    columns: dict[str, list[Number]] = {"price": NUMBERS, RECORDS: counts}
    if users:
        columns[USERS] = counts
    row = {name: Value(1) for name in columns}
    groups = Groups(len(named), [group_text(values) for values in named], columns)
    _, *records = render(Windows(WindowSettings()), WindowTable(2, False, row, groups), group_by)
    for number, (key, value) in enumerate(records):
        assert key == b"120 " + group_text(named[number])
        expected = {"ts": 120, "group": dict(zip(group_by, named[number], strict=True))}
        expected |= {"cnt": number} if users else {}
        expected |= {"granularity": 60, "records": number, "partial": False, "v": 1, "price": NUMBERS[number]}
        assert value == orjson.dumps(expected)
    assert len(records) == len(named)
