"""The recount: the decoding policy by the frozen corpus, the rules of event time by time lines.

Time lines read from left to right in offset order; a window is 10 s long, max lag 2 s, max jump 12 s.
"""

import json
import random
from typing import Any

import pytest

from streamagg.model.settings import CalendarSettings, DecodeSettings, MeasureSettings, WindowSettings
from streamagg.tools.periods import Period
from streamagg.tools.recount import Event, PartitionRecount, Recount, Recounter, Rejected, Window
from tests.support.corpus import CASES, expected, payload_of, settings_of
from tests.support.decoded import Outcome, row_of_event

WINDOW = WindowSettings(granularity_ms=10_000, max_lag_ms=2_000, max_jump_ms=12_000)


def outcome(case: dict[str, Any]) -> Outcome:
    settings = settings_of(case)
    try:
        return row_of_event(Recounter(settings).event(payload_of(case)), settings)
    except Rejected as rejected:
        return str(rejected)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_corpus(case: dict[str, Any]) -> None:
    assert outcome(case) == expected(case)


def recount(
    times_s: list[float], kafka_time_s: float | None = None, *, end: bool = True, by_broker: bool = True
) -> Recount:
    """Records of different users at these event times, in one partition."""
    result = Recount()
    partition = PartitionRecount(WINDOW, DecodeSettings(), result)
    for number, time_s in enumerate(times_s):
        record = json.dumps({"ts": time_s, "uid": f"user {number}"}).encode()
        kafka_time_ms = None if kafka_time_s is None else round(kafka_time_s * 1_000)
        partition.add(record, kafka_time_ms, by_broker=by_broker)
    if end:
        partition.end()
    return result


