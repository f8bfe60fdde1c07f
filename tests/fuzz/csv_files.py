"""CSV files that a reader would rather not see, and what is wrong with how they are read.

The opinions: the reader in C and the one in Python, the file read at once, in pieces and from one of its
records on, and the module ``csv`` of the library about every record that is accepted.
"""

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from random import Random
from typing import Final

from streamagg.decode.formats import BYTE_ORDER_MARK
from streamagg.model.settings import DecodeSettings
from streamagg.sources.directory.csv_chunks import csv_chunks
from streamagg.sources.directory.csv_rows import (
    MALFORMED,
    BadHeader,
    Header,
    Rows,
    first_record,
    header_of,
    rows,
)
from tests.fuzz.documents import Document
from tests.fuzz.judge import Difference

CORPUS: Final = (
    b"uid,n\na,1\nb,2\n",
    b'"uid","n"\r\n"a ""b"", c","1"\r\n"x\r\ny"," -1.5e3 "\r\n',
    b"\xef\xbb\xbfuid,n\n\n,\n\r\n,,\na\n",
    b'n\n007\n-0\n1e999\n"open\n',
    "ü,é\nä,\\\t\x00\n".encode(),
    b'uid,n\na "b" c,1\n"a" b,1\n"a"\r,2\n',
)
NUMBERS: Final = ("n",)
_PIECES: Final = (
    *(
        b'"',
        b'""',
        b",",
        b"\n",
        b"\r",
        b"\r\n",
        b"\n\n",
        b"a",
        "é".encode(),
        b"\xff",
        b"\\",
        b"\t",
        b"\0",
        b"1",
    ),
    *(b"-2.50", b"1e5", b"{", b" ", b'","', b'"\n"', BYTE_ORDER_MARK, b"x" * 70),
)
_LARGE: Final = 1 << 20
_ENDS: Final = re.compile(rb"(\r?\n)+\Z")
_QUOTED: Final = re.compile(rb'"[^"]*"')
csv.field_size_limit(_LARGE)


class CsvMaker:
    """Makes files by a seed."""

    def __init__(self, seed: str) -> None:
        self._random = Random(f"csv {seed}")

    def batch(self, count: int) -> list[Document]:
        """So many of them."""
        return [Document(DecodeSettings(), self._file()) for _ in range(count)]

    def _file(self) -> bytes:
        file = bytearray(self._random.choice(CORPUS))
        for _ in range(self._random.choice((1, 1, 2, 3, 10, 40, 400))):
            piece, at = self._random.choice(_PIECES), self._random.randrange(len(file) + 1)
            # What is named by the header stays so more often than not.
            file[max(at, 6) : at + self._random.choice((0, 0, 0, 1, 5))] = piece
        return bytes(file)


class CsvJudge:
    """Compares opinions on files."""

    def __init__(self, settings: DecodeSettings) -> None:
        """Settings of the decoder change nothing."""

    def outcomes(self, files: Sequence[bytes]) -> list[str]:
        """What becomes of them."""
        return [_outcome(file) for file in files]

    def differences(self, files: Sequence[bytes]) -> Iterator[Difference]:
        """The files about which opinions differ."""
        for file in files:
            opinions = _opinions(file)
            if len(set(opinions.values())) > 1:
                yield Difference(file, opinions)


def _outcome(file: bytes) -> str:
    try:
        header, body = _taken_apart(file)
    except BadHeader:
        return "bad_header"
    read = _documents(rows(body, header, _LARGE, last=True))
    return "malformed" if any(document.startswith(MALFORMED) for document in read) else "accepted"


def _taken_apart(file: bytes) -> tuple[Header, bytes]:
    """Raises BadHeader."""
    end = first_record(file) or len(file)
    return header_of(file[:end].removeprefix(BYTE_ORDER_MARK), NUMBERS), file[end:]


def _opinions(file: bytes) -> dict[str, str]:
    try:
        header, body = _taken_apart(file)
    except BadHeader:
        return {}
    # The same for the same file, when it is judged again.
    random = Random(file)
    kept = random.choice((_LARGE, _LARGE, random.randint(1, 80)))
    step = random.choice((2, 7, 64, 1_000))
    found = {name: _told(rows(body, header, kept, last=True, native=name == "c")) for name in ("c", "python")}
    if kept == _LARGE:
        found |= {"library": str(_by_library(header, body) or found["c"])}
    whole = list(_chunked(file, len(file) + 1, 0, kept))
    found |= {"pieces": found["c"] if list(_chunked(file, step, 0, kept)) == whole else f"by {step} bytes"}
    if whole:
        number = random.randrange(len(whole))
        rest = list(_chunked(file, step, whole[number][0], kept))
        found |= {"from one on": found["c"] if rest == whole[number:] else f"from record {number}"}
    return found


def _documents(read: Rows) -> list[bytes]:
    return [bytes(read.text[start:end]) for start, end in zip(read.starts, read.ends, strict=True)]


def _told(read: Rows) -> str:
    return f"{_documents(read)} {read.begins.tolist()} {read.consumed}"


class _Content(io.BytesIO):
    """As a file is read."""

    def skip_to(self, byte: int) -> int:
        return self.seek(byte)


def _chunked(file: bytes, step: int, start: int, kept: int) -> Iterator[tuple[int, bytes | None]]:
    for chunk in csv_chunks(_Content(file), start, kept, NUMBERS, step):
        yield from zip(chunk.starts.tolist(), chunk.lines, strict=True)


def _by_library(header: Header, body: bytes) -> str | None:
    """The first record that is accepted and that the library reads otherwise."""
    read = rows(body, header, _LARGE, last=True)
    names = [json.loads(key[:-1]) for key in header.keys]
    ends = [*read.begins.tolist()[1:], read.consumed]
    for document, begin, end in zip(_documents(read), read.begins.tolist(), ends, strict=False):
        record = _ENDS.sub(b"", body[begin:end])
        # A carriage return alone ends a line for the library.
        if document.startswith(MALFORMED) or b"\r" in _QUOTED.sub(b"", record):
            continue
        ours = json.loads(document.decode("utf-8", "surrogateescape"), parse_int=str, parse_float=str)
        fields = next(csv.reader([record.decode("utf-8", "surrogateescape")], strict=True))
        theirs = {name: value for name, value in zip_longest(names, fields, fillvalue="") if value}
        # Blanks around numbers are left out.
        if {name: value.strip(" ") for name, value in ours.items()} != {
            name: value.strip(" ") for name, value in theirs.items()
        }:
            return f"{ours} is {theirs} to the library"
    return None
