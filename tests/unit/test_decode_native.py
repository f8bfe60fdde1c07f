"""The native reader: what it takes itself, and where it must stop reading."""

import ctypes
import mmap
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import xxhash

from streamagg.decode import Decoder
from streamagg.decode._scanner import Scanner
from streamagg.decode.native import NativeReader
from streamagg.decode.patient import PatientReader
from streamagg.model.columns import USER
from streamagg.model.groups import texts_of
from streamagg.model.settings import DecodeSettings, MeasureSettings
from tests.support.decoded import decode_rows, row_of

SETTINGS = DecodeSettings()
LONGEST_USER = 240
FIELDS = ((0, (b"ts",)), (1, (b"uid",)))


def reader(settings: DecodeSettings = SETTINGS) -> NativeReader:
    return NativeReader(settings)


def takes(document: str | bytes, settings: DecodeSettings = SETTINGS) -> bool:
    """It takes the document itself, and reads in it what the patient reader does."""
    payload = document.encode() if isinstance(document, str) else document
    columns = reader(settings).read([payload])
    if columns.refused:
        return False
    found = columns.event_time_ms.item(), columns.columns[USER].item()
    verdict = PatientReader(settings).read(payload)
    assert not isinstance(verdict, str)
    assert verdict.row == found
    return True


@pytest.mark.parametrize("seed", [0, 1, 2**64 - 1, 0x9E3779B97F4A7C15])
def test_users_of_every_length_get_their_xxh3(seed: int) -> None:
    users = [random.Random(size).randbytes(size).hex().encode()[:size] for size in range(1, LONGEST_USER + 1)]
    columns = reader(DecodeSettings(hash_seed=seed)).read([b'{"ts":1,"uid":"%s"}' % user for user in users])
    assert columns.refused == []
    assert columns.columns[USER].tolist() == [xxhash.xxh3_64_intdigest(user, seed) for user in users]


@pytest.mark.parametrize(
    "document",
    [
        '{"ts":1,"uid":"u"}',
        ' \t\r\n{ "ts" : 1 , "uid" : "u" } \r\n',
        '{"ts":1.25,"uid":7}',
        '{"ts":"1468244384.123456","uid":"-7"}',
        '{"ts":1,"uid":"\\u0075\\ud83d\\ude00\\n\\/"}',
        '{"\\u0074s":1,"u\\u0069d":"u"}',
        '{"ts":1,"uid":"é"}',
        '{"ts":1,"uid":"' + "é" * 64 + '"}',
        '{"x":{"a":[[],{}]},"ts":1,"uid":"u"}',
        '{"x":[1,-0,0.5,1e5,1E-5,true,false,null,"",[{}],{"a":{"b":[]}}],"ts":1,"uid":"u"}',
        '{"ts":1,"uid":"a","ts":2,"uid":"b"}',
        '{"x":' + "[" * 511 + "]" * 511 + ',"ts":1,"uid":"u"}',
    ],
)
def test_takes_usual_documents_itself(document: str) -> None:
    assert takes(document)


RICH = DecodeSettings(
    group_by=("g", "values.1"),
    measures=(
        MeasureSettings("a", "sum", "x"),
        MeasureSettings("b", "uniques", "x"),
        MeasureSettings("c", "last", "values.0"),
    ),
    hash_seed=7,
)


@pytest.mark.parametrize(
    "members",
    [
        '"g":"DE","x":1,"values":[1.5,"a"]',
        '"g":"\\u00e9\\n\\u0001\\"","x":"u","values":[]',
        '"g":1.10,"x":-17,"values":{"0":1e300,"1":-0}',
        '"g":true,"x":0.5,"values":[null,false,{"x":[]}]',
        '"g":null,"x":123456789012345678901,"values":7',
        '"g":1e22,"x":"","values":[1e999,1]',
        '"x":{"y":[]},"values":[[],3]',
        f'"g":"{"a" * 220}","x":true',
    ],
)
def test_takes_groups_and_values_itself(members: str) -> None:
    payload = f'{{"ts":1,"uid":"u",{members}}}'.encode()
    assert reader(RICH).read([payload]).refused == []
    expected = row_of(PatientReader(RICH).read(payload), RICH)
    assert decode_rows(Decoder(RICH), [payload], RICH) == [expected]


def test_many_groups_of_a_scan_are_each_in_its_table_once() -> None:
    texts = [b'["%d"]' % number for number in range(5_000)]
    settings = DecodeSettings(user_field=None, group_by=("g",), hash_seed=3)
    payloads = [b'{"ts":1,"g":%d}' % number for number in range(5_000)]
    readings = reader(settings).read([*payloads, *payloads[::-1]])
    assert readings.groups == texts_of(texts, 3)
    ids = readings.groups.id_column.tolist()
    assert readings.columns[0].tolist() == ids + ids[::-1]


def test_a_scanner_refuses_what_it_cannot_hold() -> None:
    with pytest.raises(ValueError, match="no such kind of a field, or too many of it"):
        Scanner(((5, (b"x",)),), "s", 100, "auto", 0)
    with pytest.raises(ValueError, match="no such kind of a field, or too many of it"):
        Scanner(((2, (b"x",)),) * 5, "s", 100, "auto", 0)
    with pytest.raises(ValueError, match="more than 32 fields"):
        Scanner(((3, (b"x",)),) * 33, "s", 100, "auto", 0)
    with pytest.raises(ValueError, match="2 columns are wanted"):
        Scanner(((0, (b"t",)), (2, (b"x",)), (3, (b"x",))), "s", 100, "auto", 0).scan(
            [], np.empty(0, np.int64), ()
        )


