"""One file counted from any place into any other one."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

import orjson
import psycopg

from streamagg.errors import ExitCode
from tests.support.environment import CALM
from tests.support.pipeline import Feed, made_records, read_all

SOURCES: Final = ("topic", "directory", "stream")
SINKS: Final = ("topic", "postgres", "directory", "stream")
PROGRAM: Final = [sys.executable, "-m", "streamagg"]
RULES: Final = (
    "--granularity",
    "10s",
    "--max-lag",
    "5s",
    "--group-by",
    "country",
    "--measure",
    "top=max(ts)",
)
FILES: Final = 4
TIMEOUT_S: Final = 300
QUICK: Final = ("-X", "session.timeout.ms=3000", "-X", "heartbeat.interval.ms=500")
"""So long a member that was killed holds up the next one."""


def records_of_countries(count: int) -> list[bytes]:
    """Of three, some late or broken."""
    return [
        line.replace(b"{", b'{"country": "%b", ' % (b"DE", b"FR", b"NL")[number % 3], 1)
        for number, line in enumerate(made_records(count))
    ]


def counted(records: Sequence[bytes]) -> bytes:
    """The lines of results, where there is only one way."""
    return ended("count", "-", "--as-run", "--format", "jsonl", *RULES, given=b"\n".join(records))


def ended(*arguments: str, given: bytes = b"", code: int = ExitCode.OK, fault: str = "") -> bytes:
    """What a verb writes to standard output."""
    env = {**CALM, "STREAMAGG_FAULT": fault} if fault else CALM
    run = subprocess.run(
        [*PROGRAM, *arguments], input=given, capture_output=True, timeout=TIMEOUT_S, check=False, env=env
    )
    assert run.returncode == code, run.stderr.decode()
    return run.stdout


class Pair:
    """A place with the records, another one for the results, and how to run from one to the other."""

    def __init__(
        self,
        records: Sequence[bytes],
        bootstrap: str,
        directory: Path,
        topic: Callable[[str], str],
        database: str,
    ) -> None:
        """``topic``: makes one; ``database``: the URL of an empty one."""
        self._records = records
        self._bootstrap = bootstrap
        self._directory = directory
        self._topic = topic
        self._database = database

    def run(self, source: str, sink: str, *flags: str, dies_at: Sequence[str] = ()) -> bytes:
        """Returns the lines of results; ``dies_at``: where runs before the last one kill themselves."""
        input_, given = getattr(self, f"_from_{source}")()
        output, read = getattr(self, f"_to_{sink}")()
        ends = () if source == "stream" else ("--until-end",)
        places = ("--input", input_, "--output", output, "--bootstrap-servers", self._bootstrap)
        settled = ("--settle", "0s") if dies_at else ()
        command = ("run", *places, *flags, *RULES, *QUICK, *ends, *settled)
        for point in dies_at:
            ended(*command, given=given, code=-signal.SIGKILL, fault=f"{point}:1")
        found: bytes = read(ended(*command, given=given))
        return found

    def _from_topic(self) -> tuple[str, bytes]:
        topic = self._topic("in")
        Feed(self._bootstrap, topic).send(self._records)
        return topic, b""

    def _from_directory(self) -> tuple[str, bytes]:
        log = self._directory / "in" / "log"
        log.mkdir(parents=True)
        size = -(-len(self._records) // FILES)
        for number in range(FILES):
            part = self._records[size * number : size * (number + 1)]
            (log / f"{number}.jsonl").write_bytes(b"\n".join(part) + b"\n")
        return f"dir:{log.parent}", b""

    def _from_stream(self) -> tuple[str, bytes]:
        return "-", b"\n".join(self._records)

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


def compare(found: bytes, sink: str, expected: bytes) -> None:
    """Byte by byte, but for a table, whose rows have no order."""
    wanted = canonical(map(orjson.loads, expected.splitlines())) if sink == "postgres" else expected
    assert found == wanted
