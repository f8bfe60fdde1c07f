"""One file counted from every place into every other place: the same results, byte for byte in lines."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.pairs import SINKS, SOURCES, Pair, compare, counted, records_of_countries

RECORDS = records_of_countries(4_000)
DIES_AT = ("after-produce", "before-commit", "after-commit")


@pytest.fixture(scope="module")
def expected() -> bytes:
    lines = counted(RECORDS)
    assert lines.count(b"\n") > 20
    return lines


@pytest.fixture
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Pair:
    asked = (request.node.callspec.params["source"], request.node.callspec.params["sink"])
    bootstrap, topic, database = "127.0.0.1:1", lambda *_: "", ""
    if "topic" in asked:
        bootstrap, topic = request.getfixturevalue("broker"), request.getfixturevalue("topic")
    if "postgres" in asked:
        database = request.getfixturevalue("postgres").url(request.getfixturevalue("database"))
    return Pair(RECORDS, bootstrap, tmp_path, topic, database)


def each(source: str, sink: str) -> Any:
    return pytest.param(source, sink, marks=[pytest.mark.kafka] if "topic" in (source, sink) else [])


PAIRS = [each(source, sink) for source in SOURCES for sink in SINKS]


@pytest.mark.parametrize(("source", "sink"), PAIRS)
def test_every_pair_counts_the_same(pair: Pair, source: str, sink: str, expected: bytes) -> None:
    compare(pair.run(source, sink, "--inline"), sink, expected)


@pytest.mark.parametrize(
    ("source", "sink"), [each("directory", sink) for sink in ("topic", "postgres", "directory")]
)
def test_runs_that_are_killed_lose_nothing_and_publish_nothing_twice(
    pair: Pair, source: str, sink: str, expected: bytes
) -> None:
    compare(pair.run(source, sink, "--inline", dies_at=DIES_AT), sink, expected)
