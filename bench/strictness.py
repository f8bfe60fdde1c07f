"""What each tool that counts a file does with a broken line: ``python -m bench.strictness``.

Each kind of line stands once between good ones. Needs no broker and no quiet machine; writes
``bench/results/strictness.json``.
"""

import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from bench.contender import Contender, Job, NotAvailable, Topic
from bench.contenders import all_contenders
from bench.measure import run_command
from bench.scratch import DIRECTORY, save

TIME: Final = 1_468_244_340
GOOD: Final = [b'{"ts":%d,"uid":"u%d","n":[1,{"ts":7}]}' % (TIME, user) for user in range(4)]
LINES: Final[dict[str, bytes]] = {
    "an object that is cut off": b'{"ts":%d,"uid":"x' % TIME,
    "no JSON": b"hello",
    "something behind the object": b'{"ts":%d,"uid":"x"} x' % TIME,
    "an empty line": b"",
    "an array": b'[{"ts":%d,"uid":"x"}]' % TIME,
    "bytes that are not UTF-8, in another field": b'{"ts":%d,"uid":"x","a":"\xff"}' % TIME,
    "a bare NaN, in another field": b'{"ts":%d,"uid":"x","a":NaN}' % TIME,
    "no time": b'{"uid":"x"}',
    "a time that is text": b'{"ts":"%d","uid":"x"}' % TIME,
    "a time with a fraction": b'{"ts":%d.5,"uid":"x"}' % TIME,
    "no user": b'{"ts":%d}' % TIME,
    "a user that is null": b'{"ts":%d,"uid":null}' % TIME,
    "a user that is an object": b'{"ts":%d,"uid":{"id":"x"}}' % TIME,
    "the user twice": b'{"ts":%d,"uid":"x","uid":"u0"}' % TIME,
}


def judge(rows: Sequence[Mapping[str, Any]]) -> str:
    """What became of the broken line, from the rows that were written; four lines are good."""
    ours = [row for row in rows if row["ts"] is not None and int(row["ts"]) == TIME]
    strange = len(rows) - len(ours)
    if not ours:
        return "loses good lines"
    users, records = int(ours[0]["cnt"]), int(ours[0]["records"])
    if records < len(GOOD):
        return "loses good lines"
    if strange:
        return "counts it in a window of its own"
    if records == len(GOOD):
        return "leaves it out"
    return "counts it" if users > len(GOOD) else "counts it, without a new user"


def outcome(contender: Contender, line: bytes, directory: Path) -> str:
    """Run it on four good lines with this one in their middle."""
    file, result, scratch = directory / "lines.jsonl", directory / "result.json", directory / "scratch"
    scratch.mkdir(parents=True)
    file.write_bytes(b"".join(each + b"\n" for each in (*GOOD[:2], line, *GOOD[2:])))
    topic = Topic("none", 1, len(GOOD) + 1, len(line), "none", file)
    command = contender.command(Job("", topic, "none", result, scratch), DIRECTORY / "cache")
    cost = run_command(command, log=directory / "log")
    if cost.exit_code != 0:
        return "stops"
    named = json.loads(result.read_bytes())["rows"]
    return judge([json.loads(row) for row in Path(named).read_bytes().splitlines()])


def main() -> int:
    """Try every line with every tool; returns the exit code."""
    console = Console(stderr=True, soft_wrap=True)
    tools = [
        each for each in all_contenders() if each.reads == "file" and each.work == "plain" and each.counts
    ]
    try:
        versions = {tool.title: tool.prepare(DIRECTORY / "cache") for tool in tools}
    except NotAvailable as reason:
        console.print(f"{reason} No results are written.")
        return 1
    rows = []
    for name, line in LINES.items():
        found = {}
        for tool in tools:
            with tempfile.TemporaryDirectory() as directory:
                found[tool.title] = outcome(tool, line, Path(directory))
        console.print(name, found)
        rows.append({"line": name, "tools": found})
    save("strictness", {"versions": versions, "lines": rows})
    return 0


if __name__ == "__main__":
    sys.exit(main())
