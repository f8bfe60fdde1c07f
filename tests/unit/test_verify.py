"""What counts as a difference between a recount and the output topic."""

import json
from dataclasses import replace

import pytest

from streamagg.cli.verify import as_json, print_outcome
from streamagg.model.settings import (
    CalendarSettings,
    CeilingSettings,
    DecodeSettings,
    KafkaSettings,
    MeasureSettings,
    WindowSettings,
)
from streamagg.tools.comparison import Verification, VerifySettings, compare
from streamagg.tools.published import Count, Difference, Published, published_count
from streamagg.tools.recount import PartitionRecount, Recount, Window, counted_users

WINDOW = WindowSettings(granularity_ms=60_000)


def settings(**changes: object) -> VerifySettings:
    window = changes.pop("window", WINDOW)
    return VerifySettings("in", "out", window, DecodeSettings(), KafkaSettings(), **changes)  # type: ignore[arg-type]


def recount(**users: int) -> Recount:
    """Windows by their minute: ``m3=5`` is five users, one record each, in the third minute."""
    windows = {
        int(minute[1:]) * 60_000: Window({str(user) for user in range(count)}, count)
        for minute, count in users.items()
    }
    return Recount(windows)


def published(minute: int, unique: int, *, records: int | None = None, partial: bool = False) -> Published:
    return Published(minute * 60_000, Count(unique, unique if records is None else records), partial)


def kinds(differences: tuple[Difference, ...]) -> list[tuple[str, int | None]]:
    return [(one.kind, None if one.window_ms is None else one.window_ms // 60_000) for one in differences]


def test_equal_windows_agree() -> None:
    counted = recount(m0=5, m1=7)
    outcome = compare(settings(), counted, [published(1, 7), published(0, 5)], 3.5)
    assert outcome == Verification(
        counted, windows=2, matching=2, open=0, partial=0, differences=(), seconds=3.5
    )


def test_every_kind_of_difference() -> None:
    outputs = [published(1, 8), published(2, 3), published(2, 3), published(9, 1), published(4, 2, records=3)]
    outcome = compare(settings(), recount(m0=5, m1=7, m2=3, m4=2), outputs, 0)
    expected = [("missing", 0), ("different", 1), ("doubled", 2), ("different", 4), ("unexpected", 9)]
    assert kinds(outcome.differences) == expected
    assert outcome.matching == 0


def test_a_window_published_twice_with_two_values_is_different() -> None:
    outcome = compare(settings(allow_repeats=True), recount(m0=5), [published(0, 5), published(0, 4)], 0)
    assert kinds(outcome.differences) == [("different", 0)]
    assert outcome.differences[0].published == (Count(5, 5), Count(4, 4))


def test_repeats_may_be_allowed() -> None:
    counted = recount(m0=5)
    outcome = compare(settings(allow_repeats=True), counted, [published(0, 5), published(0, 5)], 0)
    assert outcome == Verification(
        counted, windows=1, matching=1, open=0, partial=0, differences=(), seconds=0
    )


def test_windows_behind_the_last_published_one_may_be_open() -> None:
    counted = recount(m0=5, m1=7, m2=3)
    outcome = compare(settings(allow_open=True), counted, [published(1, 7)], 0)
    assert kinds(outcome.differences) == [("missing", 0)]
    assert outcome.open == 1
    assert kinds(compare(settings(), counted, [published(1, 7)], 0).differences) == [
        ("missing", 0),
        ("missing", 2),
    ]


def test_nothing_published_yet_is_open_too() -> None:
    assert compare(settings(allow_open=True), recount(m0=5), [], 0).open == 1


def test_an_approximate_count_is_expected_above_the_ceiling_and_nowhere_else() -> None:
    counted = recount(m0=70_000)
    ceiling = CeilingSettings(65_536, "approximate")
    about, _ = counted_users(counted.windows[0].users, ceiling)
    assert about != 70_000
    approximate = Published(0, Count(about, 70_000, approximate=True), False)
    exact, unflagged = published(0, 70_000), published(0, about, records=70_000)
    assert compare(settings(ceiling=ceiling), counted, [approximate], 0).matching == 1
    for wrong in (exact, unflagged):
        outcome = compare(settings(ceiling=ceiling), counted, [wrong], 0)
        assert kinds(outcome.differences) == [("different", 0)]
    for other in (CeilingSettings(), CeilingSettings(70_000, "approximate"), CeilingSettings(1)):
        assert compare(settings(ceiling=other), counted, [exact], 0).matching == 1
        assert compare(settings(ceiling=other), counted, [approximate], 0).matching == 0


def test_users_of_a_group_are_exact_above_the_ceiling_too() -> None:
    ceiling, decode = CeilingSettings(65_536, "approximate"), DecodeSettings(group_by=("g",), hash_seed=7)
    grouped_settings = replace(settings(ceiling=ceiling), decode=decode)
    counted = recount(m0=70_000)
    users = counted.windows[0].users
    counted.windows[0].groups[("a",)] = Window(users, 70_000)
    about, _ = counted_users(users, ceiling, 7)
    assert about not in (70_000, counted_users(users, ceiling)[0])
    outputs = [
        Published(0, Count(about, 70_000, approximate=True, groups=1), False),
        Published(0, Count(70_000, 70_000), False, group=("a",)),
    ]
    assert compare(grouped_settings, counted, outputs, 0).matching == 2


def test_partial_windows_are_not_compared() -> None:
    counted = recount(m0=5)
    outcome = compare(settings(), counted, [published(0, 2, partial=True)], 0)
    assert outcome == Verification(
        counted, windows=1, matching=0, open=0, partial=1, differences=(), seconds=0
    )


def test_empty_windows_are_expected_between_others_if_they_are_published() -> None:
    with_empty = WindowSettings(granularity_ms=60_000, empty_windows=True)
    outputs = [published(0, 5), published(1, 0), published(2, 3)]
    assert compare(settings(window=with_empty), recount(m0=5, m2=3), outputs, 0).matching == 3
    assert kinds(compare(settings(), recount(m0=5, m2=3), outputs, 0).differences) == [("unexpected", 1)]


VALUE = b'{"ts":60,"cnt":5,"granularity":60,"records":6,"partial":false,"v":1}'


def test_an_output_record_is_read() -> None:
    assert published_count(b"60", VALUE, "") == Published(60_000, Count(5, 6), False)
    fraction = VALUE.replace(b'"ts":60', b'"ts":60.5')
    assert published_count(b"60.5", fraction, "") == Published(60_500, Count(5, 6), False)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"120", VALUE),
        (None, VALUE),
        (b"x", VALUE),
        (b"60", None),
        (b"60", b"{"),
        (b"60", b"[]"),
        (b"60", b'{"ts":60}'),
        (b"60", b'{"ts":"60","cnt":5,"records":6,"partial":false}'),
        (b"60", b'{"ts":60,"cnt":null,"records":6,"partial":false}'),
    ],
)
def test_what_is_no_count_is_unreadable(key: bytes | None, value: bytes | None) -> None:
    output = published_count(key, value, "partition 0, offset 7")
    assert isinstance(output, Difference)
    assert output.kind == "unreadable"
    assert "offset 7" in output.detail
    outcome = compare(settings(), recount(), [output], 0)
    assert outcome.differences == (output,)


