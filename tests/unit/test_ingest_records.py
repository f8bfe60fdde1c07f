"""Which lines of a body are records, and what is said of the others."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamagg.ingest.records import MOST_RECORDS, MOST_TOLD, BadLine, TooMany, check, told

MOST = 100
NOT_JSON = (
    b'{"a":01}',
    b'{"a":1.}',
    b'{"a":"\x01"}',
    b'{"a":"\\ud800"}',
    b'{"a":1}x',
    b'{"a":1}{"b":2}',
    b'{"a":nul}',
    b'{"a":[1,]}',
    b'{"a":"\\x"}',
    b'{"a" 1}',
    b'{"a":NaN}',
    b"{",
    b"x",
)


def lines(body: bytes) -> tuple[list[bytes], list[BadLine]]:
    return tuple(check(body, "lines", MOST))  # type: ignore[return-value]


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":1}\n{"b":2}',
        b'{"a":1}\n{"b":2}\n',
        b'{"a":1}\r\n{"b":2}\r\n',
        b'\n\n{"a":1}\n\n{"b":2}\n\n',
    ],
)
def test_lines_may_end_in_any_way(body: bytes) -> None:
    assert lines(body) == ([b'{"a":1}', b'{"b":2}'], [])


def test_blank_lines_are_none_but_count_as_lines() -> None:
    assert lines(b'  \n{"a":1}\n \t\nx\n') == (
        [b'{"a":1}'],
        [BadLine(4, "not JSON: invalid character (byte 0)")],
    )


def test_nothing_is_no_error() -> None:
    assert lines(b"") == lines(b"\n\n") == ([], [])
    assert check(b"[]", "json", MOST).records == []


@pytest.mark.parametrize("line", NOT_JSON)
def test_what_is_not_json_is_told_with_its_place(line: bytes) -> None:
    records, bad = lines(b'{"a":1}\n' + line + b'\n{"b":2}\n')
    assert records == [b'{"a":1}', b'{"b":2}']
    assert [one.line for one in bad] == [2]
    assert bad[0].reason.startswith("not JSON: ")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"[1]", "not a JSON object"),
        (b"null", "not a JSON object"),
        (b'{"a":"\xff"}', "not UTF-8"),
        (b'{"\xff":1}', "not UTF-8"),
        (b'{"a":"' + b"x" * MOST + b'"}', f"larger than {MOST} bytes"),
    ],
)
def test_other_reasons(line: bytes, reason: str) -> None:
    assert lines(b'{"a":1}\n' + line) == ([b'{"a":1}'], [BadLine(2, reason)])


def test_nesting_has_an_end() -> None:
    body = b'{"a":' * 5_000 + b"1" + b"}" * 5_000
    assert check(body, "lines", 1 << 20).bad == [BadLine(1, "nested too deeply")]
    assert check(b"[" * 100_000, "json", 1 << 20).bad == [BadLine(1, "nested too deeply")]


def test_one_object_may_take_several_lines() -> None:
    body = b'\n{\n "a": "x y",\r\n "b": 2\n}\n'
    assert check(body, "json", MOST).records == [b'{ "a": "x y", "b": 2}']


def test_an_array_is_told_by_its_elements() -> None:
    found = check(b' [ {"a":\n1} , 2, {"b":"\xff"}, {"c":3} ]', "json", MOST)
    assert found.records == [b'{"a":1}', b'{"c":3}']
    assert found.bad == [BadLine(2, "not a JSON object"), BadLine(3, "not UTF-8")]
    assert check(b'[{"a":1},', "json", MOST).bad == [BadLine(1, "not JSON: truncated")]


def test_a_body_has_so_many_records_at_most() -> None:
    body = b"{}\n" * MOST_RECORDS
    assert len(check(body, "lines", MOST).records) == MOST_RECORDS
    assert len(check(body[:-1], "lines", MOST).records) == MOST_RECORDS
    for form, large in (("lines", body + b"{}"), ("json", b"[" + b"{}," * MOST_RECORDS + b"{}]")):
        with pytest.raises(TooMany):
            check(large, form, MOST)  # type: ignore[arg-type]


def test_so_many_bad_lines_are_told() -> None:
    checked = check(b"x\n" * 1_000, "lines", MOST)
    assert len(checked.bad) == 1_000
    assert [one["line"] for one in told(checked.bad)] == list(range(1, MOST_TOLD + 1))


def test_a_reason_holds_nothing_of_the_record() -> None:
    for line in NOT_JSON:
        (bad,) = lines(line.replace(b"a", b"secret"))[1]
        assert "secret" not in bad.reason


OBJECTS = st.dictionaries(
    st.text(max_size=3),
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=5,
    ),
    max_size=3,
)


@settings(max_examples=50)
@given(st.lists(OBJECTS, max_size=5), st.sampled_from([None, 1]))
def test_every_object_is_a_record_in_each_form(objects: list[object], indent: int | None) -> None:
    written = [json.dumps(one).encode() for one in objects]
    assert check(b"\n".join(written), "lines", 1 << 20).records == written
    whole = check(json.dumps(objects, indent=indent).encode(), "json", 1 << 20)
    assert [json.loads(one) for one in whole.records] == objects
    assert all(b"\n" not in one for one in whole.records)


@given(st.binary(max_size=40) | st.text('{}[]",:0e.-\\ua1 \n', max_size=20).map(str.encode))
def test_what_is_taken_is_a_json_object(body: bytes) -> None:
    for record in check(body, "lines", MOST).records:
        found = json.loads(record)
        assert isinstance(found, dict)