@pytest.mark.parametrize(
    "document",
    [
        '{"event":{"ts":1},"event":{"user":{"id":"u"}}}',
        '{"event":{"ts":1,"user":{"id":"u"}},"event":7}',
        '{"event":{"ts":1,"user":{"id":"u"},"user":{}}}',
        '{"ts":1,"id":"u"}',
    ],
)
def test_a_later_duplicate_takes_away_what_an_earlier_one_held(document: str) -> None:
    assert not takes(document, DecodeSettings(time_field="event.ts", user_field="event.user.id"))


@pytest.mark.parametrize(
    ("unit", "time"),
    [
        ("ns", "1468244384123456789"),
        ("us", "1468244384123456"),
        ("ms", "1468244384123.75"),
        ("iso8601", '"2016-07-11T13:39:44Z"'),
        ("iso8601", '"2016-02-29 23:59:59.9999999+05:30"'),
        ("iso8601", '"9999-12-31T23:59:59.999-00:00"'),
    ],
)
def test_takes_the_usual_times_of_every_unit_itself(unit: str, time: str) -> None:
    assert takes(f'{{"ts":{time},"uid":"u"}}', DecodeSettings(time_unit=unit))


def all_truncations(document: bytes) -> Iterator[bytes]:
    return (document[:size] for size in range(len(document)))


def test_no_part_of_a_document_is_a_document() -> None:
    document = (
        b'{"a":"\\u00e9\\ud83d\\ude00\\\\","b":[true,null,-1.5e-3],"c":{"d":{}},"ts":1.5,"uid":"\\u0075"}'
    )
    parts = list(all_truncations(document))
    assert reader().read(parts).refused == list(range(len(parts)))
    assert takes(document)


@contextmanager
def last_page() -> Iterator[tuple[mmap.mmap, int]]:
    """Memory of one page behind which nothing may be read, and the address of its end."""
    memory = mmap.mmap(-1, 2 * mmap.PAGESIZE)
    pin = ctypes.c_char.from_buffer(memory)
    end = ctypes.addressof(pin) + mmap.PAGESIZE
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mprotect(ctypes.c_void_p(end), ctypes.c_size_t(mmap.PAGESIZE), 0):
        raise OSError(ctypes.get_errno(), "mprotect")
    try:
        yield memory, end
    finally:
        del pin
        memory.close()


def test_nothing_behind_a_document_is_read() -> None:
    whole = (
        b'{"x":[{"y":[]},-1.5e-3,"\\ud83d\\ude00"],"o":{"p":{}},"w":[true,false,null],'
        b'"event":{"ts":"1.5","user":{"id":"a user whose name is longer than sixteen bytes"}}} \r\n'
    )
    brace_behind = [part + b"}" for part in all_truncations(whole)]
    fields = ((0, (b"event", b"ts")), (1, (b"event", b"user", b"id")))
    # Of every kind, with the fields of the document in the way of them.
    wanted = ((2, (b"x", b"2")), (2, (b"w", b"0")), (3, (b"x", b"1")), (4, (b"event", b"user", b"id")))
    for chosen in (fields, (*fields, *wanted)):
        columns = tuple(np.empty(1, np.uint64) for _ in range(1 if chosen is fields else 4))
        scanner = Scanner(chosen, "s", 1_000, "auto", 0)
        with last_page() as (memory, end):
            for document in [*all_truncations(whole), *brace_behind, whole]:
                memory[mmap.PAGESIZE - len(document) : mmap.PAGESIZE] = document
                place = np.array([[end - len(document), len(document)]], np.uint64)
                is_whole = document.rstrip() == whole.rstrip()
                refused = scanner.scan(place, np.empty(1, np.int64), columns)[0]
                assert refused == ([] if is_whole else [0])


@pytest.mark.parametrize("byte", range(256))
def test_any_byte_anywhere_is_read_as_the_patient_reader_reads_it(byte: int) -> None:
    document = b'{"k\\n":"v\\u00e9","n":[1.5e3,null],"ts":"1.25","uid":"u\xc3\xa9"}'
    for at in range(len(document)):
        takes(document[:at] + bytes([byte]) + document[at + 1 :])


def test_columns_of_a_wrong_size_are_an_error() -> None:
    scanner = Scanner(FIELDS, "s", 100, "auto", 0)
    with pytest.raises(ValueError, match="eight bytes for each payload"):
        scanner.scan([b"{}"], np.empty(2, np.int64), (np.empty(1, np.uint64),))
    with pytest.raises(ValueError, match="eight bytes for each payload"):
        scanner.scan([b"{}"], np.empty(1, np.int64), (np.empty(2, np.uint32),))
    with pytest.raises(ValueError, match="no such unit: h"):
        Scanner(FIELDS, "h", 100, "auto", 0)


def test_what_is_no_payload_is_refused() -> None:
    columns = NativeReader(DecodeSettings(max_record_bytes=18)).read(
        [None, b'{"ts":1,"uid":"u"}', b'{"ts":1,"uid":"uu"}']
    )
    assert columns.refused == [0, 2]
