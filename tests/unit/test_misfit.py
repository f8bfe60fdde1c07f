"""What is said of a record that does not fit: the settings that would, and nothing of its user."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamagg.decode.misfit import find_misfit
from streamagg.model.messages import Misfit
from streamagg.model.rejections import REASONS
from streamagg.model.settings import DecodeSettings

NOW_MS = 1_790_000_000_000
CANARY = "CANARY-7f3a"
LONG_AGO = 804_571_201


def look(record: Any, why: str, **settings: Any) -> Misfit:
    payload = record if isinstance(record, bytes | None) else json.dumps(record).encode()
    found = find_misfit(payload, why, DecodeSettings(**settings), NOW_MS)
    assert found.why == why
    assert CANARY not in found.hint + found.shape
    return found


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (1_468_244_384_000, "ms", "milliseconds"),
        ("1468244384000", "ms", "milliseconds"),
        (1_468_244_384_123.5, "ms", "milliseconds"),
        (1_468_244_384_000_000, "us", "microseconds"),
        (1_468_244_384_000_000_000, "ns", "nanoseconds"),
        ("2016-07-11T13:39:44.123+02:00", "iso8601", "ISO 8601"),
        ("20160711T133944Z", "iso8601", "ISO 8601"),
    ],
)
def test_a_time_in_another_unit(value: int | str | float, unit: str, words: str) -> None:
    found = look({"ts": value, "uid": CANARY}, "bad_time")
    assert found.hint == f"`ts` holds {value}: that is a time in {words}, give --time-unit {unit}"
    assert found.shape.startswith("`ts` (")
    assert found.mendable


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_seconds_read_in_a_smaller_unit_lie_in_1970(unit: str) -> None:
    found = look({"ts": 1_468_244_384, "uid": CANARY}, "early", time_unit=unit)
    assert found.hint == "`ts` holds 1468244384: that is a time in seconds, give --time-unit s"
    assert found.mendable


def test_numbers_where_iso8601_is_expected() -> None:
    found = look({"ts": 1_468_244_384, "uid": CANARY}, "bad_time", time_unit="iso8601")
    assert found.hint.endswith("give --time-unit s")


def test_a_real_time_of_long_ago_fits_no_other_unit() -> None:
    found = look({"ts": LONG_AGO, "uid": CANARY}, "early")
    assert found == Misfit("early", found.shape, "`ts` lies before 2001", mendable=False)


def test_a_time_far_ahead() -> None:
    found = look({"ts": 4_102_444_800, "seen_at": 1_468_244_384, "uid": CANARY}, "ahead")
    assert found.hint == (
        "`ts` is more than a day ahead of Kafka's time, or of the wall clock;"
        " times are in `seen_at` (in seconds), give --time-field seen_at"
    )


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (None, "null"),
        (True, "a boolean"),
        ([CANARY], "an array"),
        (CANARY, "text"),
        ("", "text"),
        ("11/Jul/2016:13:39:44", "text like 99/aaa/9999:99:99:99"),
        (-5, "an integer"),
        ({}, "an object"),
    ],
)
def test_what_is_no_time_at_all(value: object, what: str) -> None:
    assert look({"ts": value, "uid": CANARY}, "bad_time").hint == (
        f"`ts` holds {what}, which is no time in seconds"
    )


def test_a_time_within_an_object() -> None:
    found = look({"ts": {"$date": 1_468_244_384_000}, "uid": CANARY}, "bad_time")
    assert found.hint.endswith(
        "times are in `ts.$date` (in milliseconds), give --time-field 'ts.$date' --time-unit ms"
    )


def test_other_names() -> None:
    found = look({"timestamp": 1_468_244_384_000, "user_id": CANARY}, "missing_field")
    assert found.hint == (
        "the records have no `ts` and no `uid`; they have `timestamp`, `user_id`;"
        " times are in `timestamp` (in milliseconds); the user may be in `user_id`,"
        " give --time-field timestamp --time-unit ms --user-field user_id"
    )
    assert found.shape == "`timestamp` (integer), `user_id` (text)"


@pytest.mark.parametrize(
    ("record", "flags"),
    [
        ({"ts": 1_468_244_384, "userId": CANARY}, "--user-field userId"),
        ({"ts": 1_468_244_384, "UID": CANARY, "user": CANARY}, "--user-field UID"),
        ({"ts": 1_468_244_384, "user": {"id": CANARY, "name": CANARY}}, "--user-field user.id"),
        ({"ts": 1_468_244_384, "user.id": CANARY}, r"--user-field 'user\.id'"),
        ({"ts": 1_468_244_384, "size": 7, "page": "/", "anonymousId": CANARY}, "--user-field anonymousId"),
        ({"ts": 1_468_244_384, "meta": {"visitor": 4711}, "page": "/"}, "--user-field meta.visitor"),
        ({"data": {"ts": 1_468_244_384}, "received": 1_468_244_999, "uid": CANARY}, "--time-field data.ts"),
        ({"TS": 1_468_244_384, "created": 1_468_244_385, "uid": CANARY}, "--time-field TS"),
        (
            {"n": 1_468_244_384, "eventTime": "2016-07-11T13:39:44Z", "uid": CANARY},
            "--time-field eventTime --time-unit iso8601",
        ),
        ({"@timestamp": 1_468_244_384_000, "uid": CANARY}, "--time-field @timestamp --time-unit ms"),
        ({"user_ts": 1_468_244_384, "ts": 1_468_244_384, "mail": CANARY}, "--user-field mail"),
    ],
)
def test_the_likeliest_field_is_proposed(record: dict[str, Any], flags: str) -> None:
    assert look(record, "missing_field").hint.endswith(f", give {flags}")


@pytest.mark.parametrize(
    "record", [{"a": 1, "b": CANARY}, {"ts": 1_468_244_384, "page": "/", "size": 12.5}, {}]
)
def test_nothing_is_proposed_that_is_unlikely(record: dict[str, Any]) -> None:
    assert "give" not in look(record, "missing_field").hint


def test_a_wrong_unit_shows_although_another_field_is_missing() -> None:
    found = look({"ts": 1_468_244_384_000, "user": CANARY}, "missing_field")
    assert found.hint.endswith("give --time-unit ms --user-field user")


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (
            {"id": CANARY, "tenant": 3},
            "an object, which is no user; the user may be in `uid.id` or `uid.tenant`,"
            " give --user-field uid.id",
        ),
        ({}, "an object, which is no user"),
        (12.5, "a number with a fraction, which is no user"),
        (None, "null, which is no user"),
        (False, "a boolean, which is no user"),
        ([CANARY], "an array, which is no user"),
        ("", "empty text, which is no user"),
        (CANARY * 60, "text of more than 512 bytes, which is no user"),
    ],
)
def test_what_is_no_user(value: object, what: str) -> None:
    assert look({"ts": 1_468_244_384, "uid": value}, "bad_user").hint == f"`uid` holds {what}"


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ({"x": CANARY}, "an object, which names no group"),
        ([CANARY], "an array, which names no group"),
        (CANARY * 60, "more than 256 bytes, which name no group"),
        (10**257, "more than 256 bytes, which name no group"),
    ],
)
def test_what_names_no_group(value: object, what: str) -> None:
    record = {"ts": 1_468_244_384, "uid": CANARY, "geo": [{"country": value}]}
    assert look(record, "bad_group", group_by=("geo.0.country", "x")).hint == f"`geo.0.country` holds {what}"


def test_no_user_is_missed_where_none_is_counted() -> None:
    assert "no user" not in look({"ts": "x"}, "bad_time", user_field=None).hint
    assert look({"t": 1}, "missing_field", user_field=None).hint.startswith("the records have no `ts`;")


DOCUMENT = json.dumps({"ts": 1_468_244_384, "uid": CANARY})


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (b"", "the records are empty"),
        (b" \n", "the records are empty"),
        (DOCUMENT.encode("utf-16"), "the records are UTF-16 text, and must be JSON in UTF-8"),
        (DOCUMENT.encode("utf-16-le"), "the records are UTF-16 text, and must be JSON in UTF-8"),
        (DOCUMENT.encode("utf-16-be"), "the records are UTF-16 text, and must be JSON in UTF-8"),
        (DOCUMENT.encode("utf-32"), "the records are UTF-32 text, and must be JSON in UTF-8"),
        (b"\x1f\x8b\x08" + bytes(20), "the records are compressed with gzip, and must be JSON in UTF-8"),
        (b"PAR1" + bytes(20), "the records are a Parquet file, and must be JSON in UTF-8"),
        (b"\0\0\0\0\x07\x02" + CANARY.encode(), "* the five bytes of a schema registry *"),
        (b"\0" + bytes(9), "* a schema registry *"),
        (b"\x82\xa2ts\xce", "the records are no text, and must be JSON in UTF-8"),
        (f"1468244384,{CANARY},7".encode(), "the records are text with commas, as CSV has it, *"),
        (f"1468244384\t{CANARY}\t7".encode(), "the records are text with tabs, as CSV has it, *"),
        (f"<event><uid>{CANARY}</uid></event>".encode(), "the records look like XML, and must be JSON"),
        (f"INFO {CANARY} logged in".encode(), "the records are text, and must be JSON objects"),
        (b"12", "the records are text, and must be JSON objects"),
        (f"[{DOCUMENT}]".encode(), "the records are arrays (one of 1), and must be one JSON object each"),
        (json.dumps(DOCUMENT).encode(), "the records are JSON within a JSON string: *"),
        (DOCUMENT[:-1].encode(), "* they are cut off"),
        (DOCUMENT[:-3].encode(), "* they are cut off"),
        (
            (DOCUMENT + DOCUMENT).encode(),
            "* there is something behind the first object, a second one perhaps",
        ),
        (DOCUMENT.replace('"', "'").encode(), "* they have single quotes, as Python prints them"),
        (DOCUMENT.replace("1468244384", "NaN").encode(), "* NaN is no JSON"),
        (DOCUMENT.replace("1468244384", "01").encode(), "* expecting ',' delimiter, at character 9"),
        (b'{"a":' * 600 + b"1" + b"}" * 600, "* nested too deeply*"),
        (b'{"a":' * 90_000, "* nested too deeply*"),
        (rb'{"ts": "\ud83d", "uid": 1}', "* half a surrogate pair"),
        (b'{"ts": 1468244384, "uid": "\xff"}', "* no UTF-8 *"),
    ],
)
def test_what_is_no_document(payload: bytes, words: str) -> None:
    found = look(payload, "bad_json").hint
    assert words.strip("*") in found
    assert words.startswith("*") or found.startswith(words.strip("*"))


def test_records_without_a_value_and_too_large_ones() -> None:
    assert look(None, "tombstone").hint == "the records have no value: they are tombstones"
    assert look(b"x" * 101, "too_large", max_record_bytes=100) == Misfit(
        "too_large", "101 bytes", "the records have more than 100 bytes, see --max-record-bytes"
    )


def test_poison_is_not_touched() -> None:
    assert look(b"{", "poison").hint == "the processes that read such a record die of it"


@pytest.mark.parametrize("framing", ["none", "registry"])
def test_the_bytes_of_a_schema_registry_where_there_should_be_none_and_the_other_way_round(
    framing: str,
) -> None:
    framed = b"\0\0\0\0\x07" + DOCUMENT.encode()
    payload = framed if framing == "none" else DOCUMENT.encode()
    found = look(payload, "bad_json", framing=framing)
    assert "schema registry" in found.hint
    assert "--framing" in found.hint
    for right in ("auto", "registry"):
        assert look(framed, "early", framing=right).hint == "`ts` lies before 2001"


def test_a_byte_order_mark_is_skipped() -> None:
    assert look(b"\xef\xbb\xbf" + b'{"ts": 1468244384000, "uid": 1}', "bad_time").hint.endswith(
        "--time-unit ms"
    )


@pytest.mark.parametrize("field", ["uid", "phone", "session.id", "userTime", "visitor", "n"])
def test_a_user_is_not_told_where_its_field_is_taken_for_the_time(field: str) -> None:
    """A telephone number may be a time in some unit."""
    number = 1_512_345_678_901
    document: dict[str, Any] = {"x": 1}
    place = document
    *outer, last = field.split(".")
    for key in outer:
        place = place.setdefault(key, {})
    place[last] = number
    for why in ("bad_time", "missing_field", "early", "ahead"):
        found = look(document, why, time_field=field, user_field="x")
        assert str(number) not in found.hint + found.shape


names = st.sampled_from(["ts", "uid", "user", "id", "time", "a", "b.c", "email", "@timestamp"])
values = st.recursive(
    st.sampled_from([CANARY, f"{CANARY}@example.com", 1_468_244_384_000, 1.5, None, True, "", "2016-07-11"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(names, values, max_size=5), st.sampled_from([*REASONS, "early", "ahead"]))
def test_whatever_a_record_holds_nothing_of_its_users_is_told(record: dict[str, Any], why: str) -> None:
    look(record, why)
    look(record, why, time_field="user.id", user_field="time", time_unit="iso8601")


@given(st.binary(max_size=200), st.sampled_from(REASONS))
def test_whatever_the_bytes_something_is_told(payload: bytes, why: str) -> None:
    assert look(payload, why).hint


@given(st.text("{}[]\",:'\\ue0123456789-+.aN\n", max_size=60))
def test_whatever_looks_like_json_something_is_told(text: str) -> None:
    for why in REASONS:
        assert look(text.encode(), why).hint
