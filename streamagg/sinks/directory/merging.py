"""Which Parquet files are made one, so that a day has few of them however often it is published to.

::

    while the day is published to     1 1 1 … 1   ──16 of a kind──▶  16      16 … 16  ──▶  256
    once another day is               256 16 16 1 1 1  ──▶  273, as many records as a file may have

So a record is written anew two or three times.
"""

from collections.abc import Iterator
from typing import Final

from streamagg.sinks.directory.manifest import Files

_OF_A_KIND: Final = 16
MOST_RECORDS: Final = 1_000_000
"""In a file that others are merged into."""

Span = tuple[int, int]
"""The first of some files and the one behind the last."""


def at_the_end(files: Files) -> Span | None:
    """Those of a day that is published to: the last ones, if they are enough of a kind."""
    begin = len(files) - _OF_A_KIND
    last = files[max(begin, 0) :]
    alike = len({file.publications for file in last}) == 1
    few = sum(file.records for file in last) <= MOST_RECORDS
    return (begin, len(files)) if begin >= 0 and alike and few else None


def of_all(files: Files) -> list[Span]:
    """Those of a day that is not published to any more: neighbours, the last ones first."""
    return [span for span in _spans(files) if span[1] - span[0] > 1][::-1]


def _spans(files: Files) -> Iterator[Span]:
    begin, records = 0, 0
    for at, file in enumerate(files):
        if at > begin and records + file.records > MOST_RECORDS:
            yield begin, at
            begin, records = at, 0
        records += file.records
    yield begin, len(files)
