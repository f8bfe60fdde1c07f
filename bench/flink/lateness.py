"""Records behind the watermark: Flink SQL goes by its operator's, streamagg by clocks of partitions."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from bench.contender import Job, Topic
from bench.contenders import flink
from bench.kafka import read_rows
from bench.scaling import Point, fill
from bench.scratch import DIRECTORY, PREFIX, Site, succeed
from bench.topics import Told
from streamagg.model.settings import DecodeSettings, WindowSettings
from streamagg.tools.comparison import VerifySettings
from streamagg.tools.generate import GenerateSettings
from streamagg.tools.verify import recount_topic

MADE: Final = GenerateSettings(1_000_000, size_bytes=180, disorder=0.1, max_delay_s=30)
"""With a max lag, and a watermark, of five seconds."""
PARTITIONS: Final = 4
TIMES: Final = 2
PARALLELISM: Final = (1, 2)
Windows = Mapping[int, tuple[int, int]]
"""Users and records by start of the window in seconds."""
Command = Callable[[Job, Path], list[str]]


def compared(found: Windows, recounted: Windows) -> dict[str, int]:
    """Windows with another number of records or users, and how many records more and fewer are in them."""
    none = (0, 0)
    pairs = [(found.get(start, none), recounted.get(start, none)) for start in {*found, *recounted}]
    return {
        "windows": len(recounted),
        "differ": sum(ours != theirs for ours, theirs in pairs),
        "records_more": sum(max(0, ours[1] - theirs[1]) for ours, theirs in pairs),
        "records_fewer": sum(max(0, theirs[1] - ours[1]) for ours, theirs in pairs),
    }


def counted(place: Site, topic: Topic, command: Command) -> dict[int, tuple[int, int]]:
    """What one run publishes."""
    with place.topics(1) as (output,), TemporaryDirectory(prefix=PREFIX) as directory:
        here = Path(directory)
        job = Job(place.bootstrap, topic, output, here / "result.json", here / "scratch")
        job.scratch.mkdir()
        succeed(command(job, DIRECTORY / "cache"), here / "log")
        rows = [*read_rows(place.bootstrap, output)]
    return {row["ts"]: (row["cnt"], row["records"]) for row in rows}


def recounted(place: Site, topic: str) -> tuple[dict[int, tuple[int, int]], int]:
    """What is right by the clocks of partitions, and how many records are late."""
    settings = VerifySettings(topic, topic, WindowSettings(), DecodeSettings(), place.kafka)
    recount = recount_topic(settings, lambda *_: None)
    windows = {
        start // 1_000: (len(window.users), window.records) for start, window in recount.windows.items()
    }
    return windows, recount.late


def measure(place: Site, quick: bool, told: Told) -> dict[str, Any]:
    """Both, several times, with one and with two subtasks."""
    flink.prepare(DIRECTORY / "cache")
    made = replace(MADE, count=MADE.count // 20, rate=MADE.rate / 20) if quick else MADE
    rows = []
    with place.topics(PARTITIONS) as (name,):
        fill(place.bootstrap, name, Point(0, made))
        right, late = recounted(place, name)
        topic = Topic(name, PARTITIONS, made.count, made.size_bytes, "none", DIRECTORY)
        for parallelism in PARALLELISM:
            commands = {
                "Flink SQL": flink.run("--work=records", f"--parallelism={parallelism}"),
                "streamagg flink": flink.run_own(parallelism),
            }
            for title, command in commands.items():
                for _ in range(1 if quick else TIMES):
                    found = compared(counted(place, topic, command), right)
                    rows.append({"what": title, "parallelism": parallelism, **found})
                    told(str(rows[-1]))
    return {"records": made.count, "late": late, "max_delay_s": made.max_delay_s, "rows": rows}
