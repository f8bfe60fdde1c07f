"""Spark, by PySpark in this machine's own process: a batch query on the whole topic."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from bench.contender import Contender, Job
from bench.contenders.java.maven import Project
from bench.environment import Environment
from bench.work import Work

HERE: Final = Path(__file__).parent
CONNECTOR: Final = "spark-sql-kafka-0-10_2.13"
JARS: Final = (CONNECTOR, "spark-token-provider-kafka-0-10_2.13", "kafka-clients", "commons-pool2")
"""What Spark itself does not bring along."""
PROJECT: Final = Project("spark-connector", HERE / "pom.xml")
ENVIRONMENT: Final = Environment("spark", HERE / "requirements.txt")
HEAP: Final = "2g"
REMARK: Final = (
    "local[2]; a batch, because a streaming query counts distinct users only about; planning included; "
    f"heap of {HEAP}"
)


def prepare(cache: Path) -> dict[str, str]:
    """Install PySpark into an environment, fetch the connector."""
    PROJECT.build(cache)
    ENVIRONMENT.install(cache)
    return {**PROJECT.versions(cache, [CONNECTOR]), **ENVIRONMENT.versions(cache, ["pyspark"])}


def run(work: Work) -> Callable[[Job, Path], list[str]]:
    """Asks this of the topic."""

    def command(job: Job, cache: Path) -> list[str]:
        fetched = PROJECT.directory(cache) / "jars"
        jars = ",".join(str(jar) for name in JARS for jar in fetched.glob(f"{name}-[0-9]*.jar"))
        program = [str(ENVIRONMENT.python(cache)), str(HERE / "job.py"), work, f"--heap={HEAP}"]
        return [*program, job.bootstrap, job.topic.name, str(job.result), str(job.scratch), jars]

    return command


CONTENDERS: Final = [
    Contender(name="spark", title="Spark SQL, a batch", prepare=prepare, command=run("plain"), remark=REMARK),
    Contender(
        name="spark-grouped",
        title="Spark SQL, a batch, grouped",
        prepare=prepare,
        command=run("grouped"),
        work="grouped",
        remark=REMARK,
    ),
]