def counts(result: Recount) -> dict[int, int]:
    return {start_ms // 1_000: len(window.users) for start_ms, window in sorted(result.windows.items())}


def test_records_fall_into_half_open_windows() -> None:
    #   100 ........ 110 ........ 120
    #   |x         x|x           |x
    assert counts(recount([100, 109.999, 110, 120])) == {100: 2, 110: 1, 120: 1}


def test_a_record_is_late_once_its_window_plus_max_lag_has_passed() -> None:
    #   100 ........ 110  112
    #   | 1   3      |2    |4   5 is late: the clock is at 112 = 110 + max lag
    result = recount([101, 111.999, 105, 112, 105])
    assert counts(result) == {100: 2, 110: 2}
    assert result.late == 1


def test_one_record_from_far_away_is_rejected_in_the_end() -> None:
    #   100 101 102 ...                                    9999
    #    1   3   4   then 31 more                            2
    result = recount([100, 9_999, *[101 + number / 10 for number in range(32)]], end=False)
    assert counts(result) == {100: 33}
    assert result.rejected == {"future": 1}


def test_it_is_rejected_at_the_24th_record_that_speaks_against_it_and_not_before() -> None:
    undecided = recount([100, 9_999, *[101] * 23], end=False)
    assert undecided.rejected == {}
    assert recount([100, 9_999, *[101] * 24], end=False).rejected == {"future": 1}


def test_a_gap_is_believed_with_the_24th_record_behind_it() -> None:
    #   100                     500  501 ...
    #   25 x                     26  27 to 50: the last confirms 26, which brings the others within reach
    assert counts(recount([*[100] * 25, 500, *[501] * 23], end=False)) == {100: 25}
    assert counts(recount([*[100] * 25, 500, *[501] * 24], end=False)) == {100: 25, 500: 25}


def test_the_first_records_of_a_partition_wait_like_any_other() -> None:
    assert counts(recount([9_999, *[100] * 25], end=False)) == {100: 25}


def test_the_33rd_that_waits_is_one_too_many() -> None:
    #   100             500, 513, ...      every other one of those behind speaks against all of them
    #    25 x            32 x, 33 x
    times = [*[100] * 25, *(time for n in range(33) for time in (500 + n * 13, 100))]
    assert recount(times[:-2], end=False).rejected == {}
    assert recount(times, end=False).rejected == {"future": 1}


def test_the_clock_stands_while_most_are_behind_it() -> None:
    #   100 101    109         120
    #        25 x   1, 50 x 101, 1: within reach of 109, but most are 8 s behind that; so 101 is in time
    result = recount([*[101] * 25, 109, *[101] * 50, 120, 101], end=False)
    assert (counts(result), result.late) == ({100: 77, 120: 1}, 0)


def test_a_live_record_waits_for_nobody() -> None:
    assert counts(recount([100], 100, end=False)) == {100: 1}
    assert counts(recount([100], 112, end=False)) == {100: 1}
    assert counts(recount([100], 112.001, end=False)) == {}


def test_a_time_of_its_producer_makes_no_record_live() -> None:
    assert counts(recount([100], 100, end=False, by_broker=False)) == {}


def test_at_the_end_those_are_believed_that_nobody_spoke_against() -> None:
    #   100      500 501                 100      500  101
    #    1        2   3   |end            1        2    3   |end
    assert counts(recount([100, 500, 501])) == {100: 1, 500: 2}
    result = recount([100, 500, 101])
    assert counts(result) == {100: 2}
    assert result.rejected == {"future": 1}


def test_every_record_is_counted_late_or_rejected() -> None:
    rng = random.Random(7)
    result = recount([rng.choice([100, 200, 5_000]) + rng.random() * 40 for _ in range(2_000)])
    assert result.consumed == 2_000 == result.counted + result.late + sum(result.rejected.values())


def test_a_user_counts_once_in_a_window_however_it_is_written() -> None:
    result = Recount()
    partition = PartitionRecount(WINDOW, DecodeSettings(), result)
    for uid in ('"é7"', '"\\u00e97"', "7", '"7"'):
        partition.add(f'{{"ts":100,"uid":{uid}}}'.encode(), None)
    partition.end()
    (window,) = result.windows.values()
    assert window == Window({"é7", "7"}, 4)


def test_windows_may_be_shifted() -> None:
    result = Recount()
    shifted = WindowSettings(granularity_ms=10_000, offset_ms=3_000, max_lag_ms=0, max_jump_ms=12_000)
    partition = PartitionRecount(shifted, DecodeSettings(), result)
    for time_s in (102, 103, 112):
        partition.add(b'{"ts":%d,"uid":"u"}' % time_s, None)
    partition.end()
    assert sorted(result.windows) == [93_000, 103_000]


GROUPED = DecodeSettings(
    group_by=("country", "page.section"),
    measures=(
        MeasureSettings("bytes", "sum", "bytes"),
        MeasureSettings("price", "last", "price"),
        MeasureSettings("devices", "uniques", "device"),
    ),
)


def event(fields: str, decode: DecodeSettings = GROUPED) -> Event | str:
    try:
        return Recounter(decode).event(f'{{"ts":100,"uid":"u"{fields}}}'.encode())
    except Rejected as rejected:
        return str(rejected)


def group(value: str) -> tuple[str | None, ...] | str:
    found = event(f',"country":{value}')
    return found if isinstance(found, str) else found.group[:1]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ('"DE"', "DE"),
        ('"M\\u00fcnchen"', "München"),
        ('""', ""),
        ("null", None),
        ("true", "true"),
        ("false", "false"),
        ("-0", "0"),
        ("42", "42"),
        ("-123456789012345678901234567890", "-123456789012345678901234567890"),
        ("-0.0", "-0.0"),
        ("1.50", "1.5"),
        ("1e16", "1e+16"),
        ("1E2", "100.0"),
        ("1" * 256, "1" * 256),
        ('"' + "é" * 128 + '"', "é" * 128),
    ],
)
def test_a_value_to_group_by_becomes_text(value: str, text: str | None) -> None:
    assert group(value) == (text,)


@pytest.mark.parametrize("value", ["[]", "{}", '["DE"]', "1e999", "1" * 257, '"' + "é" * 128 + 'x"'])
def test_what_is_no_group_is_rejected(value: str) -> None:
    assert group(value) == "bad_group"


def test_a_group_is_judged_after_time_and_user() -> None:
    assert event(',"uid":[],"country":[]') == "bad_user"
    assert event(',"ts":-1,"country":[]') == "bad_time"
    assert event("") == Event(100_000, "u", (None, None), (None, None, None))


def test_text_to_group_by_must_be_utf8() -> None:
    with pytest.raises(Rejected, match="bad_json"):
        Recounter(GROUPED).event(b'{"ts":100,"uid":"u","country":"\xff"}')


