"""What counts as a difference between a recount and the output topic."""

import json

import pytest

from streamagg.cli.verify import as_json
from streamagg.model.settings import CeilingSettings, DecodeSettings, KafkaSettings, WindowSettings
from streamagg.tools.recount import Recount, Window, counted_users
from streamagg.tools.verify import (
    Count,
    Difference,
    Published,
    Verification,
    VerifySettings,
    compare,
    published_count,
)

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
                "recounted": {"unique": 7, "records": 7, "approximate": False},
                "published": [{"unique": 8, "records": 8, "approximate": False}],
                "detail": "",
            }
        ],
        "records": 0,
        "counted": 7,
        "late": 0,
        "rejected": {},
        "seconds": 1.5,
    }
