"""Hazelcast Jet: its pipeline of a Kafka source, event time and tumbling windows, in a member of its own.

The Kafka connector's licence is the Hazelcast Community License: it is fetched to be measured, and no part
of streamagg.
"""

from pathlib import Path
from typing import Final

from bench.contender import Contender, Job
from bench.contenders import java
from bench.contenders.java.maven import Project

HERE: Final = Path(__file__).parent
SHARED: Final = ["Event", "EventClock", "Result"]
PROJECT: Final = Project(
    "hazelcast",
    HERE / "pom.xml",
    [*sorted((HERE / "src").glob("*.java")), *(java.HERE / "src" / f"{name}.java" for name in SHARED)],
)
HEAP: Final = "2g"
ACCESS: Final = [
    "--add-modules=java.se",
    "--add-exports=java.base/jdk.internal.ref=ALL-UNNAMED",
    "--add-opens=java.base/java.lang=ALL-UNNAMED",
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
    "--add-opens=java.management/sun.management=ALL-UNNAMED",
    "--add-opens=jdk.management/com.sun.management.internal=ALL-UNNAMED",
]
"""What Hazelcast asks for, to be as fast as it can."""


def prepare(cache: Path) -> dict[str, str]:
    """Build with Maven."""
    PROJECT.build(cache)
    return PROJECT.versions(cache, ["hazelcast", "kafka-clients", "jackson-core"])


def command(job: Job, cache: Path) -> list[str]:
    """One run."""
    on = [job.topic.name, str(job.topic.records), str(job.topic.partitions)]
    return [*PROJECT.launch(cache, HEAP, *ACCESS), job.bootstrap, *on, job.output, str(job.result)]


CONTENDERS: Final = [
    Contender(
        name="hazelcast-jet",
        title="Hazelcast Jet, tumbling windows",
        prepare=prepare,
        command=command,
        remark=(
            "a stream has no end: its last windows stay open until later records come; planning included; "
            f"heap of {HEAP}; the licence of its Kafka connector is not open source"
        ),
    )
]
