"""Kafka Streams: processors with sets, the same with stores and transactions, and its DSL."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from bench.contender import Contender, Job
from bench.contenders import java
from bench.contenders.java.maven import Project

HERE: Final = Path(__file__).parent
SHARED: Final = ["Event", "EventClock", "EventDeserializer", "OpenWindows", "Result", "Union"]
PROJECT: Final = Project(
    "kafka-streams",
    HERE / "pom.xml",
    [*sorted((HERE / "src").glob("*.java")), *(java.HERE / "src" / f"{name}.java" for name in SHARED)],
)
HEAP: Final = "2g"
LIMIT: Final = f"heap of {HEAP}"
TOLD_THE_END: Final = "closes its last window because it is told the end"


def prepare(cache: Path) -> dict[str, str]:
    """Build with Maven."""
    PROJECT.build(cache)
    return PROJECT.versions(cache, ["kafka-streams", "jackson-core"])


def run(form: str) -> Callable[[Job, Path], list[str]]:
    """The command line of a form."""

    def command(job: Job, cache: Path) -> list[str]:
        files = [str(job.result), str(job.scratch)]
        return [*PROJECT.launch(cache, HEAP), form, job.bootstrap, job.topic.name, job.output, *files]

    return command


CONTENDERS: Final = [
    Contender(
        name="kafka-streams-heap",
        title="Kafka Streams: processors, sets on the heap",
        prepare=prepare,
        command=run("heap"),
        remark=f"a crash loses the sets; {TOLD_THE_END}; {LIMIT}",
    ),
    Contender(
        name="kafka-streams-heap-grouped",
        title="Kafka Streams: processors, sets on the heap, grouped",
        prepare=prepare,
        command=run("heap-grouped"),
        work="grouped",
        remark=f"a crash loses the sets; {TOLD_THE_END}; {LIMIT}",
    ),
    Contender(
        name="kafka-streams-eos",
        title="Kafka Streams: processors, stores in memory, exactly-once",
        prepare=prepare,
        command=run("memory"),
        remark=f"{TOLD_THE_END}; commits every second; {LIMIT}",
    ),
    Contender(
        name="kafka-streams-eos-rocksdb",
        title="Kafka Streams: processors, RocksDB, exactly-once",
        prepare=prepare,
        command=run("rocksdb"),
        slow=True,
        remark=f"{TOLD_THE_END}; commits every second; {LIMIT}",
    ),
    Contender(
        name="kafka-streams-dsl",
        title="Kafka Streams: its DSL, final results, 5 s of grace",
        prepare=prepare,
        command=run("dsl"),
        slow=True,
        remark=(
            "while it catches up its tasks drift apart and what lies behind is dropped; "
            f"the last window stays open until later records come; commits every second; {LIMIT}"
        ),
    ),
]