PLAIN = {"approximate": False, "measures": {}, "groups": None, "groups_dropped": False, "end": None}


def test_the_json_form_holds_everything() -> None:
    outcome = compare(settings(), recount(m1=7), [published(1, 8)], 1.5)
    assert json.loads(as_json(outcome)) == {
        "windows": 1,
        "matching": 0,
        "open": 0,
        "partial": 0,
        "differences": [
            {
                "ts": 60,
                "kind": "different",
                "calendar": None,
                "group": None,
                "recounted": PLAIN | {"unique": 7, "records": 7},
                "published": [PLAIN | {"unique": 8, "records": 8}],
                "detail": "",
            }
        ],
        "records": 0,
        "counted": 7,
        "late": 0,
        "rejected": {},
        "ignored": {},
        "seconds": 1.5,
    }


GROUPED = VerifySettings(
    "in",
    "out",
    WindowSettings(60_000, calendars=(CalendarSettings("2m", 120_000),)),
    DecodeSettings(group_by=("g",), measures=(MeasureSettings("n", "sum", "n"),)),
    KafkaSettings(),
)
Output = tuple[str, dict[str, object]]
"""Key and value of an output record."""
OWN = {"granularity": 60, "partial": False, "v": 1}


def row(key: str, cnt: int, records: int, n: float | None, **fields: object) -> Output:
    ts = int(key.removeprefix("2m ").split()[0])
    return key, {"ts": ts, **fields, "cnt": cnt, "records": records, **OWN, "n": n}


