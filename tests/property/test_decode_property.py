"""Decoding: the readers agree, and all agree with an oracle made of the json module."""

import json
import math
from decimal import Decimal
from fractions import Fraction
from functools import cache
from itertools import chain
from typing import Any

import numpy as np
import pytest
import xxhash
from hypothesis import example, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from streamagg.decode import Decoder
from streamagg.decode.event_time import YEAR_10000_MS, seconds_to_ms
from streamagg.decode.native import NativeReader
from streamagg.decode.patient import PatientReader
from streamagg.decode.strict import StrictReader
from streamagg.model.field_path import keys_of
from streamagg.model.rejections import REASONS
from streamagg.model.settings import DecodeSettings, MeasureSettings
from tests.support.decoded import Outcome, Row, decode_rows, row_of

SETTINGS = [
    DecodeSettings(),
    DecodeSettings(time_unit="ms"),
    DecodeSettings(time_unit="us"),
    DecodeSettings(time_unit="ns"),
    DecodeSettings(time_unit="iso8601"),
    DecodeSettings(time_field="event.ts", user_field="event.user.uid"),
    DecodeSettings(time_field="event.ts", user_field="uid"),
    DecodeSettings(time_field=r"event\.ts", user_field=r"event.user\.uid"),
    DecodeSettings(framing="none"),
    DecodeSettings(framing="registry"),
    DecodeSettings(user_field=None, group_by=("x",), hash_seed=3),
    DecodeSettings(
        group_by=("x", "user.0", "uid"),
        measures=(
            MeasureSettings("a", "sum", "x"),
            MeasureSettings("b", "uniques", "x"),
            MeasureSettings("c", "max", "user.1"),
            MeasureSettings("d", "uniques", "event.x"),
            MeasureSettings("e", "min", "ts"),
            MeasureSettings("f", "last", "x"),
        ),
    ),
]
# Of more than 20 pairs of settings and readers each gets these.
EACH = examples(max_examples=50)
MS_PER_UNIT = {"s": Fraction(1000), "ms": Fraction(1), "us": Fraction(1, 1000), "ns": Fraction(1, 10**6)}


@cache
def decoder_of(settings: DecodeSettings, native: bool) -> Decoder:
    return Decoder(settings, native=native)


@cache
def readers_of(settings: DecodeSettings) -> tuple[PatientReader, NativeReader, StrictReader]:
    return PatientReader(settings), NativeReader(settings), StrictReader(settings)


digits = st.integers(0, 10**22).map(str)
numbers = st.one_of(
    st.integers(-(10**20), 10**22).map(str),
    st.floats(0, 3e11).map(repr),
    st.builds("{}.{}".format, digits, digits),
    st.builds("{}e{}".format, digits, st.integers(-330, 330)),
    st.sampled_from(["0", "-0", "-0.0", "1e999", "253402300799", "253402300800", "253402300799.9999999"]),
)
texts = st.one_of(
    numbers,
    st.datetimes().map(lambda time: time.isoformat()),
    st.text(st.characters(codec="utf-8"), max_size=5),
    st.sampled_from(["", "NaN", " 1", "1\n", "+1", "1_0", "2016-07-11T24:00", "a" * 129, "é" * 257]),
)
json_texts = st.builds(
    lambda text, ascii_only: json.dumps(text, ensure_ascii=ascii_only), texts, st.booleans()
)
scalars = st.one_of(numbers, json_texts, st.sampled_from(["true", "false", "null"]))
keys = st.sampled_from(['"ts"', '"uid"', '"event"', '"user"', '"x"', '"\\u0074s"', '"u\\u0069d"'])
REGISTRY = b"\0\0\0\0\7"
wrappings = st.sampled_from([b"", b"", REGISTRY, b"\xef\xbb\xbf", REGISTRY + b"\xef\xbb\xbf"])
blanks = st.sampled_from(["", "", "", " ", "\n\t"])


