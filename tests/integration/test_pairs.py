"""One file counted from every place into every other place: the same results, byte for byte."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

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

    def __init__(self, bootstrap: str, directory: Path, topic: TopicFactory) -> None:
        self._bootstrap = bootstrap
        self._directory = directory
        self._topic = topic

    def run(self, source: str, sink: str, dies_at: Sequence[str] = ()) -> bytes:
        """Returns the lines of results; ``dies_at``: where runs before the last one kill themselves."""
        input_, given = getattr(self, f"_from_{source}")()
        output, read = getattr(self, f"_to_{sink}")()
        ends = () if source == "stream" else ("--until-end",)
        places = ("--input", input_, "--output", output, "--bootstrap-servers", self._bootstrap)
        command = ("run", *places, "--inline", *RULES, *QUICK, *ends)
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

    def _to_stream(self) -> tuple[str, Callable[[bytes], bytes]]:
        return "-", lambda out: out


def published(directory: Path) -> bytes:
    """What the manifest names."""
    days = json.loads((directory / "manifest.json").read_bytes())["days"]
    files = [file for day in sorted(days) for file in days[day]["jsonl"]]
    return b"".join([(directory / file["path"]).read_bytes()[: file["bytes"]] for file in files])


@pytest.fixture
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Pair:
    places = request.node.callspec.params
    if "topic" not in (places["source"], places["sink"]):
        return Pair("127.0.0.1:1", tmp_path, lambda *_: "")
    return Pair(request.getfixturevalue("broker"), tmp_path, request.getfixturevalue("topic"))


PAIRS = [
    pytest.param(source, sink, marks=[pytest.mark.kafka] if "topic" in (source, sink) else [])
    for source in ("topic", "directory", "stream")
    for sink in ("topic", "directory", "stream")
]


@pytest.mark.parametrize(("source", "sink"), PAIRS)
def test_every_pair_counts_the_same(pair: Pair, source: str, sink: str, expected: bytes) -> None:
    assert pair.run(source, sink) == expected


@pytest.mark.parametrize(
    ("source", "sink"),
    [("directory", "directory"), pytest.param("directory", "topic", marks=pytest.mark.kafka)],
)
def test_runs_that_are_killed_lose_nothing_and_publish_nothing_twice(
    pair: Pair, source: str, sink: str, expected: bytes
) -> None:
    assert pair.run(source, sink, DIES_AT) == expected