def outputs() -> list[Output]:
    """By hand, of what ``grouped`` counts: two minutes, and the period of both."""
    a, b, unknown = ({"group": {"g": value}} for value in ("a", "b", None))
    end: dict[str, object] = {"calendar": "2m", "end": 240}
    return [
        row("120", 3, 4, 8.5, groups=2),
        row('120 ["b"]', 2, 3, 8, **b),
        row('120 ["a"]', 1, 1, 0.5, **a),
        row("180", 2, 2, None, groups=2),
        row('180 ["a"]', 1, 1, None, **a),
        row("180 [null]", 1, 1, None, **unknown),
        row("2m 120", 3, 6, 8.5, groups=3, **end),
        row('2m 120 ["b"]', 2, 3, 8, **b, **end),
        row('2m 120 ["a"]', 2, 2, 0.5, **a, **end),
        row("2m 120 [null]", 1, 1, None, **unknown, **end),
    ]


def grouped(settings: VerifySettings = GROUPED) -> Recount:
    #   120                                180            240
    #   |1 a 0.5, 2 b 1, 3 b 3, 3 b 4      |1 a, 2 null   |
    result = Recount()
    partition = PartitionRecount(settings.window, settings.decode, result)
    lines = '120 1 "a" 0.5, 121 2 "b" 1, 122 3 "b" 3, 122 3 "b" 4, 180 2 "a" null, 181 1 null null'
    for line in lines.split(", "):
        partition.add(b'{"ts":%b,"uid":%b,"g":%b,"n":%b}' % tuple(line.encode().split()), None)
    partition.end()
    return result


def judged(given: list[Output], settings: VerifySettings = GROUPED, *, partition: int = 0) -> Verification:
    read = [
        published_count(key.encode(), json.dumps(value).encode(), "", partition, settings.decode.group_by)
        for key, value in given
    ]
    return compare(settings, grouped(settings), read, 0)


