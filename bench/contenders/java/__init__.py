"""A plain Java program: the consumers of kafka-clients, Jackson's streaming parser, sets."""

from pathlib import Path
from typing import Final

from bench.contender import Contender, Job
from bench.contenders.java.maven import Project

HERE: Final = Path(__file__).parent
PROJECT: Final = Project("java", HERE / "pom.xml", sorted((HERE / "src").glob("*.java")))
HEAP: Final = "2g"


def prepare(cache: Path) -> dict[str, str]:
    """Build with Maven."""
    PROJECT.build(cache)
    return PROJECT.versions(cache, ["kafka-clients", "jackson-core"])


def command(job: Job, cache: Path) -> list[str]:
    """One run."""
    return [*PROJECT.launch(cache, HEAP), job.bootstrap, job.topic.name, str(job.result)]


CONTENDERS: Final = [
    Contender(
        name="java",
        title="Java: KafkaConsumer, Jackson, sets",
        prepare=prepare,
        command=command,
        quick=True,
        remark=f"two threads divide the partitions; heap of {HEAP}",
    )
]
