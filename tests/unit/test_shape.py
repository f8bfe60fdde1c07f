"""Which names of a document may be shown, and which may be values."""

import json
from typing import Any

import pytest

from streamagg.decode.shape import Shape, at, kind, parse


def shape(document: dict[str, Any]) -> Shape:
    parsed = parse(json.dumps(document))
    assert isinstance(parsed, dict)
    return Shape(parsed)


def test_fields_are_named_by_their_paths_those_near_the_root_first() -> None:
    found = shape({"a": {"b": {"c": 1}, "d": "x"}, "e": [1, {"f": 2}], "g": None, "h": {}})
    assert found.text() == ("`e` (array), `g` (null), `h` (object), `a.d` (text), `a.b.c` (integer)")


def test_a_dot_in_a_key_is_escaped_as_a_setting_writes_it() -> None:
    assert shape({"user.id": 1}).names() == [r"user\.id"]


@pytest.mark.parametrize(
    "key",
    [
        "alice@example.com",
        "4915112345678",
        "u-20931",
        "a8f3b2c1d4",
        "10.0.0.1",
        "x" * 65,
        "a\nb",
        "",
        "\ud83d",
        "Bob B. Baker",
    ],
)
def test_a_key_that_may_be_a_value_is_not_named(key: str) -> None:
    found = shape({"by_user": {key: 1}, "ts": 2, "who": "Bob B. Baker"})
    assert found.names() == ["ts", "who"]
    assert found.text().endswith("1 more field")


@pytest.mark.parametrize(
    "key", ["@timestamp", "user-id", "ctx_2", "Zeit", "время", "ip v4", "$date", "_id", "t"]
)
def test_other_keys_are_named(key: str) -> None:
    assert shape({key: 1}).names() == [key]


def test_an_object_of_many_keys_is_a_table_of_values() -> None:
    table = {chr(ord("a") + number): 1 for number in range(17)}
    assert shape({"counts": table}).text() == "`counts` (object)"


def test_so_many_fields_are_listed_as_a_person_reads() -> None:
    text = shape(
        {f"field {chr(97 + number % 26)}{chr(97 + number // 26)}": 1 for number in range(100)}
    ).text()
    assert text.count("`") == 48
    assert text.endswith(", 76 more fields")


def test_nothing_to_name() -> None:
    assert shape({}).text() == "no fields"


@pytest.mark.parametrize(
    ("value", "expected"),
    [("1" * 5_000, "integer"), ("-0", "integer"), ("1.0", "number with a fraction"), ("true", "boolean")],
)
def test_kinds(value: str, expected: str) -> None:
    assert kind(parse(value)) == expected


def test_a_path_through_what_is_no_object_leads_nowhere() -> None:
    document = {"a": {"b": 1}, "c": 2}
    assert at(document, ("a", "b"), None) == 1
    assert at([[1], {"0": 2}], ("1", "0"), None) == 2
    assert at([[1], {"0": 2}], ("2",), None) is at([1], ("x",), None) is at([1], ("01",), None) is None
    assert at(document, ("a", "x", "y"), None) is at(document, ("c", "d"), None) is None
