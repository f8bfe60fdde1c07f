"""Generated records: the same everywhere, of the promised shape, broken only where asked for."""

import hashlib
import io
import json
import time
from collections import Counter
from typing import Any

import pytest

from streamagg.cli.generate import moment_s
from streamagg.errors import SettingsError
from streamagg.tools.generate import (
    CHUNK_RECORDS,
    CORRUPTIONS,
    VISIT_CORRUPTIONS,
    GenerateSettings,
    records,
    user_id,
    write,
)
from streamagg.tools.shapes import FIRST_TIME_S
from streamagg.tools.visits import COUNTRIES, PAGES, SECTIONS


def generated(**settings: float) -> list[bytes]:
    return [record for chunk in records(GenerateSettings(**settings)) for record in chunk]  # type: ignore[arg-type]


def test_the_first_records_of_seed_1_are_frozen() -> None:
    # What somebody measured or counted once can be generated again, with every version of Python.
    digest = hashlib.sha256(b"\n".join(generated(count=5_000, disorder=0.1, corrupt=0.1))).hexdigest()
    assert digest == "769d2bb40c0bcec68e82f4a794ad1929cfcd2e1d58d32e6adc441fd7cddeed1c"


def test_so_are_those_with_visits() -> None:
    made = generated(count=5_000, disorder=0.1, corrupt=0.1, size_bytes=400, visits=True)
    digest = hashlib.sha256(b"\n".join(made)).hexdigest()
    assert digest == "8055bf872f4cd5c9772ff9654a5df475228637abe43b5cd8671003b12db94e54"


def visits(count: int) -> list[dict[str, Any]]:
    return [json.loads(record) for record in generated(count=count, size_bytes=200, visits=True)]


def test_a_visit_has_fields_to_group_by_and_numbers_beside_the_same_time_and_user() -> None:
    plain = [json.loads(record) for record in generated(count=1_000, size_bytes=200)]
    for one, other in zip(visits(1_000), plain, strict=True):
        assert (one["ts"], one["uid"]) == (other["ts"], other["uid"])
        assert one["country"] is None or one["country"] in COUNTRIES
        number = int(one["page"]["path"].rpartition("/")[2])
        assert one["page"] == {
            "section": SECTIONS[number % 20],
            "path": f"/{SECTIONS[number % 20]}/{number}",
        }
        assert type(one["bytes"]) is int
        assert type(one["latency_ms"]) is float
        assert one["price"] is None or one["price"] == round(one["price"], 2)


def test_few_countries_and_pages_are_seen_often_and_many_seldom() -> None:
    seen = visits(100_000)
    countries = Counter(one["country"] for one in seen)
    pages = Counter(one["page"]["path"] for one in seen)
    assert countries.keys() == {*COUNTRIES, None}
    assert len(COUNTRIES) == len(set(COUNTRIES)) == 200
    assert 1.8 < countries["US"] / countries["DE"] < 2.2
    assert 8 < pages["/shoes/0"] / pages["/hi-fi/8"] < 10
    assert 7_000 < len(pages) < PAGES
    assert 600 < countries[None] < 1_000
    assert 12_000 < sum(one["price"] is None for one in seen) < 13_000


def test_a_record_with_a_visit_has_about_the_size_asked_for() -> None:
    sizes = [len(record) for record in generated(count=2_000, size_bytes=400, visits=True)]
    assert abs(sum(sizes) / len(sizes) - 400) < 12


def test_a_record_that_has_no_room_for_a_visit_is_refused() -> None:
    assert len(generated(count=1, size_bytes=152, visits=True)) == 1
    with pytest.raises(SettingsError, match="--size must be between 152"):
        generated(count=1, size_bytes=151, visits=True)


def test_visits_are_broken_in_ways_of_their_own() -> None:
    made = {"count": 20_000, "size_bytes": 200, "visits": True}
    whole = generated(**made)
    broken = set(generated(**made, corrupt=0.2)) - set(whole)
    for mark in (b'"country":[]', b"x" * 256, b'"page":"/"', b'"bytes":"many"', b"1e999"):
        assert any(mark in record for record in broken)
    for corrupt in VISIT_CORRUPTIONS:
        assert corrupt(whole[0], b"", 0) != whole[0]


def test_the_seed_decides_and_the_number_of_records_does_not() -> None:
    few, many = generated(count=10), generated(count=CHUNK_RECORDS + 10)
    assert many[:10] == few
    assert len(many) == CHUNK_RECORDS + 10
    assert generated(count=10, seed=2) != few


@pytest.mark.parametrize("size", [100, 180, 2_200, 10_000])
def test_records_have_about_the_size_asked_for(size: int) -> None:
    sizes = [len(record) for record in generated(count=2_000, size_bytes=size)]
    assert max(sizes) <= size + 5
    assert min(sizes) >= size - 30
    assert abs(sum(sizes) / len(sizes) - size) < 12


