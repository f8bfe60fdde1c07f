"""What an analyst takes: DuckDB, polars and chDB, on a file, or fed from a consumer loop."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from bench.contender import Contender, Job
from bench.environment import Environment
from bench.work import Work

HERE: Final = Path(__file__).parent
ENVIRONMENT: Final = Environment("query-engines", HERE / "requirements.txt")
TITLES: Final = {"duckdb": "DuckDB", "polars": "polars", "chdb": "chDB"}
LOOPS: Final = {
    "duckdb": ("DuckDB, from a consumer loop", "its own reader of JSON on batches of 10,000"),
    "polars": ("polars, from a consumer loop", "its own reader of JSON on batches of 10,000"),
    "chdb": ("chDB, a materialized view fed from a consumer loop", "batches of 10,000 are inserted as JSON"),
}
PUBLISHES: Final = "one process; one query when the topic has ended, its rows go into a file"


def prepare(*packages: str) -> Callable[[Path], dict[str, str]]:
    """Installs all of them; tells the versions of these packages."""

    def install(cache: Path) -> dict[str, str]:
        ENVIRONMENT.install(cache)
        return ENVIRONMENT.versions(cache, packages)

    return install


def from_file(engine: str, work: Work) -> Callable[[Job, Path], list[str]]:
    """Counts the file."""

    def command(job: Job, cache: Path) -> list[str]:
        program = [str(ENVIRONMENT.python(cache)), str(HERE / "from_file.py"), f"in_{engine}"]
        rows = job.scratch / "rows.jsonl"
        return [*program, str(job.topic.file), str(job.result), str(rows), work]

    return command


def from_topic(engine: str, work: Work) -> Callable[[Job, Path], list[str]]:
    """Counts the topic."""

    def command(job: Job, cache: Path) -> list[str]:
        program = [str(ENVIRONMENT.python(cache)), str(HERE / "from_topic.py"), f"in_{engine}", work]
        words = [job.topic.name, str(job.topic.records), str(job.result)]
        words += ["--bootstrap-servers", job.bootstrap, "--group", job.output]
        return [*program, *words, "--scratch", str(job.scratch)]

    return command


def _ending(work: Work) -> tuple[str, str]:
    """Of a name, and of a title."""
    return ("", "") if work == "plain" else ("-grouped", ", grouped")


def _of_file(engine: str, work: Work) -> Contender:
    name, title = _ending(work)
    return Contender(
        name=f"{engine}-file{name}",
        title=f"{TITLES[engine]}{title}",
        prepare=prepare(engine),
        command=from_file(engine, work),
        reads="file",
        work=work,
        quick=True,
        remark="start and end of the process included",
    )


def _loop(engine: str, work: Work) -> Contender:
    name, title = _ending(work)
    said, remark = LOOPS[engine]
    return Contender(
        name=f"{engine}-loop{name}",
        title=f"{said}{title}",
        prepare=prepare(engine, "confluent-kafka"),
        command=from_topic(engine, work),
        work=work,
        quick=work == "grouped",
        remark=f"{remark}; {PUBLISHES}",
    )


WORKS: Final[tuple[Work, ...]] = ("plain", "grouped")
CONTENDERS: Final = [
    *(_of_file(engine, work) for work in WORKS for engine in TITLES),
    *(_loop(engine, work) for work in WORKS for engine in LOOPS),
    Contender(
        name="duckdb-simdjson-loop",
        title="DuckDB, from a consumer loop, pysimdjson",
        prepare=prepare("duckdb", "pysimdjson", "confluent-kafka"),
        command=from_topic("duckdb_simdjson", "plain"),
        remark=f"pysimdjson reads the two fields of batches of 10,000; {PUBLISHES}",
    ),
]
