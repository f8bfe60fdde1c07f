"""Decoding, by the frozen corpus (tests/support/corpus.py) and in what a corpus cannot say."""

from collections import defaultdict
from typing import Any

import numpy as np
import pytest
import xxhash

from streamagg.decode import Decoder
from streamagg.decode.native import AVAILABLE
from streamagg.decode.patient import PatientReader
from streamagg.errors import SettingsError
from streamagg.model.columns import USER
from streamagg.model.groups import NO_TEXTS, texts_of
from streamagg.model.rejections import REASONS
from streamagg.model.settings import DecodeSettings, MeasureSettings
from tests.support.blocks import outcomes
from tests.support.corpus import CASES, expected, payload_of, settings_of
from tests.support.decoded import decode_rows, row_of

GOOD = b'{"ts":1468244384,"uid":"u1"}'


BOTH = pytest.mark.parametrize("native", [True, False], ids=["native", "strict"])


def test_the_native_reader_was_built() -> None:
    """Without it the tests of it would test nothing."""
    assert AVAILABLE, "no C compiler or no headers of Python where streamagg was installed"


@BOTH
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_corpus(case: dict[str, Any], native: bool) -> None:
    settings = settings_of(case)
    decoder = Decoder(settings, native=native)
    assert decode_rows(decoder, [payload_of(case)], settings) == [expected(case)]


@BOTH
def test_corpus_in_one_batch_for_each_settings(native: bool) -> None:
    batches = defaultdict(list)
    for case in CASES:
        batches[settings_of(case)].append(case)
    for settings, cases in batches.items():
        payloads = [payload_of(case) for case in cases]
        decoder = Decoder(settings, native=native)
        assert decode_rows(decoder, payloads, settings) == [expected(case) for case in cases]


def test_corpus_by_the_patient_reader_alone() -> None:
    wrong = []
    for case in CASES:
        payload, settings = payload_of(case), settings_of(case)
        if payload is None or expected(case) == "too_large":
            continue
        if row_of(PatientReader(settings).read(payload), settings) != expected(case):
            wrong.append(case["name"])
    assert wrong == []


def test_corpus_names_are_unique_and_every_reason_of_decoding_occurs() -> None:
    assert len({case["name"] for case in CASES}) == len(CASES)
    reasons = {case["expect"].get("reason") for case in CASES} - {None}
    assert reasons == set(REASONS) - {"future", "poison"}


def test_columns_have_their_types_and_order() -> None:
    decoded = Decoder(DecodeSettings()).decode([GOOD, None, b"[]", GOOD, b"{}", GOOD])
    assert decoded.index.dtype == np.uint32
    assert decoded.event_time_ms.dtype == np.int64
    assert decoded.columns[USER].dtype == np.uint64
    assert decoded.index.tolist() == [0, 3, 5]
    assert decoded.rejected == [(1, "tombstone"), (2, "bad_json"), (4, "missing_field")]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns", "iso8601"])
def test_an_empty_batch_and_one_of_refusals_only(unit: Any) -> None:
    decoder = Decoder(DecodeSettings(time_unit=unit))
    assert outcomes(decoder.decode([])) == []
    assert outcomes(decoder.decode([None, b"", b"{}"])) == ["tombstone", "bad_json", "missing_field"]


def test_without_rejects_the_index_counts_up() -> None:
    decoded = Decoder(DecodeSettings()).decode([GOOD] * 1000)
    assert np.array_equal(decoded.index, np.arange(1000))
    assert decoded.rejected == []


def test_groups_of_both_readers_are_in_one_table() -> None:
    settings = DecodeSettings(group_by=("x",), hash_seed=5)
    payloads = [
        b'{"ts":%s,"uid":"u","x":%s}' % pair for pair in ((b"1", b'"a"'), (b"1e0", b'"a"'), (b"1e0", b"7"))
    ]
    decoded = Decoder(settings).decode([*payloads, None, b'{"ts":1,"uid":"u","x":[]}', *payloads])
    assert decoded.groups == texts_of([b'["a"]', b'["7"]'], 5)
    one, other = decoded.groups.id_column.tolist()
    assert decoded.columns[1].tolist() == [one, one, other] * 2
    assert decoded.rejected == [(3, "tombstone"), (4, "bad_group")]


