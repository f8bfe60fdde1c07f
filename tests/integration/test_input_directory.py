"""A directory is counted exactly once, in any form of its files, over stops and kills."""

import csv
import gzip
import io
import json
import random
import signal
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import psycopg
import pytest
import zstandard

from streamagg.errors import ExitCode
from tests.support.environment import CALM
from tests.support.instances import Instance, wait_until
from tests.support.pairs import PROGRAM, TIMEOUT_S, canonical, ended, published, rows

RULES = ("--granularity", "10s", "--max-lag", "5s", "--group-by", "country", "--measure", "spent=sum(price)")
COLUMNS = ("ts", "uid", "country", "price")
FORMS = (".jsonl", ".csv", ".jsonl.gz", ".csv.zst", ".jsonl.zst", ".csv.gz", ".jsonl", ".csv")
Record = dict[str, object]


def made(count: int) -> list[Record]:
    chance = random.Random(1)
    return [
        {
            "ts": 1_468_244_384 + number * 0.05,
            "uid": f'u "{chance.randrange(500)}", x',
            "country": chance.choice(("DE", "FR", "N,L")),
            "price": chance.randrange(10_000) / 100,
        }
        for number in range(count)
    ]


def content(name: str, records: Sequence[Record]) -> bytes:
    """As the name says."""
    if ".csv" in name:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, COLUMNS)
        writer.writeheader()
        writer.writerows(records)
        plain = text.getvalue().encode()
    else:
        plain = b"".join(json.dumps(record).encode() + b"\n" for record in records)
    if name.endswith(".gz"):
        return gzip.compress(plain, mtime=0)
    return zstandard.compress(plain) if name.endswith(".zst") else plain


class Spool:
    """Files that come, and what is counted of them."""

    def __init__(self, root: Path) -> None:
        self.root = root / "in"
        self.out = root / "out"
        self.done = root / "done"
        records = made(4_000)
        part = len(records) // len(FORMS)
        self._left = [
            (f"{number:02}{form}", records[number * part :][:part]) for number, form in enumerate(FORMS)
        ]
        lines = b"\n".join(json.dumps(record).encode() for record in records)
        self.expected = ended("count", "-", "--as-run", "--format", "jsonl", *RULES, given=lines)
        (self.root / "log").mkdir(parents=True)

    def arguments(self, *more: str) -> list[str]:
        places = ("--input", f"dir:{self.root}", "--output", f"dir:{self.out}", "--done-dir", str(self.done))
        # However long the next files take to come on a busy machine, that is no silence.
        return ["run", *places, *RULES, "--idle-timeout", "1h", *more]

    def bring(self, count: int) -> None:
        """The next files."""
        for name, records in self._left[:count]:
            part = self.root / "log" / f"{name}.part"
            part.write_bytes(content(name, records))
            part.rename(part.with_suffix(""))
        del self._left[:count]

    def counted(self) -> bytes:
        return published(self.out)


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path)


def test_the_next_run_goes_on_where_the_last_one_ended(spool: Spool) -> None:
    for _ in range(3):
        spool.bring(2)
        ended(*spool.arguments("--inline", "--until-end", "--keep-open", "--settle", "0s"))
    spool.bring(2)
    ended(*spool.arguments("--inline", "--until-end", "--settle", "0s"))
    assert spool.counted() == spool.expected
    assert len(list(spool.done.rglob("*.*"))) == len(FORMS) - 1, "the last one may grow"


@pytest.mark.slow
def test_it_is_counted_once_when_the_leader_is_killed(spool: Spool) -> None:
    spool.bring(3)
    for _ in range(2):
        before = spool.counted() if spool.out.exists() else b""
        run = subprocess.Popen(
            [*PROGRAM, *spool.arguments("--settle", "100ms")], env=CALM, stderr=subprocess.DEVNULL
        )
        spool.bring(2)
        wait_until(lambda before=before: grown(spool, before), "further windows")
        run.send_signal(signal.SIGKILL)
        assert run.wait(TIMEOUT_S) == -signal.SIGKILL
    spool.bring(1)
    ended(*spool.arguments("--until-end"), code=ExitCode.OK)
    assert spool.counted() == spool.expected


def grown(spool: Spool, before: bytes) -> bool:
    try:
        return len(spool.counted()) > len(before)
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("sink", ["directory", "postgres"])
def test_a_standby_takes_over_when_its_leader_is_killed(
    sink: str, spool: Spool, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Nobody but the lock at the output decides who leads, and it is not given back."""
    output, counted = f"dir:{spool.out}", spool.counted
    if sink == "postgres":
        url = request.getfixturevalue("postgres").url(request.getfixturevalue("database"))
        output, counted = url, lambda: rows(url)
    arguments = spool.arguments("--output", output, "--inline", "--settle", "0s")[1:]
    spool.bring(3)
    with Instance(arguments, tmp_path / "1.log") as leader, Instance(arguments, tmp_path / "2.log") as other:
        wait_until(lambda: "leading:" in leader.log + other.log, "a leader")
        if "leading:" in other.log:
            leader, other = other, leader
        other.wait_for("standing by")
        wait_until(lambda: bool(seen(counted).strip()), "windows of the leader")
        assert "leading:" not in other.log
        leader.kill()
        other.wait_for("leading:")
        before = seen(counted)
        spool.bring(3)
        wait_until(lambda: seen(counted) != before, "windows of the standby")
        other.signal(signal.SIGTERM)
        assert other.wait() == ExitCode.OK
    spool.bring(2)
    ended("run", *arguments, "--until-end")
    expected = spool.expected
    if sink == "postgres":
        expected = canonical(map(json.loads, expected.splitlines()))
    assert counted() == expected


def seen(counted: Callable[[], bytes]) -> bytes:
    """What is out; nothing before anything is."""
    try:
        return counted()
    except (FileNotFoundError, psycopg.errors.UndefinedTable):
        return b""
