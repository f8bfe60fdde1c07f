"""Texts of groups, and how they travel."""

import numpy as np
from xxhash import xxh3_64_intdigest

from streamagg.model.groups import (
    NO_TEXTS,
    GroupTexts,
    each_once,
    group_check,
    group_id,
    group_text,
    texts_of,
)


def test_a_text_is_a_compact_array_of_json() -> None:
    assert group_text(["DE", None, 'a"b\n\u007fé']) == '["DE",null,"a\\"b\\n\u007fé"]'.encode()


def test_ids_and_checks_are_two_hashes_that_a_seed_changes() -> None:
    text = b'["DE"]'
    assert group_id(text) == xxh3_64_intdigest(text)
    assert len({group_id(text), group_check(text), group_id(text, 7), group_check(text, 7)}) == 4


def test_texts_come_back_as_they_went() -> None:
    texts = [b'["DE"]', b'[""]', '["é"]'.encode()]
    table = texts_of(texts)
    assert len(table) == 3
    assert table.texts() == texts
    assert table.id_column.tolist() == list(map(group_id, texts))
    assert table.check_column.tolist() == list(map(group_check, texts))
    assert len(NO_TEXTS) == 0
    assert NO_TEXTS.texts() == []


def test_many_tables_come_to_one_with_each_group_once() -> None:
    texts = [group_text([str(number)]) for number in range(100)]
    one = each_once([texts_of(texts[:60]), NO_TEXTS, texts_of(texts[40:])])
    assert one.texts() == sorted(texts, key=group_id)
    assert one.id_column.tolist() == sorted(map(group_id, texts))
    assert len(each_once([])) == 0


def test_two_groups_of_one_id_both_stay() -> None:
    known = texts_of([b'["DE"]'])
    check = np.array([group_check(b'["FR"]')], np.uint64).tobytes()
    other = GroupTexts(known.ids, check, known.lengths, b'["FR"]')
    assert each_once([known, other, other]).texts() == [b'["DE"]', b'["FR"]']