def test_values_are_numbers_and_anything_else_is_ignored() -> None:
    found = event(',"bytes":9007199254740993,"price":1.25,"device":"phone","page":{"section":"x"}')
    assert found == Event(100_000, "u", (None, "x"), (2.0**53, 1.25, "phone"))
    assert event(',"bytes":null,"device":7') == Event(100_000, "u", (None, None), (None, None, "7"))
    for wrong in ('"7"', "true", "[]", "{}", "1e999", "-1e999", "9" * 400):
        assert event(f',"bytes":{wrong}') == Event(100_000, "u", (None, None), (None, None, None), ("bytes",))
    for wrong in ('""', "true", "[]", "{}", "1.0", '"' + "x" * 513 + '"'):
        assert event(f',"device":{wrong}') == Event(
            100_000, "u", (None, None), (None, None, None), ("devices",)
        )


def test_a_value_that_is_no_utf8_is_ignored() -> None:
    found = Recounter(GROUPED).event(b'{"ts":100,"uid":"u","device":"\xff"}')
    assert (found.values, found.ignored) == ((None, None, None), ("devices",))


def test_a_path_leads_into_arrays() -> None:
    decode = DecodeSettings(group_by=("tags.1.name",), user_field=None)
    tags = '"tags":[0,{"name":"b"}]'
    assert event(f",{tags}", decode) == Event(100_000, None, ("b",))
    assert event(',"tags":{"1":{"name":"c"}}', decode) == Event(100_000, None, ("c",))
    for out in ('"tags":[0]', '"tags":[0,[]]', '"tags":"1"'):
        assert event(f",{out}", decode) == Event(100_000, None, (None,))
    for path in ("tags.01.name", "tags.-1.name", "tags.1_0.name", "tags.9999999999"):
        assert event(f",{tags}", DecodeSettings(group_by=(path,))) == Event(100_000, "u", (None,))


def test_no_users_are_looked_for_where_none_are_counted() -> None:
    decode = DecodeSettings(user_field=None)
    assert Recounter(decode).event(b'{"ts":100,"uid":[]}') == Event(100_000, None)
    assert Recounter(decode).event(b'{"ts":100}') == Event(100_000, None)


def test_windows_periods_and_groups_are_counted_side_by_side() -> None:
    #   100        110        120        130
    #   |a1 b2     |a3        |late: a   |a5
    #   |      20 s           |     20 s
    window = WindowSettings(10_000, 0, 0, 12_000, calendars=(CalendarSettings("20s", 20_000),))
    decode = DecodeSettings(group_by=("g",), measures=(MeasureSettings("last", "last", "n"),))
    result = Recount()
    partition = PartitionRecount(window, decode, result)
    for time_s, g, n in ((100, "a", 1), (101, "b", 2), (111, "a", 3), (101, "a", 4), (122, "a", 5)):
        partition.add(b'{"ts":%d,"uid":"%d","g":"%s","n":%d}' % (time_s, n, g.encode(), n), None)
    partition.end()
    assert result.late == 1
    first = result.windows[100_000]
    assert (first.users, first.records, first.measured[0].result()) == ({"1", "2"}, 2, 2)
    assert {g: (own.users, own.measured[0].result()) for g, own in first.groups.items()} == {
        ("a",): ({"1"}, 1),
        ("b",): ({"2"}, 2),
    }
    period = result.periods[Period("20s", 100_000, 120_000)]
    assert (period.users, period.measured[0].result()) == ({"1", "2", "3"}, 3)
    assert {g: own.records for g, own in period.groups.items()} == {("a",): 2, ("b",): 1}
    assert len(result.periods) == 2


def test_of_the_same_time_the_last_value_is_that_of_the_higher_partition() -> None:
    decode = DecodeSettings(
        measures=(MeasureSettings("last", "last", "n"), MeasureSettings("first", "first", "n"))
    )
    result = Recount()
    for number in (1, 0):
        partition = PartitionRecount(WINDOW, decode, result, number)
        for n in (2 * number, 2 * number + 1):
            partition.add(b'{"ts":100,"uid":"u","n":%d}' % n, None)
        partition.add(b'{"ts":100,"uid":"u","n":"none"}', None)
        partition.end()
    (window,) = result.windows.values()
    assert [measured.result() for measured in window.measured] == [3, 0]
    assert result.ignored == {"last": 2, "first": 2}