@BOTH
def test_a_plain_record_has_no_groups_and_ignores_nothing(native: bool) -> None:
    decoded = Decoder(DecodeSettings(), native=native).decode([GOOD])
    assert (decoded.groups, decoded.ignored) == (NO_TEXTS, {})


def test_text_and_integer_users_in_one_batch() -> None:
    payloads = [b'{"ts":1,"uid":%s}' % uid for uid in (b'"7"', b"7", b'"x"', b"-0", b'"0"')]
    user = Decoder(DecodeSettings()).decode(payloads).columns[USER].tolist()
    assert user == [xxhash.xxh3_64_intdigest(text) for text in (b"7", b"7", b"x", b"0", b"0")]


def test_nesting_bomb_met_deep_in_the_stack() -> None:
    decoder = Decoder(DecodeSettings())
    bomb = b'{"ts":1,"uid":"u","x":' + b"[" * 300_000

    def descend(frames: int) -> list[tuple[int, int] | str]:
        return descend(frames - 1) if frames else outcomes(decoder.decode([bomb, GOOD]))

    refused, accepted = descend(800)
    assert refused == "bad_json"
    assert accepted == (1468244384000, xxhash.xxh3_64_intdigest(b"u1"))


@pytest.mark.parametrize(
    ("time_field", "user_field", "message"),
    [
        ("", "uid", r"time_field '' is empty or has an empty part, .* Give the name"),
        ("ts", "", "user_field '' is empty"),
        ("event..time", "uid", r"time_field 'event\.\.time' is empty or has an empty part"),
        (".ts", "uid", "empty part"),
        ("ts", "uid.", "empty part"),
        ("ts", "ts", "are the same field"),
        ("event", "event.user", "one contains the other"),
        ("event.user.time", "event.user", "one contains the other"),
        ('t"s', "uid", "quote"),
        ("t\\s", "uid", "backslash before no dot"),
        ("ts\\", "uid", "backslash before no dot"),
        ("t\\\\s", "uid", "contains a quote, a backslash"),
        ("a\\.b", "a\\.b.c", "one contains the other"),
        ("ts", "u\nid", "control character"),
        ("ts", "u\udc80", "surrogate"),
    ],
)
def test_impossible_fields_are_refused(time_field: str, user_field: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Decoder(DecodeSettings(time_field=time_field, user_field=user_field))


def measures(*paths: str) -> tuple[MeasureSettings, ...]:
    return tuple(MeasureSettings(f"m{number}", "sum", path) for number, path in enumerate(paths))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"group_by": ("a", "")}, "group_by '' is empty"),
        ({"measures": measures("a..b")}, r"measure m0 'a\.\.b' is empty or has an empty part"),
        ({"group_by": ("ts",)}, "time_field 'ts' and group_by 'ts' are the same field"),
        ({"group_by": ("a.b", "a")}, r"group_by 'a\.b' and group_by 'a' are the same field, or one contains"),
        ({"measures": measures("uid.x")}, r"user_field 'uid' and measure 'uid\.x' are"),
        ({"measures": measures("ts.0")}, r"time_field 'ts' and measure 'ts\.0' are"),
        ({"group_by": ("a",), "measures": measures("a.0")}, r"group_by 'a' and measure 'a\.0' are"),
        ({"group_by": tuple("abcde")}, "group_by names 5 fields. Name 4 at most"),
        (
            {"measures": measures(*map(str, range(25)))},
            "take 25 different values of a record. Take 24 at most",
        ),
    ],
)
def test_impossible_groups_and_values_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Decoder(DecodeSettings(**settings))


@BOTH
def test_as_many_fields_as_there_may_be(native: bool) -> None:
    names = [f"f{number}" for number in range(24)]
    settings = DecodeSettings(group_by=("f0", "f1", "f2", "f3"), measures=measures(*names, *names))
    document = b'{"ts":1,"uid":"u",%s}' % b",".join(b'"f%d":%d' % (n, n) for n in range(24))
    decoded = Decoder(settings, native=native).decode([document])
    assert [column.item() for column in decoded.columns[2:]] == [*range(24)]
    assert decoded.groups.texts() == [b'["0","1","2","3"]']
