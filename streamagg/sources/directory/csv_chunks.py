"""Reads a CSV file from any of its records on, in chunks of JSON documents."""

from collections.abc import Collection, Iterator
from typing import Final, Protocol

import numpy as np

from streamagg.decode.formats import BYTE_ORDER_MARK
from streamagg.sources.directory.csv_rows import Header, first_record, header_of, rows
from streamagg.sources.files import READ_BYTES, Chunk, Lines

_LONGEST_HEADER_BYTES: Final = 1 << 20


class Content(Protocol):
    """A file, unpacked if it is compressed."""

    def readinto(self, room: memoryview) -> int:
        """As much as there is; 0 at the end."""

    def skip_to(self, byte: int) -> int:
        """Go on there, which is not behind what was read last; returns where it goes on."""


def csv_chunks(
    content: Content, start: int, kept: int, numbers: Collection[str], block_bytes: int = READ_BYTES
) -> Iterator[Chunk]:
    """Records that begin at the byte ``start`` or later, which is the front of one; offsets are bytes.

    Of a record no more is kept than ``kept`` bytes. Raises BadHeader.
    ``numbers``: see ``csv_rows.header_of``; ``block_bytes``: read at once.
    """
    head = bytearray()
    while not (end := first_record(head)) and len(head) <= _LONGEST_HEADER_BYTES:
        more = _read(content, block_bytes)
        head += more
        if not more:
            break
    header = header_of(bytes(head[: end or len(head)]).removeprefix(BYTE_ORDER_MARK), numbers)
    end = end or len(head)
    if start <= len(head):
        yield from _chunks(content, head[max(end, start) :], max(end, start), kept, header, block_bytes)
    else:
        yield from _chunks(content, bytearray(), content.skip_to(start), kept, header, block_bytes)


def _chunks(
    content: Content, block: bytearray, at: int, kept: int, header: Header, block_bytes: int
) -> Iterator[Chunk]:
    """``block`` was read already, and begins at the byte ``at``."""
    ended = False
    while not ended or block:
        more = _read(content, block_bytes)
        ended = not more
        block += more
        found = rows(block, header, kept, last=ended)
        if len(found.begins):
            lines = Lines(found.text, found.starts, found.ends)
            yield Chunk(lines, found.begins + at, at + found.consumed)
        block, at = block[found.consumed :], at + found.consumed
        if len(block) > kept and not ended:
            large, begin = bytes(block[:kept]), at
            block, at = _behind_line(content, block[kept:], at + kept)
            yield Chunk([large], np.array([begin]), at)


def _behind_line(content: Content, block: bytearray, at: int) -> tuple[bytearray, int]:
    """What follows the next newline, and where that is."""
    while (newline := block.find(b"\n")) < 0:
        at += len(block)
        block = _read(content, READ_BYTES)
        if not block:
            return block, at
    return block[newline + 1 :], at + newline + 1


def _read(content: Content, most: int) -> bytearray:
    block = bytearray(most)
    del block[content.readinto(memoryview(block)) :]
    return block
