"""CSV as JSON documents: what is read, and that both readers and the library agree."""

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streamagg.sources.directory.csv_chunks import csv_chunks
from streamagg.sources.directory.csv_rows import (
    AVAILABLE,
    MALFORMED,
    BadHeader,
    Header,
    Rows,
    header_of,
    rows,
)

TWO = header_of(b"uid,n\n", ["n"])
BUILT = pytest.mark.skipif(not AVAILABLE, reason="there was no compiler")
READERS = pytest.mark.parametrize("native", [False, pytest.param(True, marks=BUILT)])
KEPT = 1 << 20
PIECES = ('"', '""', ",", "\n", "\r", "\r\n", "a", "é", "\\", "\t", "\0", "1", "-2.50", "{", " ")
MESSES = st.lists(st.sampled_from(PIECES), max_size=30).map("".join)
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
TEXTS = ANY_TEXT | st.sampled_from(["1", "007", "1e5", "-0.5", '"', "\n", " 1"])


NUMBER = re.compile(" *-?(0|[1-9][0-9]*)([.][0-9]+)?([eE][-+]?[0-9]+)? *")


class Number(str):
    """The text of a number, which is no other text."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return type(other) is Number and str.__eq__(self, other)

    __hash__ = str.__hash__


class Content:
    """Bytes, a few at a time."""

    def __init__(self, content: bytes, step: int) -> None:
        self._file = io.BytesIO(content)
        self._step = step

    def readinto(self, room: memoryview) -> int:
        return self._file.readinto(room[: self._step])

    def skip_to(self, byte: int) -> int:
        return self._file.seek(byte)


def documents(found: Rows) -> list[bytes]:
    return [bytes(found.text[start:end]) for start, end in zip(found.starts, found.ends, strict=True)]


def read(text: str, *, native: bool = AVAILABLE) -> list[bytes]:
    return documents(rows(text.encode(), TWO, KEPT, last=True, native=native))


def chunked(
    content: bytes, step: int = 1 << 20, start: int = 0, kept: int = KEPT
) -> Iterator[tuple[int, bytes]]:
    for chunk in csv_chunks(Content(content, step), start, kept, ["n"]):
        for at, line in zip(chunk.starts.tolist(), chunk.lines, strict=True):
            assert at < chunk.next
            assert line is not None
            yield at, line


@READERS
@pytest.mark.parametrize(
    ("record", "document"),
    [
        ("a,1", b'{"uid":"a","n":1}'),
        ("a,-1.50e3", b'{"uid":"a","n":-1.50e3}'),
        ('"a"," 12 "', b'{"uid":"a","n":12}'),
        ("12,12", b'{"uid":"12","n":12}'),
        ("a,012", b'{"uid":"a","n":"012"}'),
        ("a,", b'{"uid":"a"}'),
        (",", b"{}"),
        ('"",1', b'{"n":1}'),
        ('"a ""b"", c",1', b'{"uid":"a \\"b\\", c","n":1}'),
        ('"a\nb\r\nc",1', b'{"uid":"a\\u000ab\\u000d\\u000ac","n":1}'),
        ("a\\b,1\r", b'{"uid":"a\\\\b","n":1}'),
        ("a", MALFORMED + b"a"),
        ("a,1,2", MALFORMED + b"a,1,2"),
        ('a "b" c,1', MALFORMED + b'a "b" c,1'),
        ('"a" b,1', MALFORMED + b'"a" b,1'),
        ('"a,1\nb,2', MALFORMED + b'"a,1\nb,2'),
    ],
)
def test_a_record_is_a_document(record: str, document: bytes, native: bool) -> None:
    assert read(record, native=native) == [document]
    # What follows is read as ever, unless a quote is open.
    if record.count('"') % 2 == 0:
        assert read(f"{record}\n\r\n\nz,9\n", native=native) == [document, b'{"uid":"z","n":9}']


@pytest.mark.parametrize("line", [b"a,a\n", b"a,,b\n", b"\n", b'"a\n', b"\xff\n", b'a "b"c,"d\n'])
def test_a_header_names_each_column_once(line: bytes) -> None:
    with pytest.raises(BadHeader):
        header_of(line, [])


@pytest.mark.skipif(not AVAILABLE, reason="not built")
@given(MESSES, st.integers(1, 40), st.booleans())
@example('"\r', KEPT, False)
@example('a,"b"\r', KEPT, False)
def test_both_readers_agree_on_everything(text: str, kept: int, last: bool) -> None:
    block = text.encode()
    native, python = (rows(block, TWO, kept, last=last, native=native) for native in (True, False))
    assert (documents(native), native.begins.tolist(), native.consumed) == (
        documents(python),
        python.begins.tolist(),
        python.consumed,
    )
    for document in documents(native) if kept > len(block) else []:
        assert document.startswith(MALFORMED) or isinstance(msgspec.json.decode(document), dict)


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=8), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_what_the_library_writes_is_read(
    written: Sequence[tuple[str, str]], newline: str, quoted: bool
) -> None:
    file = io.StringIO(newline="")
    quoting = csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL
    csv.writer(file, lineterminator=newline, quoting=quoting).writerows([("uid", "n"), *written])
    documents = [
        json.loads(line, parse_int=Number, parse_float=Number)
        for _, line in chunked(file.getvalue().encode())
    ]
    assert [(found.get("uid", ""), found.get("n", "")) for found in documents] == [
        (user, Number(value.strip(" ")) if NUMBER.fullmatch(value) else value) for user, value in written
    ]


@given(MESSES, st.integers(1, 7), st.integers(1, 40), st.data())
def test_it_does_not_matter_how_it_is_read_nor_where_it_begins(
    text: str, step: int, kept: int, data: st.DataObject
) -> None:
    content = b"uid,n\n" + text.encode()
    whole = list(chunked(content, kept=kept))
    assert list(chunked(content, step, kept=kept)) == whole
    if whole:
        number = data.draw(st.integers(0, len(whole) - 1))
        assert list(chunked(content, step, whole[number][0], kept)) == whole[number:]


@pytest.mark.parametrize("step", [3, 1 << 20])
def test_a_record_that_is_too_large_is_cut(step: int) -> None:
    content = b'uid,n\na,1\n"' + b"x" * 100 + b"\nb,2\n"
    found = list(chunked(content, step, kept=20))
    assert [line for _, line in found] == [b'{"uid":"a","n":1}', b'"' + b"x" * 19, b'{"uid":"b","n":2}']
    assert list(chunked(content, step, found[2][0], kept=20)) == found[2:]


def test_a_byte_order_mark_is_no_part_of_a_name() -> None:
    assert list(chunked(b"\xef\xbb\xbfuid,n\na,1\n")) == [(9, b'{"uid":"a","n":1}')]


def test_an_empty_file_holds_nothing() -> None:
    assert list(chunked(b"")) == []
    assert list(chunked(b"uid,n")) == []
    assert isinstance(TWO, Header)