def objects(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    member = st.builds("{}{}:{}{}".format, keys, blanks, blanks, values)
    return st.lists(member, max_size=6).map(lambda members: "{" + " ,".join(members) + "}")


def arrays(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(values, max_size=2).map(lambda members: "[" + ",".join(members) + "]")


values = st.recursive(scalars, lambda inner: objects(inner) | arrays(inner), max_leaves=6)
likely = st.builds(
    '{{"ts":{0},"uid":{1},"event":{{"ts":{0},"user":{{"uid":{1}}}}}}}'.format, scalars, scalars
)
wanted = st.builds(
    '{{"ts":1,"uid":"u","x":{},"user":{},"event":{}}}'.format,
    scalars,
    scalars | arrays(scalars) | objects(scalars),
    objects(scalars),
)
documents = st.one_of(likely, likely, wanted, wanted, objects(values), values).map(str.encode)


class Number(str):
    """A JSON number as it is written."""


def no_constant(name: str) -> Any:
    raise ValueError(name)


def parse(text: str | bytes) -> Any:
    return json.loads(text, parse_int=Number, parse_float=Number, parse_constant=no_constant)


def oracle_time_ms(value: Any, unit: str) -> int | None:
    if not isinstance(value, str) or value.strip() != value:
        return None
    try:
        number = parse(value)
    except ValueError:
        return None
    if not isinstance(number, Number):
        return None
    if set(number) & set(".eE"):
        double = float(number)
        exact = Fraction(repr(double)) if math.isfinite(double) else Fraction(-1)
    else:
        exact = Fraction(number)
    time_ms = math.floor(exact * MS_PER_UNIT[unit])
    return time_ms if 0 <= time_ms < YEAR_10000_MS else None


def has_fraction(value: Any) -> bool:
    return isinstance(value, Number) and bool(set(value) & set(".eE"))


def oracle_id(value: Any, seed: int) -> int | None:
    if not isinstance(value, str) or has_fraction(value):
        return None
    user = b"0" if isinstance(value, Number) and value == "-0" else value.encode()
    return xxhash.xxh3_64_intdigest(user, seed) if 0 < len(user) <= 512 else None


def oracle_part(value: Any) -> str | None:
    """Raises ValueError if it is no part of a group."""
    match value:
        case None:
            return None
        case bool():
            return "true" if value else "false"
        case Number() if has_fraction(value) and math.isfinite(float(value)):
            return repr(float(value))
        case str() if not has_fraction(value) and len(value.encode()) <= 256:
            return "0" if isinstance(value, Number) and value == "-0" else str(value)
    raise ValueError(value)


def oracle_number(value: Any) -> float | None:
    return float(value) if isinstance(value, Number) and math.isfinite(float(value)) else None


ABSENT = object()


def oracle_at(value: Any, path: str) -> Any:
    for key in keys_of(path):
        if isinstance(value, dict):
            value = value.get(key, ABSENT)
        elif isinstance(value, list) and key.isdigit() and int(key) < len(value):
            value = value[int(key)]
        else:
            return ABSENT
    return value


def oracle_values(root: Any, settings: DecodeSettings) -> tuple[dict[str, float | int], set[str]]:
    found, ignored = dict[str, float | int](), set[str]()
    for measure in settings.measures:
        hashed = measure.op == "uniques"
        column = f"{'hash' if hashed else 'number'}:{measure.path}"
        held = oracle_at(root, measure.path)
        value = oracle_id(held, settings.hash_seed) if hashed else oracle_number(held)
        if value is not None:
            found[column] = value
        elif held is not None and held is not ABSENT:
            ignored.add(column)
    return found, ignored


def oracle(document: bytes, settings: DecodeSettings) -> Outcome:
    root = parse(document)
    if not isinstance(root, dict):
        return "bad_json"
    counts_users = settings.user_field is not None
    time, user = oracle_at(root, settings.time_field), oracle_at(root, settings.user_field or "uid")
    if time is ABSENT or (counts_users and user is ABSENT):
        return "missing_field"
    time_ms, user = oracle_time_ms(time, settings.time_unit), oracle_id(user, settings.hash_seed)
    if time_ms is None:
        return "bad_time"
    if counts_users and user is None:
        return "bad_user"
    parts = [oracle_at(root, path) for path in settings.group_by]
    try:
        group = [None if part is ABSENT else oracle_part(part) for part in parts]
    except ValueError:
        return "bad_group"
    text = json.dumps(group, ensure_ascii=False, separators=(",", ":")).encode() if group else None
    values, ignored = oracle_values(root, settings)
    return Row(time_ms, user if counts_users else None, text, tuple(values.items()), tuple(sorted(ignored)))


@pytest.mark.parametrize("native", [True, False], ids=["native", "strict"])
@pytest.mark.parametrize("settings", [s for s in SETTINGS if s.time_unit != "iso8601"], ids=str)
@EACH
@given(payloads=st.lists(documents, max_size=5))
def test_agrees_with_the_oracle(settings: DecodeSettings, native: bool, payloads: list[bytes]) -> None:
    expected = [oracle(payload, settings) for payload in payloads]
    if settings.framing == "registry":
        payloads = [REGISTRY + payload for payload in payloads]
    assert decode_rows(decoder_of(settings, native), payloads, settings) == expected


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A document, wrapped or not, with a few bytes replaced, removed or inserted."""
    payload = bytearray(draw(wrappings) + draw(documents))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(payload)))
        payload[at : at + draw(st.integers(0, 2))] = draw(st.binary(max_size=2))
    return bytes(payload)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@given(payload=damaged())
def test_what_a_fast_reader_accepts_the_patient_one_reads_alike(
    settings: DecodeSettings, payload: bytes
) -> None:
    patient = row_of(readers_of(settings)[0].read(payload), settings)
    for native, fast in zip((True, False), readers_of(settings)[1:], strict=True):
        if not fast.read([payload]).refused:
            assert decode_rows(decoder_of(settings, native), [payload], settings) == [patient]


@pytest.mark.parametrize("native", [True, False], ids=["native", "strict"])
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@EACH
@given(payloads=st.lists(st.none() | damaged() | st.binary(max_size=30)), cut=st.integers(0, 10))
def test_every_payload_has_one_outcome_wherever_the_batch_is_cut(
    settings: DecodeSettings, native: bool, payloads: list[bytes | None], cut: int
) -> None:
    decoder = decoder_of(settings, native)
    whole = decode_rows(decoder, payloads, settings)
    assert len(whole) == len(payloads)
    assert {reason for reason in whole if isinstance(reason, str)} <= set(REASONS)
    parts = [decode_rows(decoder, part, settings) for part in (payloads[:cut], payloads[cut:])]
    assert [*chain(*parts)] == whole


def floor_of_text(seconds: float) -> int:
    return math.floor(Fraction(Decimal(repr(seconds))) * 1000)


@given(st.floats(0, YEAR_10000_MS // 1000, exclude_max=True))
@example(5e-324)
@example(0.001)
@example(4.035)
@example(253402300799.99997)
def test_seconds_round_down_by_their_text(seconds: float) -> None:
    assert seconds_to_ms(np.array([seconds])).tolist() == [floor_of_text(seconds)]


@given(st.integers(0, YEAR_10000_MS - 1), st.integers(-3, 3))
def test_seconds_next_to_a_millisecond(time_ms: int, steps: int) -> None:
    seconds = time_ms / 1000
    for _ in range(abs(steps)):
        seconds = max(0.0, math.nextafter(seconds, math.inf if steps > 0 else -math.inf))
    assert seconds_to_ms(np.array([seconds])).tolist() == [floor_of_text(seconds)]
    if steps == 0:
        assert seconds_to_ms(np.array([seconds])).tolist() == [time_ms]
