"""Texts of groups, and how they travel."""

from xxhash import xxh3_64_intdigest

from streamagg.model.groups import NO_TEXTS, group_check, group_id, group_text, texts_of


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
