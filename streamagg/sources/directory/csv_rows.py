"""Records of CSV (RFC 4180) as JSON documents, which the decoder reads.

- Fields are separated by commas, records by newlines, with or without a carriage return before them. A field
  that begins with a quote ends with one, and may hold both; a quote in it is doubled.
- The first record names the columns. A field is text, or a number where a measure wants one and it reads as
  one; an empty field is absent.
- What has other columns, or quotes elsewhere, is no record: it becomes what no decoder takes for JSON.
- A record ends with the first newline that is not between quotes, whatever is in it.
"""

import csv
import re
from collections.abc import Collection
from typing import Final, NamedTuple

import msgspec
import numpy as np

from streamagg.model.columns import Int64Column

try:
    from streamagg.sources.directory._csv import rows as native_rows
except ImportError:
    AVAILABLE = False
else:
    AVAILABLE = True

Block = bytes | bytearray | memoryview

MALFORMED: Final = b"! "
"""Before a record that is none: no JSON begins so."""
_NUMBER: Final = re.compile(rb" *(-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?) *\Z")
_FIELD: Final = re.compile(rb'(?:"((?:[^"]|"")*)"|([^",\n]*?))(,|\r?\n|\r?\Z)')
_RECORD: Final = re.compile(rb'(?:[^"\n]+|"[^"]*(?:"|\Z))*')
_BLANK: Final = re.compile(rb"\r?\n")
_ESCAPED: Final = re.compile(rb'["\\\x00-\x1f]')


class BadHeader(ValueError):
    """The first record of a file does not name columns."""


class Header(NamedTuple):
    """The columns of a file."""

    keys: tuple[bytes, ...]
    """Names as JSON, each with a colon."""
    numbers: bytes
    """One byte for each: whether it is read as a number."""


class Rows(NamedTuple):
    """Documents, and where they are from."""

    text: bytearray
    starts: Int64Column
    """Where each begins in the text, shape ``(n,)``."""
    ends: Int64Column
    begins: Int64Column
    """Where its record begins in the block."""
    consumed: int
    """So much of the block is records that are whole."""


def header_of(record: bytes, numbers: Collection[str]) -> Header:
    """Of the first record of a file; raises BadHeader.

    ``numbers``: names of columns that are read as numbers.
    """
    try:
        names = next(csv.reader([record.decode()], strict=True), [])
    except (csv.Error, UnicodeDecodeError) as error:
        raise BadHeader(f"its first line does not name columns: {error}") from error
    if len(set(names)) < len(names) or not all(names) or bool(record) > bool(names):
        raise BadHeader("its first line does not name each column, or one of them twice")
    keys = tuple(msgspec.json.encode(name) + b":" for name in names)
    return Header(keys, bytes(name in numbers for name in names))


def first_record(block: Block) -> int:
    """How long it is with its newline, if it has one; 0 if it may go on behind the block."""
    end = _end(bytes(block), 0, last=False)
    return 0 if end is None else end


def rows(block: Block, header: Header, kept: int, *, last: bool, native: bool = AVAILABLE) -> Rows:
    """The whole records of a block; ``last``: nothing follows, so that the end ends one.

    Of one that is longer than ``kept`` bytes no more is handed out, as it is, and it ends with the next
    newline.
    """
    read = native_rows if native else python_rows
    text, starts, ends, begins, consumed = read(block, header.keys, header.numbers, kept, last)
    return Rows(text, _column(starts), _column(ends), _column(begins), consumed)


def _column(packed: bytes) -> Int64Column:
    return np.frombuffer(packed, np.int64)


def python_rows(
    block: Block, keys: tuple[bytes, ...], numbers: bytes, kept: int, last: bool
) -> tuple[bytearray, bytes, bytes, bytes, int]:
    """What the part in C does, about thirty times slower."""
    content, text, at = bytes(block), bytearray(), 0
    starts, ends, begins = list[int](), list[int](), list[int]()
    while at < len(content):
        if blank := _BLANK.match(content, at):
            at = blank.end()
            continue
        end = _end(content, at, last=last)
        large = (len(content) if end is None else end) - at > kept
        if large:
            newline = content.find(b"\n", at + kept)
            end = newline + 1 if newline >= 0 else len(content) if last else None
        if end is None:
            break
        starts.append(len(text))
        begins.append(at)
        text += content[at : at + kept] if large else _document(content[at:end], keys, numbers)
        ends.append(len(text))
        at = end
    packed = [np.array(column, np.int64).tobytes() for column in (starts, ends, begins)]
    return text, packed[0], packed[1], packed[2], at


def _end(content: bytes, at: int, *, last: bool) -> int | None:
    found = _RECORD.match(content, at)
    assert found is not None, "it matches nothing as well"
    if found.end() < len(content):
        return found.end() + 1
    return len(content) if last else None


def _document(record: bytes, keys: tuple[bytes, ...], numbers: bytes) -> bytes:
    fields = _fields(record)
    if fields is None or len(fields) != len(keys):
        return MALFORMED + record.removesuffix(b"\n")
    members = [
        key + _value(value, number) for key, value, number in zip(keys, fields, numbers, strict=True) if value
    ]
    return b"{" + b",".join(members) + b"}"


def _fields(record: bytes) -> list[bytes] | None:
    fields, at = list[bytes](), 0
    while found := _FIELD.match(record, at):
        quoted, plain, end = found.groups()
        fields.append(plain if quoted is None else quoted.replace(b'""', b'"'))
        at = found.end()
        if end != b",":
            return fields if at == len(record) else None
    return None


def _value(value: bytes, number: int) -> bytes:
    if number and (found := _NUMBER.match(value)):
        return found[1]
    return b'"' + _ESCAPED.sub(_escape, value) + b'"'


def _escape(found: re.Match[bytes]) -> bytes:
    character = found[0]
    return b"\\" + character if character in b'"\\' else b"\\u%04x" % ord(character)
