"""Where the time of a task manager goes: CPU by thread from /proc, that of its tasks divided by samples.

A recording of the JVM (JFR) says what a thread does, but not what compilers and collectors take; the kernel
says what each thread takes, but not what for.
"""

import json
import subprocess
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from bench.flink.job import started, until
from bench.kafka import read_rows
from bench.processes import PROC, TICKS_PER_SECOND
from bench.scratch import DIRECTORY, PREFIX, Site
from bench.topics import LOADS, Load, Told, load
from streamagg.flink import jars
from streamagg.model.settings import WindowSettings
from tests.support.pipeline import Run

TOPICS: Final = ("large-4", "small-4")
HEAP: Final = "2g"
RECORDING: Final = (
    f"-Xmx{HEAP} -XX:+UnlockDiagnosticVMOptions -XX:+DebugNonSafepoints"
    " -XX:StartFlightRecording:name=profile,settings=profile"
)
STILL_OPEN: Final = 2
"""Windows that nothing closes while the job waits for more records."""
NAME_CHARS: Final = 15
"""Of a thread, as the kernel keeps it."""
SOURCE, FETCHER, COMPILERS = "source and decode", "fetcher of Kafka", "JVM: compilers"
TASKS: Final = {
    "Source: source": SOURCE,
    "Source Data Fet": FETCHER,
    "clock": "clock",
    "count": "count",
    "publish": "publish and sink",
    "progress": "progress",
    "C1 Compiler": COMPILERS,
    "C2 Compiler": COMPILERS,
    "GC Thread": "JVM: collectors",
    "G1 ": "JVM: collectors",
    "VM ": "JVM: collectors",
}
"""What threads are for, by how their names begin."""
OTHERS: Final = "other threads: start, checkpoints, heartbeats, the recording"
PARTS: Final = {
    "io.streamagg.core.Row": "writing and reading rows",
    "io.streamagg.flink.CodecSerializer": "writing and reading rows",
    "io.streamagg.flink.KeyGroups": "choosing where rows go",
    "io.streamagg.flink.ShardKey": "choosing where rows go",
    "io.streamagg.core.PartitionClock": "clock",
    "io.streamagg.flink.ReadPartition": "clock",
    "io.streamagg.flink.ClockOperator": "clock",
    "io.streamagg.flink.CountOperator": "count",
    "io.streamagg.flink.Tall": "count",
    "io.streamagg.core.Tally": "count",
    "io.streamagg.core.LongSet": "count",
    "io.streamagg.flink.Publish": "publish",
    "io.streamagg.core.JsonRecords": "publish",
    "io.streamagg.core.JsonWriter": "publish",
    "io.streamagg.core.Windows": "finding windows",
    "io.streamagg.flink.Decode": "decode",
    "io.streamagg.core.": "decode",
    "com.dynatrace.hash4j.": "decode",
    "org.apache.kafka.": "client of Kafka",
    "org.apache.flink.connector.": "Flink's connector",
    "org.apache.flink.streaming.runtime.partitioner.": "choosing where rows go",
    "org.apache.flink.runtime.state.KeyGroup": "choosing where rows go",
    "org.apache.flink.core.memory.": "writing and reading rows",
    "org.apache.flink.runtime.plugable.": "writing and reading rows",
    "org.apache.flink.runtime.io.network.": "writing and reading rows",
    "org.apache.flink.streaming.runtime.io.": "writing and reading rows",
    "org.rocksdb.": "state",
    "org.apache.flink.state.": "state",
}
"""What a method is for, by how its name begins; the first that fits."""
REST: Final = "Flink between them"


def task(name: str) -> str:
    """What a thread is for."""
    return next((kind for begin, kind in TASKS.items() if name.startswith(begin)), OTHERS)


def part(frames: Iterable[str]) -> str:
    """What a sample is of: that of the innermost method which is known. ``frames``: innermost first."""
    for frame in frames:
        for begin, kind in PARTS.items():
            if frame.startswith(begin):
                return kind
    return REST


def cpu_by_task(pid: int) -> dict[str, float]:
    """CPU seconds of the threads that run, by what they are for."""
    found: Counter[str] = Counter()
    for thread in (PROC / str(pid) / "task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):
            name, _, rest = (thread / "stat").read_text().partition("(")[2].rpartition(") ")
            fields = rest.split()
            found[task(name)] += (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND  # type: ignore[assignment]
    return dict(found)


def samples(recording: Any) -> dict[str, Counter[str]]:
    """How often each part was seen, by what the thread is for. ``recording``: of ``jfr print --json``."""
    found: dict[str, Counter[str]] = {}
    for event in recording["recording"]["events"]:
        values = event["values"]
        name = (values["sampledThread"] or {}).get("javaName") or ""
        frames = [
            f"{frame['method']['type']['name'].replace('/', '.')}.{frame['method']['name']}"
            for frame in (values["stackTrace"] or {"frames": []})["frames"]
        ]
        found.setdefault(task(name[:NAME_CHARS]), Counter())[part(frames)] += 1
    return found


def divided(cpu: Mapping[str, float], seen: Mapping[str, Counter[str]]) -> dict[tuple[str, str], float]:
    """CPU seconds by task and part; of threads without samples all is one part."""
    found = {}
    for name, seconds in cpu.items():
        parts = seen.get(name, Counter()) if name != OTHERS else Counter[str]()
        for kind, times in (parts or Counter({"": 1})).items():
            found[name, kind] = seconds * times / max(1, parts.total())
    return found


def profile(place: Site, topic: str, windows: int) -> dict[tuple[str, str], float]:
    """CPU seconds of a job that has read a topic, by task and part."""
    tools = Path(jars.java()).resolve().parent
    with place.topics(1) as (output,), TemporaryDirectory(prefix=PREFIX) as name:
        recording = Path(name) / "profile.jfr"
        run = Run(place.bootstrap, topic, output, Path(name), WindowSettings())
        flags = ("--idle-timeout", "10m", "--checkpoint-interval", "2s")
        with started(run, *flags, java=RECORDING) as process:
            until(lambda: len([*read_rows(place.bootstrap, output)]) >= windows, process, run)
            cpu = cpu_by_task(process.pid)
            dump = ["JFR.dump", "name=profile", f"filename={recording}"]
            subprocess.run([str(tools / "jcmd"), str(process.pid), *dump], check=True, capture_output=True)
        words = ["--json", "--stack-depth", "64", "--events", "jdk.ExecutionSample", str(recording)]
        printed = subprocess.run([str(tools / "jfr"), "print", *words], check=True, capture_output=True)
    return divided(cpu, samples(json.loads(printed.stdout)))


def rows(found: Mapping[tuple[str, str], float], records: int) -> list[dict[str, Any]]:
    """µs a record, the dearest first."""
    ordered = sorted(found.items(), key=lambda item: -item[1])
    return [
        {"task": name, "part": kind, "us_a_record": seconds / records * 1e6}
        for (name, kind), seconds in ordered
    ]


def measure(place: Site, quick: bool, told: Told) -> dict[str, Any]:
    """Both sizes of records."""
    jars.built()
    return {"topics": [_measure(place, _load(name, quick), told) for name in TOPICS]}


def _load(name: str, quick: bool) -> Load:
    return LOADS[name].tenth() if quick else LOADS[name]


def _measure(place: Site, topic: Load, told: Told) -> dict[str, Any]:
    loaded = load(topic, place.bootstrap, DIRECTORY, told)
    found = profile(place, loaded.topic.name, len(loaded.truths["plain"]) - STILL_OPEN)
    return {"record_bytes": topic.made.size_bytes, "parts": rows(found, loaded.topic.records)}