def found(given: list[Output], settings: VerifySettings = GROUPED) -> list[tuple[object, ...]]:
    differences = judged(given, settings).differences
    return [(one.kind, one.calendar, (one.window_ms or 0) // 1_000, one.group) for one in differences]


def test_groups_measures_and_periods_agree() -> None:
    outcome = judged(outputs())
    assert outcome.differences == ()
    assert (outcome.windows, outcome.matching) == (10, 10)


def changed(number: int, **fields: object) -> list[Output]:
    given = outputs()
    key, value = given[number]
    given[number] = key, value | fields
    return given


@pytest.mark.parametrize("field", ["cnt", "records", "n", "groups", "end"])
@pytest.mark.parametrize(
    ("number", "place"),
    [
        (0, (None, 120, None)),
        (2, (None, 120, ("a",))),
        (6, ("2m", 120, None)),
        (9, ("2m", 120, (None,))),
    ],
)
def test_a_wrong_value_is_found_wherever_it_is(number: int, place: tuple[object, ...], field: str) -> None:
    assert found(changed(number, **{field: 77})) == [("different", *place)]


def test_a_missing_measure_and_one_too_many_are_found() -> None:
    given = outputs()
    del given[0][1]["n"]
    given[1][1]["m"] = 3
    assert found(given) == [("different", None, 120, None), ("different", None, 120, ("b",))]


@pytest.mark.parametrize("number", range(10))
def test_one_that_is_missing_is_found(number: int) -> None:
    given = outputs()
    key, _ = given.pop(number)
    ((kind, calendar, ts, group),) = found(given)
    assert kind == "missing"
    assert key.split()[:1] == ([calendar] if calendar else [str(ts)])
    assert key.endswith("]") == (group is not None)


@pytest.mark.parametrize("number", range(10))
def test_one_that_is_there_twice_is_found(number: int) -> None:
    given = outputs()
    given.insert(number, given[number])
    assert [kind for kind, *_ in found(given)] == ["doubled"]
    assert found(given, replace(GROUPED, allow_repeats=True)) == []
    key, value = given[number]
    given[number] = key, value | {"records": 50}
    assert [kind for kind, *_ in found(given, replace(GROUPED, allow_repeats=True))] == ["different"]


def test_a_group_that_nobody_is_in_is_found() -> None:
    given = [*outputs(), row('120 ["c"]', 1, 1, 1, group={"g": "c"})]
    assert found(given) == [("unexpected", None, 120, ("c",))]


def test_a_period_of_a_calendar_that_nobody_asked_for_is_found() -> None:
    given = [*outputs(), row("120", 1, 1, 1, calendar="day", end=240)]
    assert [one.kind for one in judged(given).differences] == ["unreadable"]
    given[-1] = "day 120", given[-1][1]
    assert found(given) == [("unexpected", "day", 120, None)]


@pytest.mark.parametrize(
    ("order", "wrong"),
    [
        ("1023456789", [(None, 120, None)]),
        ("0213456789", [(None, 120, ("b",))]),
        ("0123546789", [(None, 180, ("a",))]),
        ("0123456879", [("2m", 120, ("b",))]),
        ("0126345789", [(None, 180, None), (None, 180, (None,)), (None, 180, ("a",))]),
    ],
)
def test_an_order_that_is_not_kept_is_found(order: str, wrong: list[tuple[object, ...]]) -> None:
    given = outputs()
    assert found([given[int(number)] for number in order]) == [("unordered", *place) for place in wrong]


def test_the_order_is_that_of_each_partition() -> None:
    read = [
        published_count(key.encode(), json.dumps(value).encode(), "", number, GROUPED.decode.group_by)
        for number, (key, value) in reversed(list(enumerate(outputs())))
    ]
    assert compare(GROUPED, grouped(), read, 0).differences == ()


def test_an_order_of_repeats_is_that_of_their_first() -> None:
    repeats = replace(GROUPED, allow_repeats=True)
    assert found(outputs() + outputs(), repeats) == []
    assert found(outputs()[:3] + outputs(), repeats) == []


def test_all_of_a_partial_window_is_left_out() -> None:
    outcome = judged(changed(0, partial=True, cnt=1, groups=1)[:2] + outputs()[3:])
    assert (outcome.differences, outcome.partial, outcome.matching) == ((), 3, 7)


def test_a_period_may_be_open_until_a_window_behind_it_is_published() -> None:
    open_ = replace(GROUPED, allow_open=True)
    outcome = judged(outputs()[:6], open_)
    assert (outcome.differences, outcome.open) == ((), 4)
    later = row("240", 1, 1, None, groups=0)
    assert {kind for kind, *_ in found([*outputs()[:6], later], open_)} == {"missing", "unexpected"}


def test_without_users_there_is_no_count() -> None:
    plain = replace(GROUPED, decode=replace(GROUPED.decode, user_field=None))
    given = outputs()
    assert {kind for kind, *_ in found(given, plain)} == {"different"}
    for _, value in given:
        del value["cnt"]
    assert found(given, plain) == []


def test_only_the_top_groups_are_expected() -> None:
    top = replace(GROUPED, ceiling=CeilingSettings(top=1))
    given = [one for number, one in enumerate(outputs()) if number in (0, 1, 3, 4, 6, 7)]
    assert found(given, top) == []
    assert found(outputs(), top) == [
        ("unexpected", None, 120, ("a",)),
        ("unexpected", "2m", 120, (None,)),
        ("unexpected", "2m", 120, ("a",)),
        ("unexpected", None, 180, (None,)),
    ]


def test_above_the_ceiling_on_groups_only_totals_are_expected() -> None:
    totals = replace(GROUPED, ceiling=CeilingSettings(max_groups=2, above_groups="totals"))
    assert found(outputs(), totals)[0] == ("different", "2m", 120, None)
    given = outputs()[:7]
    del given[6][1]["groups"]
    given[6][1]["groups_dropped"] = True
    assert found(given, totals) == []
    assert found(given, GROUPED) == [("different", "2m", 120, None)]


@pytest.mark.parametrize(
    "fields",
    [
        {"n": "8"},
        {"n": True},
        {"n": 8.0},
        {"groups": []},
        {"group": {"other": "a"}},
        {"group": {"g": 1}},
        {"group": "a"},
        {"group": {}},
        {"calendar": 2},
        {"end": "240"},
    ],
)
def test_a_record_that_is_none_of_ours_is_unreadable(fields: dict[str, object]) -> None:
    assert ("unreadable", None, 0, None) in found(changed(0, **fields))


def test_what_is_printed_names_groups_periods_and_values(capsys: pytest.CaptureFixture[str]) -> None:
    given = changed(9, n=1)
    given[1] = given[1][0], given[1][1] | {"cnt": 5}
    recounted = judged(given)
    recounted.recount.ignored["n"] = 3
    print_outcome(recounted, "windows, periods and groups")
    out = capsys.readouterr().out
    assert 'different ["b"]' in out
    assert "2 / 3, n 8" in out
    assert "different 2m [null]" in out
    assert "1 / 1, n null" in out
    assert "values ignored: n 3" in out
    assert "8 of 10 windows, periods and groups agree, 2 differ" in out


def test_the_json_form_names_groups_and_periods() -> None:
    (one,) = json.loads(as_json(judged(changed(9, n=1))))["differences"]
    assert (one["calendar"], one["group"], one["ts"]) == ("2m", [None], 120)
    assert one["recounted"]["measures"] == {"n": None}
    assert one["published"][0]["measures"] == {"n": 1}
    assert one["recounted"]["end"] == 240
