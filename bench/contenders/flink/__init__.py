"""On Flink, in a cluster of its own process: SQL by PyFlink, at least once and exactly once; our own job."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from bench.contender import Contender, Job, NotAvailable
from bench.contenders.java.maven import Project, java_version
from bench.environment import Environment, own_versions
from streamagg.flink import jars

HERE: Final = Path(__file__).parent
CONNECTOR: Final = "flink-sql-connector-kafka"
PROJECT: Final = Project("flink-connector", HERE / "pom.xml")
ENVIRONMENT: Final = Environment("flink", HERE / "requirements.txt", newest_python=(3, 11))
HEAP: Final = "2g"
BOUNDED: Final = (
    "bounded, so that its last window closes; no checkpoints; "
    f"seconds by its log, from the first running source to the last finished task; heap of {HEAP}"
)


def prepare(cache: Path) -> dict[str, str]:
    """Install PyFlink into an environment, fetch the connector."""
    PROJECT.build(cache)
    ENVIRONMENT.install(cache)
    return {**PROJECT.versions(cache, [CONNECTOR]), **ENVIRONMENT.versions(cache, ["apache-flink"])}


def run(*options: str) -> Callable[[Job, Path], list[str]]:
    """The command line with these options."""

    def command(job: Job, cache: Path) -> list[str]:
        [jar] = (PROJECT.directory(cache) / "jars").glob(f"{CONNECTOR}-*.jar")
        program = [str(ENVIRONMENT.python(cache)), str(HERE / "job.py"), f"--heap={HEAP}", *options]
        files = [str(job.result), str(job.scratch), str(jar)]
        return [*program, job.bootstrap, job.topic.name, job.output, *files]

    return command


def prepare_own(cache: Path) -> dict[str, str]:
    """Compile the job of ``streamagg flink``."""
    try:
        built = jars.built()
    except jars.FlinkMissing as error:
        raise NotAvailable(str(error)) from None
    [flink] = (built.directory / "cluster").glob("flink-streaming-java-*.jar")
    return {
        "java": java_version(),
        "flink": flink.stem.removeprefix("flink-streaming-java-"),
        **own_versions("streamagg"),
    }


def run_own(parallelism: int, *, task_managers: int = 1) -> Callable[[Job, Path], list[str]]:
    """The command line of ``streamagg flink``."""

    def command(job: Job, cache: Path) -> list[str]:
        program = [sys.executable, str(HERE / "datastream.py"), HEAP, str(task_managers)]
        program += [str(job.result), str(job.scratch)]
        topics = ["--input", job.topic.name, "--output", job.output, "--bootstrap-servers", job.bootstrap]
        return [*program, *topics, "--parallelism", str(parallelism)]

    return command


CONTENDERS: Final = [
    Contender(
        name="flink-sql",
        title="Flink SQL: COUNT(DISTINCT), two slots",
        prepare=prepare,
        command=run(),
        quick=True,
        remark=BOUNDED,
    ),
    Contender(
        name="flink-sql-eos",
        title="Flink SQL: the same, exactly-once sink",
        prepare=prepare,
        command=run("--exactly-once"),
        remark=f"checkpoints every second; otherwise as without; heap of {HEAP}",
    ),
    Contender(
        name="flink-sql-grouped",
        title="Flink SQL, grouped, two slots",
        prepare=prepare,
        command=run("--work=grouped"),
        work="grouped",
        quick=True,
        remark=BOUNDED,
    ),
    Contender(
        name="streamagg-flink",
        title="streamagg flink, parallelism 2",
        prepare=prepare_own,
        command=run_own(2),
        remark=f"exactly-once, checkpoints every ten seconds; seconds as of Flink SQL; heap of {HEAP}",
    ),
]
