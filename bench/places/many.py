"""A tree of many small files as input: 10,000, 100,000 and a million of a line of 100 bytes each.

A run that counts them all, and one that finds them counted by its checkpoint. They are made anew and removed;
that of a million takes some minutes and 4 GB of disk.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any, Final

from bench.places.beside import run_of
from bench.places.sinks import fresh
from bench.places.usage import HOME
from bench.scratch import succeed
from bench.topics import Told

COUNTS: Final = (10_000, 100_000, 1_000_000)
DIRECTORIES: Final = 10
FIRST_S: Final = 1_468_244_384


def measure(quick: bool, told: Told) -> list[dict[str, Any]]:
    """All sizes; quick: without the largest."""
    found = []
    # What every run takes, whatever there is.
    for count in (DIRECTORIES, *(COUNTS[:-1] if quick else COUNTS)):
        told(f"{count} files")
        source, out = fresh("many"), fresh("sink")
        _make(source, count)
        try:
            found.append({"files": count, "fresh": _run(source, out), "restart": _run(source, out)})
        finally:
            shutil.rmtree(source)
            shutil.rmtree(out, ignore_errors=True)
        told(f"{found[-1]}")
    return found


def _make(root: Path, count: int) -> None:
    """Written by their names in an open directory, which takes half of the time."""
    for number in range(DIRECTORIES):
        path = root / f"{number:02d}"
        path.mkdir(parents=True)
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        for each in range(count // DIRECTORIES):
            file = os.open(f"{each:08d}.jsonl", os.O_WRONLY | os.O_CREAT, 0o666, dir_fd=folder)
            os.write(file, _line(each))
            os.close(file)
        os.close(folder)


def _line(number: int) -> bytes:
    time_s, user = FIRST_S + number // 20, number * 7_919 % 1_000_003
    return b'{"ts":%d,"uid":"user-%07d","note":"a line of about a hundred bytes, and no more"}\n' % (
        time_s,
        user,
    )


def _run(source: Path, out: Path) -> dict[str, Any]:
    stats, log = HOME / "many.json", HOME / "many.log"
    log.unlink(missing_ok=True)
    cost = succeed(run_of(source, f"dir:{out}", "--settle", "0s", "--stats-json", str(stats)), log)
    return {
        "records": json.loads(stats.read_bytes())["records"],
        "seconds": cost.wall_seconds,
        "cpu_seconds": cost.cpu_seconds,
        "peak_mb": round(cost.peak_bytes / 1e6),
    }
