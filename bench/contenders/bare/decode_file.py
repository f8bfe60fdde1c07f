"""Decode a file of JSON lines, half of it in each of two processes, and do nothing with what it says."""

import argparse
import json
from pathlib import Path

from bench.contenders.bare.side_by_side import Begin, side_by_side
from streamagg.decode import Decoder
from streamagg.model.settings import DecodeSettings

READ_BYTES = 2 << 20


def decode(path: Path, start: int, end: int, begin: Begin) -> int:
    """Decode the lines in the bytes ``[start, end)``; returns how many there are."""
    decoder = Decoder(DecodeSettings())
    with path.open("rb", buffering=0) as file:
        begin()
        file.seek(start)
        records, position, begun = 0, start, b""
        while position < end:
            block = file.read(min(READ_BYTES, end - position))
            position += len(block)
            *lines, begun = (begun + block).split(b"\n")
            records += len(decoder.decode(lines).index)
    return records


def halves(path: Path) -> list[tuple[int, int]]:
    """Two ranges of bytes that begin and end with a line."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(size // 2)
        file.readline()
        middle = file.tell()
    return [(0, middle), (middle, size)]


def main() -> None:
    """Parse the command line, decode, write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("result", type=Path)
    given = parser.parse_args()
    records, seconds = side_by_side(decode, [(given.file, *half) for half in halves(given.file)])
    given.result.write_text(json.dumps({"records": records, "seconds": seconds}))


if __name__ == "__main__":
    main()
