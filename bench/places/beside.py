"""Sums and users by client and hour out of a directory: streamagg beside what people use."""

import json
import shutil
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from bench.measure import Cost, run_command
from bench.places.usage import HOME, Answer, Usage, Use, of_csv, of_lines
from bench.processes import TICKS_PER_SECOND
from bench.scratch import RunFailed, verb
from bench.topics import Told
from tests.support.postgres import Postgres

SCRIPTS: Final = Path(__file__).parent / "scripts"
ROUNDS: Final = 3
CENT: Final = 0.005
COUNTING: Final = ("--granularity", "1h", "--group-by", "client", "--measure", "used=sum(amount)")
SETTINGS: Final = {"fsync": "on", "shared_buffers": "256MB"}
"""Of the server; all else is as it comes."""


@dataclass(frozen=True, slots=True)
class Contender:
    """Who counts, and how its answer is read."""

    title: str
    command: Callable[[Usage, Path], Sequence[str]]
    """By what is counted, and a path for what it writes."""
    read: Callable[[Path], Answer]
    remark: str = ""


@dataclass(slots=True)
class Row:
    """All runs of a contender."""

    contender: Contender
    costs: list[Cost] = field(default_factory=list)
    server_s: list[float] = field(default_factory=list)
    """CPU seconds of PostgreSQL, where it took part."""
    right: int = 0
    """Rows of the worst run."""
    counts_users: bool = True

    def found(self, rows: int) -> dict[str, Any]:
        """For the file of results."""
        cpu = [cost.cpu_seconds + more for cost, more in zip(self.costs, self.server_s, strict=True)]
        return {
            "contender": self.contender.title,
            "seconds": statistics.median(cost.wall_seconds for cost in self.costs),
            "runs": [cost.wall_seconds for cost in self.costs],
            "cpu_seconds": round(statistics.median(cpu), 2),
            "peak_mb": round(statistics.median(cost.peak_bytes for cost in self.costs) / 1e6),
            "rows": rows,
            "right": self.right,
            "counts_users": self.counts_users,
            "disturbed": any(
                cost.others_cpu_seconds - more > 0.1 * cost.wall_seconds
                for cost, more in zip(self.costs, self.server_s, strict=True)
            ),
            "remark": self.contender.remark,
        }


@contextmanager
def database() -> Iterator[Postgres]:
    """A server that writes as it does where it is used."""
    server = Postgres(SETTINGS)
    try:
        yield server.start()
    finally:
        server.remove()


def empty(server: Postgres) -> str:
    """The URL of a new database."""
    name = f"bench_{uuid4().hex[:12]}"
    server.run(f"CREATE DATABASE {name}")
    return server.url(name)


def cpu_seconds(server: Postgres) -> float:
    """Of the server and all that it has started, also what has ended."""
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text("ascii").split()
    return sum(_used(Path(f"/proc/{pid}/stat")) for pid in (server.pid, *children))


def _used(stat: Path) -> float:
    """By a process, and by its children that have ended."""
    try:
        fields = stat.read_text("ascii").rpartition(") ")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return sum(map(int, fields[11:15])) / TICKS_PER_SECOND


def measure(usage: Usage, rounds: int, told: Told) -> list[dict[str, Any]]:
    """All contenders in turn, round by round, every other round backwards."""
    with database() as server:
        rows = [Row(each) for each in contenders(server)]
        for number in range(rounds):
            for row in rows[:: 1 if number % 2 == 0 else -1]:
                told(f"round {number + 1}: {row.contender.title}")
                _run(row, usage, server)
    return [row.found(len(usage.truth)) for row in rows]


def _run(row: Row, usage: Usage, server: Postgres) -> None:
    out, log = HOME / f"out-{uuid4().hex[:12]}", HOME / "beside.log"
    log.unlink(missing_ok=True)
    before = cpu_seconds(server)
    cost = run_command(row.contender.command(usage, out), log=log)
    if cost.exit_code != 0:
        raise RunFailed(f"{row.contender.title}, exit code {cost.exit_code}: {log.read_text()[-1000:]}")
    spent = cpu_seconds(server) - before
    answer = row.contender.read(out)
    right = right_rows(answer, usage.truth)
    row.right = min(row.right, right) if row.costs else right
    row.counts_users = all(use.users is not None for use in answer.values())
    row.costs.append(cost)
    row.server_s.append(round(spent, 3))


