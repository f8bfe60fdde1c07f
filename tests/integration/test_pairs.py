"""One file counted from every place into every other place: the same results, byte for byte in lines."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import orjson
import psycopg
import pytest

from streamagg.errors import ExitCode
from tests.conftest import TopicFactory
from tests.support.environment import CALM
from tests.support.pipeline import Feed, made_records, read_all

PROGRAM = [sys.executable, "-m", "streamagg"]
RULES = ("--granularity", "10s", "--max-lag", "5s", "--group-by", "country", "--measure", "top=max(ts)")
RECORDS = [
    line.replace(b"{", b'{"country": "%b", ' % (b"DE", b"FR", b"NL")[number % 3], 1)
    for number, line in enumerate(made_records(4_000))
]
TIMEOUT_S = 100
QUICK = ("-X", "session.timeout.ms=3000", "-X", "heartbeat.interval.ms=500")
"""So long a member that was killed holds up the next one."""
DIES_AT = ("after-produce", "before-commit", "after-commit")


def ended(*arguments: str, given: bytes = b"", code: int = ExitCode.OK, fault: str = "") -> bytes:
    """What a verb writes to standard output."""
    env = {**CALM, "STREAMAGG_FAULT": fault} if fault else CALM
    run = subprocess.run(
        [*PROGRAM, *arguments], input=given, capture_output=True, timeout=TIMEOUT_S, check=False, env=env
    )
    assert run.returncode == code, run.stderr.decode()
    return run.stdout


@pytest.fixture(scope="module")
def expected() -> bytes:
    """What is counted of the same lines, where there is only one way."""
    lines = ended("count", "-", "--as-run", "--format", "jsonl", *RULES, given=b"\n".join(RECORDS))
    assert lines.count(b"\n") > 20
    return lines


class Pair:
    """A place with the records, another one for the results, and how to run from one to the other."""

    def __init__(self, bootstrap: str, directory: Path, topic: TopicFactory, database: str) -> None:
        """``database``: the URL of an empty one."""
        self._bootstrap = bootstrap
        self._directory = directory
        self._topic = topic
        self._database = database

    def run(self, source: str, sink: str, dies_at: Sequence[str] = ()) -> bytes:
        """Returns the lines of results; ``dies_at``: where runs before the last one kill themselves."""
        input_, given = getattr(self, f"_from_{source}")()
        output, read = getattr(self, f"_to_{sink}")()
        ends = () if source == "stream" else ("--until-end",)
        places = ("--input", input_, "--output", output, "--bootstrap-servers", self._bootstrap)
        settled = ("--settle", "0s") if dies_at else ()
        command = ("run", *places, "--inline", *RULES, *QUICK, *ends, *settled)
        for point in dies_at:
            ended(*command, given=given, code=-signal.SIGKILL, fault=f"{point}:1")
        found: bytes = read(ended(*command, given=given))
        return found

    def _from_topic(self) -> tuple[str, bytes]:
        topic = self._topic("in")
        Feed(self._bootstrap, topic).send(RECORDS)
        return topic, b""

    def _from_directory(self) -> tuple[str, bytes]:
        log = self._directory / "in" / "log"
        log.mkdir(parents=True)
        for number in range(4):
            (log / f"{number}.jsonl").write_bytes(b"\n".join(RECORDS[1_000 * number :][:1_000]) + b"\n")
        return f"dir:{log.parent}", b""

    def _from_stream(self) -> tuple[str, bytes]:
        return "-", b"\n".join(RECORDS)

    def _to_topic(self) -> tuple[str, Callable[[bytes], bytes]]:
        topic = self._topic("out")
        return topic, lambda out: b"".join(
            [(message.value() or b"") + b"\n" for message in read_all(self._bootstrap, topic)]
        )

    def _to_directory(self) -> tuple[str, Callable[[bytes], bytes]]:
        directory = self._directory / "out"
        return f"dir:{directory}", lambda out: published(directory)

    def _to_postgres(self) -> tuple[str, Callable[[bytes], bytes]]:
        return self._database, lambda out: rows(self._database)

    def _to_stream(self) -> tuple[str, Callable[[bytes], bytes]]:
        return "-", lambda out: out


def published(directory: Path) -> bytes:
    """What the manifest names."""
    days = json.loads((directory / "manifest.json").read_bytes())["days"]
    files = [file for day in sorted(days) for file in days[day]["jsonl"]]
    return b"".join([(directory / file["path"]).read_bytes()[: file["bytes"]] for file in files])


def rows(url: str) -> bytes:
    """The table of results as lines of JSON, the order of groups as it is in lines."""
    with psycopg.connect(url) as database:
        found = database.execute(
            'SELECT ts, cnt, granularity, records, partial, groups, "group", measures FROM streamagg_results'
        ).fetchall()
    every = [
        {"ts": int(ts.timestamp()), "cnt": cnt, "granularity": length.seconds, "records": records}
        | {"partial": partial, "v": 1, **measures}
        | ({"groups": groups} if group is None else {"group": group})
        for ts, cnt, length, records, partial, groups, group, measures in found
    ]
    return canonical(every)


def canonical(every: Iterable[object]) -> bytes:
    """Whatever order they, or their fields, have."""
    return b"\n".join(sorted(orjson.dumps(each, option=orjson.OPT_SORT_KEYS) for each in every))


@pytest.fixture
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Pair:
    asked = (request.node.callspec.params["source"], request.node.callspec.params["sink"])
    bootstrap, topic, database = "127.0.0.1:1", lambda *_: "", ""
    if "topic" in asked:
        bootstrap, topic = request.getfixturevalue("broker"), request.getfixturevalue("topic")
    if "postgres" in asked:
        database = request.getfixturevalue("postgres").url(request.getfixturevalue("database"))
    return Pair(bootstrap, tmp_path, topic, database)


def each(source: str, sink: str) -> Any:
    return pytest.param(source, sink, marks=[pytest.mark.kafka] if "topic" in (source, sink) else [])


PAIRS = [
    each(source, sink)
    for source in ("topic", "directory", "stream")
    for sink in ("topic", "postgres", "directory", "stream")
]


def compare(found: bytes, sink: str, expected: bytes) -> None:
    wanted = canonical(map(orjson.loads, expected.splitlines())) if sink == "postgres" else expected
    assert found == wanted


@pytest.mark.parametrize(("source", "sink"), PAIRS)
def test_every_pair_counts_the_same(pair: Pair, source: str, sink: str, expected: bytes) -> None:
    compare(pair.run(source, sink), sink, expected)


@pytest.mark.parametrize(
    ("source", "sink"), [each("directory", sink) for sink in ("topic", "postgres", "directory")]
)
def test_runs_that_are_killed_lose_nothing_and_publish_nothing_twice(
    pair: Pair, source: str, sink: str, expected: bytes
) -> None:
    compare(pair.run(source, sink, DIES_AT), sink, expected)
