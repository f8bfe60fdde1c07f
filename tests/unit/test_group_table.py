"""The places of groups, and the texts that name them."""

import numpy as np
import pytest

from streamagg.core.group_table import GroupTable
from streamagg.errors import StreamaggError
from streamagg.model.columns import UInt64Column
from streamagg.model.groups import NO_TEXTS, GroupTexts, group_text, joined, texts_of

A, B, C = (texts_of([group_text([name])]) for name in "abc")


def ids(*tables: GroupTexts) -> UInt64Column:
    return joined(tables).id_column


def with_the_id_of(other: GroupTexts, table: GroupTexts) -> GroupTexts:
    """As if the hashes of two texts were the same."""
    return GroupTexts(other.ids, table.checks, table.lengths, table.text)


def test_a_group_keeps_its_place_and_its_text() -> None:
    table = GroupTable()
    first = table.places(ids(C, A, C), (joined((A, B, C)),))
    second = table.places(ids(B, C, A), (B, joined((C, A))))
    assert first[0] == first[2] == second[1]
    assert first[1] == second[2]
    assert sorted(second.tolist()) == [0, 1, 2]
    texts = table.texts().texts()
    assert [texts[place] for place in second] == [b'["b"]', b'["c"]', b'["a"]']
    assert len(table) == 3


def test_a_table_without_rows_has_no_texts() -> None:
    table = GroupTable()
    assert table.places(ids(), ()).tolist() == []
    assert table.texts() == NO_TEXTS
    assert (len(table), table.nbytes) == (0, 0)


def test_texts_that_no_row_needs_are_not_kept() -> None:
    table = GroupTable()
    table.places(ids(A), (joined((A, B, C)),))
    assert table.texts().texts() == [b'["a"]']


def test_many_groups_in_pieces() -> None:
    """Each piece has some that are known, some that are new, and some twice."""
    chance, table = np.random.default_rng(1), GroupTable()
    names = [group_text([f"{number}", "x" * (number % 7)]) for number in range(20_000)]
    texts = texts_of(names)
    for _ in range(20):
        drawn = chance.integers(0, len(names), 5_000)
        places = table.places(texts.id_column[drawn], (texts.selected(np.unique(drawn)),))
        found = table.texts().texts()
        assert [found[place] for place in places] == [names[number] for number in drawn]
    assert len(table) == len(set(found)) > 19_000
    assert table.nbytes > sum(map(len, found))


@pytest.mark.parametrize("known_before", [True, False])
def test_two_groups_with_one_hash_are_found(known_before: bool) -> None:
    table, same = GroupTable(), with_the_id_of(A, B)
    if known_before:
        table.places(ids(A), (A,))
    with pytest.raises(StreamaggError, match="has the same hash as another one"):
        table.places(ids(A), (same,) if known_before else (A, same))


@pytest.mark.parametrize("known", [(), (A,), (A, C)])
def test_a_group_without_a_name_takes_nobody_elses(known: tuple[GroupTexts, ...]) -> None:
    table = GroupTable()
    if known:
        table.places(ids(*known), known)
    with pytest.raises(ValueError, match="a group has no name"):
        table.places(ids(B), (A,))