def right_rows(answer: Answer, truth: Answer) -> int:
    """How many there are, right to the cent, and none too many."""
    right = sum(key in answer and _is_right(answer[key], use) for key, use in truth.items())
    return right - len(answer.keys() - truth.keys())


def _is_right(use: Use, truth: Use) -> bool:
    return abs(use.amount - truth.amount) < CENT and use.users in (None, truth.users)


def contenders(server: Postgres) -> list[Contender]:
    """``server`` has a new database for each run."""
    return [
        _shell("cat and awk: sums, printed by awk", "sums.sh", "", remark="awk prints six digits"),
        _shell("cat and awk: sums", "sums.sh", "%.2f", remark="fields by their place"),
        _shell("cat and awk: sums and users", "sums.sh", "%.2f", "users", remark="fields by their place"),
        _python("pandas", "in_pandas.py"),
        _python("DuckDB", "in_duckdb.py"),
        Contender(
            "PostgreSQL: COPY and GROUP BY",
            lambda usage, out: [*_script("postgres.sh", usage, out), empty(server)],
            _csv,
        ),
        Contender("streamagg run into a directory", _into_directory, _of_directory, "exactly once"),
        Contender(
            "streamagg run into PostgreSQL",
            lambda usage, out: _into_postgres(usage, out, empty(server)),
            _of_postgres,
            "exactly once",
        ),
        Contender("streamagg count", _count, _of_count, "the same lines all as JSON, unpacked"),
    ]


def _shell(title: str, script: str, *more: str, remark: str) -> Contender:
    return Contender(title, lambda usage, out: [*_script(script, usage, out), *more], _csv, remark)


def _script(name: str, usage: Usage, out: Path) -> list[str]:
    return ["sh", str(SCRIPTS / name), str(usage.mixed), str(out)]


def _python(title: str, script: str) -> Contender:
    return Contender(
        title,
        lambda usage, out: [sys.executable, str(SCRIPTS / script), str(usage.mixed), str(out)],
        _csv,
    )


def _csv(out: Path) -> Answer:
    text = out.read_text()
    out.unlink()
    return of_csv(text.splitlines())


def run_of(source: Path, output: str, *flags: str) -> list[str]:
    """The command line of a bounded run of a directory."""
    places = ("--input", f"dir:{source}", "--output", output)
    return verb("run", *places, "--until-end", "--http", "off", *flags)


def _into_directory(usage: Usage, out: Path) -> list[str]:
    return run_of(usage.mixed, f"dir:{out}", *COUNTING)


def published(directory: Path) -> Iterator[bytes]:
    """The lines that count, days in order."""
    days = json.loads((directory / "manifest.json").read_bytes())["days"]
    for day in sorted(days):
        for file in days[day]["jsonl"]:
            yield from (directory / file["path"]).read_bytes()[: file["bytes"]].splitlines()


def _of_directory(out: Path) -> Answer:
    answer = of_lines(published(out))
    shutil.rmtree(out)
    return answer


def _into_postgres(usage: Usage, out: Path, url: str) -> list[str]:
    # Who reads the results asks there.
    out.write_text(url)
    return run_of(usage.mixed, url, *COUNTING)


def _of_postgres(out: Path) -> Answer:
    import psycopg

    url = out.read_text()
    out.unlink()
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT \"group\"->>'client', extract(epoch FROM ts)::bigint, (measures->>'used')::float8, cnt"
            ' FROM streamagg_results WHERE "group" IS NOT NULL'
        ).fetchall()
    return {(client, hour): Use(amount, users) for client, hour, amount, users in rows}


def _count(usage: Usage, out: Path) -> list[str]:
    command = verb("count", *map(str, sorted(usage.lines.glob("*/*"))), "--format", "jsonl", *COUNTING)
    return ["sh", "-c", '"$@" > "$0"', str(out), *command]


def _of_count(out: Path) -> Answer:
    answer = of_lines(out.read_bytes().splitlines())
    out.unlink()
    return answer
