"""Paths to fields: keys joined by dots, with dots in keys escaped."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamagg.model.field_path import keys_of
from streamagg.tools.recount import _keys

KEYS = st.lists(st.text(alphabet="ab.\\é\n", min_size=1), min_size=1)


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ("ts", ("ts",)),
        ("event.user.id", ("event", "user", "id")),
        (r"user\.id", ("user.id",)),
        (r"event.user\.id", ("event", "user.id")),
        (r"\.", (".",)),
        (r"a\\.b", ("a\\", "b")),
        (r"a\\\.b", ("a\\.b",)),
    ],
)
def test_a_backslash_makes_a_dot_part_of_a_key(path: str, keys: tuple[str, ...]) -> None:
    assert keys_of(path) == keys


@given(KEYS)
def test_every_key_has_a_path_and_the_recount_reads_the_same(keys: list[str]) -> None:
    path = ".".join(key.replace("\\", "\\\\").replace(".", "\\.") for key in keys)
    assert list(keys_of(path)) == keys == _keys(path)


@pytest.mark.parametrize("path", ["", ".", "a.", ".a", "a..b", "a\\", r"a\b", "\\"])
def test_what_is_no_path(path: str) -> None:
    with pytest.raises(ValueError, match="not a path"):
        keys_of(path)
