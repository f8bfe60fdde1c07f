"""All pairs of an input and an output on one file of a million records: whether results are the same.

From a topic, a directory and standard input into a topic, PostgreSQL, a directory and standard output: byte
for byte what ``count`` prints of the same lines, and from PostgreSQL the same values. One record in a
thousand cannot be read, and one in twenty is out of order.
"""

import shutil
import time
from functools import partial
from typing import Any, Final
from uuid import uuid4

from bench.places.beside import database, empty
from bench.places.sinks import fresh
from bench.scratch import Site
from bench.topics import Told
from streamagg.kafka.admin import ensure_topic
from tests.support.pairs import SINKS, SOURCES, Pair, compare, counted, records_of_countries

RECORDS: Final = 1_000_000


def measure(place: Site, quick: bool, told: Told) -> dict[str, Any]:
    """All twelve, one after the other."""
    count = RECORDS // 20 if quick else RECORDS
    records = records_of_countries(count)
    expected = counted(records)
    told(f"{len(expected.splitlines())} rows of results of {count} records")
    found = []
    with database() as server:
        for source in SOURCES:
            for sink in SINKS:
                directory = fresh("pair")
                directory.mkdir(parents=True)
                pair = Pair(records, place.bootstrap, directory, partial(_topic, place), empty(server))
                began = time.monotonic()
                same = _is_same(pair.run(source, sink), sink, expected)
                found.append(
                    {"from": source, "to": sink, "same": same, "seconds": round(time.monotonic() - began, 1)}
                )
                told(f"{found[-1]}")
                shutil.rmtree(directory)
    return {"records": count, "rows": len(expected.splitlines()), "pairs": found}


def _is_same(results: bytes, sink: str, expected: bytes) -> bool:
    try:
        compare(results, sink, expected)
    except AssertionError:
        return False
    return True


def _topic(place: Site, prefix: str) -> str:
    name = f"{prefix}-{uuid4().hex[:12]}"
    ensure_topic(place.kafka, name, partitions=1, config={})
    return name