def test_records_are_json_of_all_types_with_decoys() -> None:
    types: set[type] = set()
    decoys = 0
    for record in generated(count=500):
        document = json.loads(record, object_pairs_hook=unique)
        assert type(document["ts"]) is int
        assert type(document["uid"]) is str
        stack = [value for name, value in document.items() if name not in ("ts", "uid")]
        while stack:
            value = stack.pop()
            types.add(type(value))
            if isinstance(value, dict):
                decoys += "uid" in value and "ts" in value
            stack += value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    assert types == {str, int, float, bool, type(None), list, dict}
    assert decoys > 500


def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def test_real_fields_stand_anywhere_in_the_root() -> None:
    places = {
        (list(document).index("ts") == 0, list(document)[-1] == "ts", list(document)[-1] == "uid")
        for document in map(json.loads, generated(count=2_000))
    }
    assert {(True, False, False), (False, True, False), (False, False, True), (False, False, False)} <= places


def test_text_is_escaped_and_not_ascii() -> None:
    text = b"".join(generated(count=500))
    assert b"\\u" in text
    assert b'\\"' in text
    assert "東京".encode() in text
    assert b"\n" not in text


def test_event_time_begins_where_it_is_told_to() -> None:
    moved = generated(count=200, rate=10, size_bytes=60, disorder=0.5, first_time_s=FIRST_TIME_S + 1_000)
    times = [json.loads(record)["ts"] for record in moved]
    assert times == [
        1_000 + json.loads(record)["ts"]
        for record in generated(count=200, rate=10, size_bytes=60, disorder=0.5)
    ]


@pytest.mark.parametrize(
    ("text", "seconds"), [("1769860800", 1_769_860_800), ("2026-01-31T12:00:00Z", 1_769_860_800)]
)
def test_a_start_is_written_like_other_times(text: str, seconds: int) -> None:
    assert moment_s(text) == seconds


def test_a_start_can_be_the_present() -> None:
    before = int(time.time())
    assert before <= moment_s("now") <= time.time()


@pytest.mark.parametrize("text", ["soon", "-5", ""])
def test_no_other_start_is_taken(text: str) -> None:
    with pytest.raises(SettingsError, match="--start"):
        moment_s(text)


def test_event_time_runs_at_the_rate() -> None:
    times = [json.loads(record)["ts"] for record in generated(count=3_500, rate=1_000, size_bytes=60)]
    assert times == [FIRST_TIME_S + number // 1_000 for number in range(3_500)]


def test_some_come_late_by_choice() -> None:
    count, fraction, longest = 20_000, 0.25, 40
    documents = map(json.loads, generated(count=count, disorder=fraction, max_delay_s=longest, size_bytes=60))
    delays = [FIRST_TIME_S + number // 1_000 - document["ts"] for number, document in enumerate(documents)]
    assert set(delays) == set(range(longest + 1))
    assert abs(sum(delay > 0 for delay in delays) / count - fraction) < 0.02


def test_users_are_many_and_spread_evenly() -> None:
    seen = [json.loads(record)["uid"] for record in generated(count=50_000, users=100, size_bytes=60)]
    counts = {user: seen.count(user) for user in set(seen)}
    assert len(counts) == 100
    assert max(counts.values()) < 2 * min(counts.values())


def test_user_ids_differ_and_escapes_do_not_make_others() -> None:
    numbers = range(200_000)
    assert len({user_id(number) for number in numbers}) == len(numbers)
    for number in range(200):
        plain, escaped = (json.loads(b'"%b"' % user_id(number, escaped=how)) for how in (False, True))
        assert plain == escaped


def test_corrupt_records_are_of_every_kind_and_as_many_as_asked_for() -> None:
    count, fraction = 20_000, 0.1
    broken = generated(count=count, corrupt=fraction, size_bytes=200)
    whole = generated(count=count, size_bytes=200)
    changed = sum(one != other for one, other in zip(broken, whole, strict=True))
    assert abs(changed / count - fraction) < 0.01
    assert not any(b"\n" in record for record in broken)


@pytest.mark.parametrize("corrupt", CORRUPTIONS)
def test_every_corruption_breaks_something(corrupt: object) -> None:
    record = b'{"a":[1],"ts":1468244384,"uid":"u"}'
    assert corrupt(record, b'"ts":1468244384', 0x9E3779B9) != record  # type: ignore[operator]


def test_write_ends_every_record_with_a_newline() -> None:
    out = io.BytesIO()
    settings = GenerateSettings(count=CHUNK_RECORDS + 1, size_bytes=60)
    assert write(settings, out) == len(out.getvalue())
    assert out.getvalue().split(b"\n") == [record for chunk in records(settings) for record in chunk] + [b""]


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("count", -1),
        ("users", 0),
        ("rate", 0),
        ("size_bytes", 39),
        ("disorder", 1.5),
        ("max_delay_s", 0),
        ("corrupt", -0.1),
        ("corrupt", float("nan")),
        ("seed", -1),
    ],
)
def test_impossible_settings_are_refused(setting: str, value: float) -> None:
    with pytest.raises(SettingsError, match="must be"):
        GenerateSettings(**{setting: value})  # type: ignore[arg-type]
